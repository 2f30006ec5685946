//! One Falco event, all the way: a real Kafka, a real Kubernetes cluster, and the program itself.

#![allow(clippy::unwrap_used, reason = "a test that can't go on should stop")]
#![allow(unreachable_pub, reason = "nothing is reached from outside a test binary")]

mod audit;
mod bad_input;
#[path = "../collector/mod.rs"]
mod collector;
mod forward;
mod google;
mod leader;
mod letters;
mod objects;
mod outages;
mod promise;
mod refusals;
mod seeds;
mod sink;
mod topic;
mod traces;
mod worker;
