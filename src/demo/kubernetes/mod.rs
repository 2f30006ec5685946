//! A small in-memory Kubernetes API that speaks the wire protocol for the kinds stoop uses.
//!
//! What a client can see of a cluster is here: objects and their metadata rules, preconditions, dry run,
//! graceful deletion, eviction under a disruption budget, paging, authorization, and the controllers whose
//! effect shows (a deleted pod is replaced). What goes on behind that is not: no watch, no admission, no
//! logs, and controllers that have finished before the answer is sent.
//!
//! A behaviour belongs here only if the contract suite (`tests/kubernetes_api`) sees it on a real API
//! server too. Where the two differ, this one is wrong.

#![allow(
    clippy::indexing_slicing,
    reason = "objects are JSON values, and one that lacks a key gives null"
)]

mod access;
mod apply;
mod call;
mod controllers;
mod create;
mod delete;
mod eviction;
mod http;
mod kinds;
mod list;
mod meta;
mod selectors;
mod server;
mod status;
mod store;
mod traffic;
mod update;
mod world;

pub use access::Access;
pub use server::Server;
pub use traffic::{Fault, Request};
