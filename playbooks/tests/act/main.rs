//! The acting half, seen from outside: what goes over the wire, and what becomes of a response.
//!
//! The API server is a function here, so that every fault can be had and every byte be read. What only a real
//! one can show is in `servers`.

mod bound;
mod call;
mod calls;
mod capture;
mod delete;
mod docs;
mod drain;
mod engine;
mod exemptions;
mod fixtures;
mod fleet;
mod forward;
mod guards;
mod hostile;
mod hosts;
mod isolate;
mod label;
mod nodes;
mod notify;
mod outside;
mod promises;
mod receiver;
mod reports;
mod responses;
mod run;
mod scale;
#[cfg(feature = "servers")]
mod servers;
mod sinks;
mod store;
mod verify;
mod watching;
mod wire;
