//! The fault campaign: real workers on real brokers, hurt in every way that the catalogue knows, and judged from outside.
//!
//! A generator keeps what the broker confirmed, a sink outside the workers what had an effect, and the broker says what is
//! settled and what is a dead letter. The invariants are pure functions over these logs.

#![allow(clippy::unwrap_used, reason = "a test that can't go on should stop")]
#![allow(unreachable_pub, reason = "nothing is reached from outside a test binary")]

mod brokers;
mod campaign;
mod catalogue;
mod id;
mod invariants;
mod logs;
mod report;
mod round;
mod scene;
mod sink;
mod worker;

use scene::Scale;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_fault_of_the_catalogue_loses_an_event() {
    campaign::run(Scale::Short).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "takes an hour and more: make faults ROUNDS=20"]
async fn no_fault_of_the_catalogue_ever_loses_an_event() {
    campaign::run(Scale::Long).await;
}
