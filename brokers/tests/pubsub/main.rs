//! The Pub/Sub broker against Google's emulator.

#![allow(clippy::unwrap_used, reason = "a test that unwraps says where it failed")]

mod bench;
mod conformance;
mod destination;
mod faults;
mod rest;
mod tools;
