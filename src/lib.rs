//! The worker of stoop: from a broker's delivery to a settled event, and the commands around it.
//!
//! Composition only: brokers live in `brokers`, matching and acting in `playbooks`.

mod config { #[derive(Debug,Clone)] pub struct Cluster { pub name: Option<String>, pub require: bool, pub field: String } }
pub mod demo;
pub mod health;
pub mod metrics;
pub mod worker;
