//! A server of one's own: its process, its ends and new beginnings.

use std::{ffi::OsString, path::Path, time::Duration};

use tokio::task::spawn_blocking;

use super::{
    front::Front,
    probe,
    provision::{Program, program},
};
use crate::{
    error::Error, port::Port, process::Process, scratch::Scratch, tool::Tool, wait::until,
};

const JAVA: Tool = Tool {
    command: "java",
    wanted_for: "Google's Pub/Sub emulator",
    install: "a Java runtime of version 11 or later (Debian: apt-get install default-jre-headless), or name a running emulator in PUBSUB_EMULATOR_HOST",
};
const START: Duration = Duration::from_secs(120);

/// Field order is drop order: the process ends before its folder goes.
#[derive(Debug)]
pub(crate) struct Server {
    front: Option<Front>,
    process: Option<Process>,
    /// Where clients find it.
    port: Port,
    /// Where the process itself listens, if that is somewhere else.
    behind: Option<Port>,
    program: Program,
    scratch: Scratch,
}

impl Server {
    /// Finds or builds what is to be started; starts nothing.
    pub(crate) async fn prepare(scratch: Scratch) -> Result<Self, Error> {
        let prepared = spawn_blocking(move || {
            let (program, port) = (program()?, Port::reserve()?);
            let mut behind = None;
            if let Program::Emulator(_) = program {
                JAVA.run("asking Java for its version", JAVA.command().arg("-version"))?;
                behind = Some(Port::reserve()?);
            }
            Ok(Self { front: None, process: None, port, behind, program, scratch })
        });
        prepared.await.map_err(|error| Error::io("can't prepare Pub/Sub")(error.into()))?
    }

    pub(crate) fn address(&self) -> String {
        self.port.address().to_string()
    }

    /// Starts the process and waits until it serves.
    pub(crate) async fn start(&mut self) -> Result<(), Error> {
        let port = self.behind.as_ref().unwrap_or(&self.port);
        let address = port.address().to_string();
        let (command, arguments): (&Path, Vec<OsString>) = match &self.program {
            Program::Emulator(jar) => (
                Path::new(JAVA.command),
                vec![
                    "-Xmx512m".into(),
                    "-jar".into(),
                    jar.into(),
                    "--host=127.0.0.1".into(),
                    format!("--port={}", port.number()).into(),
                ],
            ),
            Program::PsTest(path) => (path, vec![address.clone().into()]),
        };
        let log = self.scratch.join("pubsub.log");
        let process = self.process.insert(Process::spawn("Pub/Sub", command, arguments, &log)?);
        let serves = until(format!("Pub/Sub serves on {address}"), START, async || {
            if let Err(error) = process.check() {
                return Ok(Err(error));
            }
            probe::serves(&address).await.map(Ok)
        });
        serves.await??;
        if self.behind.is_some() {
            self.front = Some(Front::open(self.port.address().into(), address)?);
        }
        Ok(())
    }

    pub(crate) fn kill(&mut self) {
        (self.front, self.process) = (None, None);
    }

    pub(crate) fn running(&self) -> Result<&Process, Error> {
        self.process.as_ref().ok_or_else(|| {
            Error::io("can't signal Pub/Sub")(std::io::Error::other("it was killed: restart it"))
        })
    }
}
