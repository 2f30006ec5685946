//! The worker of stoop: from a broker's delivery to a settled event, and the commands around it.
//!
//! Composition only: brokers live in `brokers`, matching and acting in `playbooks`.

// What comes from outside is never indexed: a message must not be able to end the worker.
#![warn(clippy::indexing_slicing)]

pub mod approvals;
pub mod audit;
pub mod cli;
pub mod config;
pub mod control;
pub mod demo;
mod error;
pub mod health;
pub mod import;
pub mod letters;
pub mod metrics;
mod port;
pub mod replay;
pub mod telemetry;
pub mod uploads;
pub mod worker;
