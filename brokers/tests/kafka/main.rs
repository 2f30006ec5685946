//! The Kafka broker against a real Kafka.

#![allow(clippy::unwrap_used, reason = "a test that unwraps says where it failed")]

mod bench;
mod conformance;
mod dead_letters;
mod destination;
mod flow;
mod group;
mod letters;
mod notes;
mod outages;
mod records;
mod security;
mod setup;
mod staff;
mod topics;
