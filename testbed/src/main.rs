//! `testbed`: provisions and runs, by hand, the servers that the tests start for themselves.

mod up;

use std::{
    io::{self, Write as _},
    path::Path,
};

use clap::{Parser, Subcommand, ValueEnum};
use testbed::{Error, cluster, compose, helm, kafka, nats, prometheus, pubsub};

/// Real servers for development: Kafka, NATS, Pub/Sub and a Kubernetes cluster, on loopback.
#[derive(Parser)]
#[command(name = "testbed", version)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Fetch and build what is missing, so that tests need not
    Provision {
        /// Which servers
        #[arg(default_value = "all")]
        servers: Servers,
    },
    /// Start servers, print how to reach them, and end them on Ctrl-C
    Up(up::Options),
}

#[derive(Clone, Copy, ValueEnum)]
enum Servers {
    Kafka,
    Nats,
    Cluster,
    Pubsub,
    Deploy,
    All,
}

#[tokio::main]
async fn main() -> Result<(), Error> {
    match Cli::parse().command {
        Command::Provision { servers } => provision(servers),
        Command::Up(options) => up::run(options).await,
    }
}

fn provision(servers: Servers) -> Result<(), Error> {
    if matches!(servers, Servers::Kafka | Servers::All) {
        ready("Kafka", &kafka::provision()?);
    }
    if matches!(servers, Servers::Nats | Servers::All) {
        ready("NATS", &nats::provision()?);
    }
    if matches!(servers, Servers::Cluster | Servers::All) {
        ready("the cluster", &cluster::provision()?);
        cluster::definitions()?;
    }
    if matches!(servers, Servers::Pubsub | Servers::All) {
        ready("Pub/Sub", &pubsub::provision()?);
    }
    if matches!(servers, Servers::Deploy | Servers::All) {
        ready("helm", &helm::provision()?);
        compose::provision()?;
        prometheus::provision()?;
    }
    Ok(())
}

fn ready(server: &str, folder: &Path) {
    // Nobody left to tell is no reason to fail.
    let _ = writeln!(io::stderr(), "testbed: {server} is ready to start from {}", folder.display());
}
