//! The worker of stoop: from a broker's delivery to a settled event, and the commands around it.
//!
//! Composition only: brokers live in `brokers`, matching and acting in `playbooks`.

pub mod cli;
pub mod config;
pub mod demo;
mod error;
pub mod health;
pub mod metrics;
pub mod telemetry;
pub mod worker;
