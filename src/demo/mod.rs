//! `stoop demo`: the whole way of an event with no broker and no cluster.
//!
//! Lives here: the small in-memory Kubernetes API ([`kubernetes`]) that the demo and the tests run the
//! worker against. Nothing here is used by a worker that runs for real.

pub mod kubernetes;

/// Show the whole way of an event.
#[derive(Debug, clap::Args)]
pub struct Options {}

/// Not told yet.
pub async fn run(_: Options) -> crate::cli::Ended {
    Err(crate::cli::Refused("the demo has not landed".into()))
}
