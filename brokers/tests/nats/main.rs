//! The NATS broker against a real nats-server.

#![allow(clippy::unwrap_used, reason = "a test that unwraps says where it failed")]

mod bench;
mod conformance;
mod destination;
mod letters;
mod lossy;
mod outages;
mod past;
mod security;
mod setup;
mod staff;
