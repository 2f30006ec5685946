//! `stoop demo`: the whole way of an event with no broker and no cluster.
//!
//! Lives here: the small in-memory Kubernetes API ([`kubernetes`]) that the demo and the tests run the
//! worker against. Nothing here is used by a worker that runs for real.

pub mod kubernetes;
