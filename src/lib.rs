//! stoop: the response fleet for Falco.
pub mod demo;
pub mod health;
pub mod metrics;
pub mod worker;
