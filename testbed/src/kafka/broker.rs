//! A broker of one's own: its data, its process, its ends and new beginnings.

use std::{fs, path::Path, path::PathBuf, time::Duration};

use tokio::task::spawn_blocking;

use super::{detour, detour::Detour, probe, properties, properties::Ports, provision};
use crate::{
    error::Error, pki::Authority, port::Port, process::Process, scratch::Scratch, tool::Tool,
    wait::until,
};

const JAVA: Tool = Tool {
    command: "java",
    wanted_for: "Kafka",
    install: "a Java runtime of version 17 or later (Debian: apt-get install default-jre-headless), or name a running broker in STOOP_TEST_KAFKA",
};
const START: Duration = Duration::from_secs(120);
/// Any will do: a cluster is one folder.
const CLUSTER_ID: &str = "c3Rvb3AtdGVzdGJlZC0wMQ";

/// Field order is drop order: the process ends before its folder goes.
#[derive(Debug)]
pub(crate) struct Broker {
    process: Option<Process>,
    pub(crate) ports: Ports,
    pub(crate) detours: Vec<Detour>,
    jars: PathBuf,
    scratch: Scratch,
}

/// What a broker is started with beside what all are.
#[derive(Debug, Default)]
pub(crate) struct Extras {
    /// How many detours lead to it.
    pub(crate) detours: usize,
    /// More lines of `server.properties`.
    pub(crate) properties: String,
}

impl Broker {
    /// Formats a new data folder in `scratch` unless there is one; starts nothing.
    pub(crate) async fn prepare(scratch: Scratch, extras: Extras) -> Result<Self, Error> {
        let prepared = spawn_blocking(move || {
            let jars = provision()?;
            let ports = Ports {
                plain: Port::reserve()?,
                encrypted: Port::reserve()?,
                secure: Port::reserve()?,
                mutual: Port::reserve()?,
                controller: Port::reserve()?,
            };
            let detours =
                (0..extras.detours).map(|_| Detour::reserve()).collect::<Result<_, _>>()?;
            let broker = Self { process: None, ports, detours, jars, scratch };
            broker.configure(&extras.properties)?;
            Ok(broker)
        });
        prepared.await.map_err(|error| Error::io("can't prepare Kafka")(error.into()))?
    }

    fn configure(&self, more: &str) -> Result<(), Error> {
        let authority = Authority::new()?;
        self.write("ca.pem", authority.pem())?;
        let broker = authority.issue("kafka")?;
        self.write("broker.pem", &(broker.key + &broker.certificate))?;
        let client = authority.issue("stoop")?;
        self.write("client.pem", &client.certificate)?;
        self.write("client.key", &client.key)?;
        let properties = properties::server(self.scratch.path(), &self.ports);
        let properties = detour::add(&properties, &self.detours) + more;
        self.write("server.properties", &properties)?;
        if self.scratch.join("data/meta.properties").exists() {
            return Ok(());
        }
        let (user, password) = (properties::USER, properties::PASSWORD);
        let scram = |mechanism| format!("{mechanism}=[name={user},password={password}]");
        JAVA.run(
            "formatting Kafka's data folder",
            JAVA.command()
                .args(["-XX:TieredStopAtLevel=1", "-cp"])
                .arg(self.jars.join("*"))
                .args(["kafka.tools.StorageTool", "format", "--cluster-id", CLUSTER_ID])
                .arg("--config")
                .arg(self.scratch.join("server.properties"))
                .args([
                    "--add-scram",
                    &scram("SCRAM-SHA-256"),
                    "--add-scram",
                    &scram("SCRAM-SHA-512"),
                ]),
        )
    }

    fn write(&self, name: &str, text: &str) -> Result<(), Error> {
        let path = self.scratch.join(name);
        fs::write(&path, text).map_err(Error::file("write", &path))
    }

    /// Starts the process and waits until it serves.
    pub(crate) async fn start(&mut self) -> Result<(), Error> {
        let class_path = self.jars.join("*");
        let arguments = [
            "-Xmx768m".into(),
            "-cp".into(),
            class_path.into_os_string(),
            "kafka.Kafka".into(),
            self.scratch.join("server.properties").into_os_string(),
        ];
        let log = self.scratch.join("kafka.log");
        let process =
            self.process.insert(Process::spawn("Kafka", Path::new(JAVA.command), arguments, &log)?);
        let address = self.ports.plain.address().to_string();
        let serves = until(format!("Kafka serves on {address}"), START, async || {
            if let Err(error) = process.check() {
                return Ok(Err(error));
            }
            probe::serves(&address).await.map(Ok)
        });
        serves.await?
    }

    pub(crate) fn kill(&mut self) {
        self.process = None;
    }

    pub(crate) fn running(&self) -> Result<&Process, Error> {
        self.process.as_ref().ok_or_else(|| {
            Error::io("can't signal Kafka")(std::io::Error::other("it was killed: restart it"))
        })
    }

    /// The path of one of the files that are written above.
    pub(crate) fn file(&self, name: &str) -> PathBuf {
        self.scratch.join(name)
    }
}
