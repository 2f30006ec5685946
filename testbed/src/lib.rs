//! Real servers for tests: Apache Kafka, NATS, Pub/Sub and a Kubernetes cluster, started on loopback and free
//! ports, ended with the process that started them.
//!
//! What has to be fetched or built is kept outside the work tree and made by whoever needs it
//! first; `testbed provision` does it beforehand. A server that can't be had is an error that says
//! how to get it. Nothing here knows stoop, and only tests and the `testbed` program use it.
//!
//! | in the environment | means |
//! |---|---|
//! | `STOOP_TEST_KAFKA` | the address of the broker to share, instead of one started here |
//! | `STOOP_TEST_NATS` | the URL of the NATS server to share, instead of one started here |
//! | `KUBECONFIG` with `STOOP_TEST_CLUSTER=1` | the cluster to share: tests make and delete in it |
//! | `KUBEBUILDER_ASSETS` | a folder with `etcd` and `kube-apiserver`, instead of those built here |
//! | `PUBSUB_EMULATOR_HOST` | the address of the Pub/Sub emulator to share, instead of one started here |
//! | `XDG_CACHE_HOME` | where `stoop-testbed` keeps what it fetched and built, if not `~/.cache` |

mod cache;
pub mod cluster;
pub mod compose;
mod error;
mod go;
pub mod helm;
pub mod kafka;
pub mod nats;
mod pki;
mod port;
mod process;
mod progress;
pub mod prometheus;
pub mod proxy;
pub mod pubsub;
mod scratch;
mod tool;
mod wait;

pub use error::Error;
pub use port::Port;
pub use process::leashed;
pub use wait::until;
