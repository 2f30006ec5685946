//! `stoop dlq` on a journal, with and without a worker that runs on it, and who may use the control port. No servers.

#![allow(clippy::unwrap_used, reason = "a test that can't go on should stop")]

mod certificates;
mod control;
mod desk;
mod journal;
