//! The journal as its users see it: over HTTP on one side, through the contract on the other.
#![allow(clippy::unwrap_used, reason = "a test that unwraps says where it failed")]

mod intake;
mod kill;
mod letters;
mod queue;
mod support;
mod tls;
