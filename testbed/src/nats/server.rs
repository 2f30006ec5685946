//! A server of one's own: its data, its process, its ends and new beginnings.

use std::{
    fs,
    io::{BufRead as _, BufReader},
    net::TcpStream,
    path::PathBuf,
    time::Duration,
};

use tokio::task::spawn_blocking;

use super::{
    guard::{Guard, Keys},
    provision,
};
use crate::{error::Error, port::Port, process::Process, scratch::Scratch, wait::until};

const START: Duration = Duration::from_secs(30);

/// Field order is drop order: the process ends before its folder goes.
#[derive(Debug)]
pub(crate) struct Server {
    process: Option<Process>,
    pub(crate) port: Port,
    pub(crate) keys: Option<Keys>,
    program: PathBuf,
    scratch: Scratch,
}

impl Server {
    /// Writes its configuration; starts nothing.
    pub(crate) async fn prepare(scratch: Scratch, guard: Option<Guard>) -> Result<Self, Error> {
        let prepared = spawn_blocking(move || {
            let (program, port) = (provision()?.join("nats-server"), Port::reserve()?);
            let (guarded, keys) = match guard {
                Some(guard) => guard.set_up(&scratch).map(|(text, keys)| (text, Some(keys)))?,
                None => (String::new(), None),
            };
            let path = scratch.join("nats.conf");
            let text = format!(
                "server_name: testbed\nlisten: \"{}\"\njetstream {{ store_dir: {:?} }}\n{guarded}",
                port.address(),
                scratch.join("data"),
            );
            fs::write(&path, text).map_err(Error::file("write", &path))?;
            Ok(Self { process: None, port, keys, program, scratch })
        });
        prepared.await.map_err(|error| Error::io("can't prepare nats-server")(error.into()))?
    }

    /// Starts the process and waits until it serves.
    pub(crate) async fn start(&mut self) -> Result<(), Error> {
        let arguments = ["--config".into(), self.scratch.join("nats.conf").into_os_string()];
        let log = self.scratch.join("nats.log");
        let process =
            self.process.insert(Process::spawn("nats-server", &self.program, arguments, &log)?);
        let address = self.port.address().to_string();
        let serving = until(format!("NATS serves on {address}"), START, async || {
            if let Err(error) = process.check() {
                return Ok(Err(error));
            }
            serves(address.clone()).await.map(Ok)
        });
        serving.await?
    }

    pub(crate) fn kill(&mut self) {
        self.process = None;
    }

    pub(crate) fn running(&self) -> Result<&Process, Error> {
        self.process.as_ref().ok_or_else(|| {
            Error::io("can't signal nats-server")(std::io::Error::other(
                "it was killed: restart it",
            ))
        })
    }
}

/// Done once the server at `address` introduces itself, with JetStream; what it does instead is the error.
pub(crate) async fn serves(address: String) -> Result<(), String> {
    let asked = spawn_blocking(move || introduction(&address)).await;
    let line = asked.map_err(|error| error.to_string())?.map_err(|error| error.to_string())?;
    match line.starts_with("INFO ") && line.contains("\"jetstream\":true") {
        true => Ok(()),
        false => Err(format!("no NATS server with JetStream: {line:?}")),
    }
}

/// The first line that a server sends.
fn introduction(address: &str) -> std::io::Result<String> {
    let stream = TcpStream::connect(address)?;
    stream.set_read_timeout(Some(Duration::from_secs(2)))?;
    let mut line = String::new();
    BufReader::new(stream).read_line(&mut line)?;
    Ok(line)
}
