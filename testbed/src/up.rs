//! `testbed up`: servers in the foreground.

use std::{
    fmt::Write as _,
    fs,
    io::{self, Write as _},
    path::PathBuf,
};

use testbed::{
    Error,
    cluster::{Cluster, Size},
    kafka::Kafka,
    nats::Nats,
    pubsub::PubSub,
};
use tokio::signal::unix::{SignalKind, signal};

/// Which servers, and where.
#[derive(clap::Args)]
pub(crate) struct Options {
    /// Start Kafka; with no server named, all are started
    #[arg(long)]
    kafka: bool,
    /// Start NATS
    #[arg(long)]
    nats: bool,
    /// Start Google's Pub/Sub emulator, or what stands in for it
    #[arg(long)]
    pubsub: bool,
    /// Start a Kubernetes cluster
    #[arg(long)]
    cluster: bool,
    /// How many nodes the cluster has
    #[arg(long, default_value_t = 2, value_name = "N")]
    nodes: usize,
    /// Keep data and logs in this folder, and go on with what is there [default: a temporary one]
    #[arg(long, value_name = "DIR")]
    dir: Option<PathBuf>,
    /// Also write the export lines to this file once all is up; removed at the end
    #[arg(long, value_name = "PATH")]
    env_file: Option<PathBuf>,
}

/// Starts the servers, says how to reach them, and ends them on SIGINT or SIGTERM.
///
/// A signal that comes while they start ends this process at once, and the servers with it.
pub(crate) async fn run(options: Options) -> Result<(), Error> {
    let all = !(options.kafka || options.nats || options.pubsub || options.cluster);
    let (kafka, nats, pubsub, cluster) = tokio::try_join!(
        start(options.kafka || all, start_kafka(&options)),
        start(options.nats || all, start_nats(&options)),
        start(options.pubsub || all, start_pubsub(&options)),
        start(options.cluster || all, start_cluster(&options)),
    )?;

    let mut interrupt = signal(SignalKind::interrupt()).map_err(no_signals)?;
    let mut terminate = signal(SignalKind::terminate()).map_err(no_signals)?;
    let running = Running { kafka, nats, pubsub, cluster };
    let exports = running.exports();
    let _env_file = options.env_file.map(|path| EnvFile::write(path, &exports)).transpose()?;
    tell(&exports)?;
    tokio::select! {
        _ = interrupt.recv() => {}
        _ = terminate.recv() => {}
    }
    Ok(())
}

async fn start<T>(
    wanted: bool,
    server: impl Future<Output = Result<T, Error>>,
) -> Result<Option<T>, Error> {
    if wanted { server.await.map(Some) } else { Ok(None) }
}

async fn start_kafka(options: &Options) -> Result<Kafka, Error> {
    match &options.dir {
        Some(dir) => Kafka::start_in(&dir.join("kafka")).await,
        None => Kafka::start().await,
    }
}

async fn start_nats(options: &Options) -> Result<Nats, Error> {
    match &options.dir {
        Some(dir) => Nats::start_in(&dir.join("nats")).await,
        None => Nats::start().await,
    }
}

async fn start_pubsub(options: &Options) -> Result<PubSub, Error> {
    match &options.dir {
        Some(dir) => PubSub::start_in(&dir.join("pubsub")).await,
        None => PubSub::start().await,
    }
}

async fn start_cluster(options: &Options) -> Result<Cluster, Error> {
    let size = Size::Nodes(options.nodes);
    match &options.dir {
        Some(dir) => Cluster::start_in(&dir.join("cluster"), size).await,
        None => Cluster::start(size).await,
    }
}

/// The servers that were started.
struct Running {
    kafka: Option<Kafka>,
    nats: Option<Nats>,
    pubsub: Option<PubSub>,
    cluster: Option<Cluster>,
}

impl Running {
    /// What a shell has to know: kubectl and stoop take `KUBECONFIG`, stoop's subscription `falco` the brokers, and the tests
    /// the rest.
    fn exports(&self) -> String {
        let Self { kafka, nats, pubsub, cluster } = self;
        let mut lines = String::new();
        if let Some(kafka) = kafka {
            let (bootstrap, secure) = (kafka.bootstrap(), kafka.secure());
            // Writing to a string can't fail.
            let _ = write!(
                lines,
                "# {} speaks TLS (authority: {}) and SASL ({} with password {})\n\
                 export STOOP_TEST_KAFKA={bootstrap}\n\
                 export STOOP_SUBSCRIPTIONS__FALCO__KAFKA__BROKERS='[\"{bootstrap}\"]'\n",
                secure.bootstrap,
                secure.ca.display(),
                secure.username,
                secure.password,
            );
        }
        if let Some(nats) = nats {
            let _ = writeln!(lines, "export STOOP_TEST_NATS={}", nats.url());
        }
        if let Some(pubsub) = pubsub {
            let _ = writeln!(lines, "export PUBSUB_EMULATOR_HOST={}", pubsub.address());
        }
        if let Some(cluster) = cluster {
            let kubeconfig = cluster.kubeconfig().display();
            let _ = write!(
                lines,
                "export KUBECONFIG={}\nexport STOOP_TEST_CLUSTER=1\n",
                quoted(&kubeconfig.to_string()),
            );
        }
        lines
    }
}

/// As one word of a shell.
fn quoted(word: &str) -> String {
    format!("'{}'", word.replace('\'', r"'\''"))
}

fn tell(exports: &str) -> Result<(), Error> {
    let mut out = io::stdout().lock();
    out.write_all(exports.as_bytes()).and_then(|()| out.flush()).map_err(|source| Error::Io {
        what: "can't write to standard output".to_owned(),
        source,
    })?;
    // Apart, so that standard output holds nothing but what a shell can read.
    let _ = writeln!(io::stderr(), "testbed: up; Ctrl-C ends it");
    Ok(())
}

fn no_signals(source: io::Error) -> Error {
    Error::Io { what: "can't wait for signals".to_owned(), source }
}

/// The file with the export lines, there only while what it names is up.
struct EnvFile(PathBuf);

impl EnvFile {
    /// Whole or not at all: a script may wait for it.
    fn write(path: PathBuf, text: &str) -> Result<Self, Error> {
        let partial = path.with_added_extension("partial");
        fs::write(&partial, text).and_then(|()| fs::rename(&partial, &path)).map_err(|source| {
            Error::Io { what: format!("can't write {}", path.display()), source }
        })?;
        Ok(Self(path))
    }
}

impl Drop for EnvFile {
    fn drop(&mut self) {
        // Gone already is gone.
        let _ = fs::remove_file(&self.0);
    }
}
