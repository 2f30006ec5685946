//! Real servers for tests: Apache Kafka and a Kubernetes cluster, started on loopback and free
//! ports, ended with the process that started them.
//!
//! What has to be fetched or built is kept outside the work tree and made by whoever needs it
//! first; `testbed provision` does it beforehand. A server that can't be had is an error that says
//! how to get it. Nothing here knows stoop, and only tests and the `testbed` program use it.

mod cache;
pub mod cluster;
mod error;
pub mod kafka;
mod pki;
mod port;
mod process;
mod progress;
mod scratch;
mod tool;
mod wait;

pub use error::Error;
pub use wait::until;
