//! worker
pub mod bursts;
pub mod lanes;
pub mod outage;
pub mod readiness;
