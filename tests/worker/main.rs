//! The worker with a broker in memory and an API server in memory: what is answered, what is settled, and what is not.

#![allow(clippy::unwrap_used, reason = "a test that can't go on should stop")]
#![allow(unreachable_pub, reason = "nothing is reached from outside a test binary")]

mod ages;
mod answers;
mod approvals;
mod breaking;
mod bursts;
#[path = "../collector/mod.rs"]
mod collector;
mod each;
mod feed;
mod leases;
mod objects;
mod paper;
mod reload;
mod responses;
mod rig;
mod stage;
mod storms;
mod targets;
mod traces;
