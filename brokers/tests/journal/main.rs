//! The journal as its users see it: over HTTP on one side, through the contract on the other.
#![allow(clippy::unwrap_used, clippy::print_stderr, reason = "tests")]

mod queue;
mod support;
