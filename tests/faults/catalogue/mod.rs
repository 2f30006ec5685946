//! The catalogue of faults: each is a value with a name, the brokers it applies to, and what it does to a round.
//!
//! A fault only does harm and mends it. What has to hold meanwhile is judged elsewhere, the same for all.

mod bodies;
mod brokers;
mod groups;
mod kills;
mod letters;
mod load;
mod network;
mod pauses;
mod streams;
mod topics;

use std::time::Duration;

use fastrand::Rng;
use futures::future::LocalBoxFuture;

use crate::{
    brokers::{Kind, Wanted},
    scene::{Scene, Stage},
};

pub struct Fault {
    /// How the report and the seeds call it.
    pub name: &'static str,
    pub kinds: &'static [Kind],
    /// What it wants of the broker.
    pub wants: fn(&mut Rng) -> Wanted,
    /// What it begins with.
    pub stage: fn(&mut Rng) -> Stage,
    /// The most workers that it starts.
    pub places: usize,
    /// Whether events are published beside it all the time.
    pub load: bool,
    /// It measures time: nothing that works hard may run beside it.
    pub alone: bool,
    pub strike: for<'a> fn(&'a Scene) -> LocalBoxFuture<'a, Result<(), String>>,
}

const EVERY_BROKER: &[Kind] = &Kind::ALL;
/// Those with a process of their own, and more than one worker.
const SERVERS: &[Kind] = &[Kind::Kafka, Kind::Nats];

/// What most faults have in common.
const USUAL: Fault = Fault {
    name: "",
    kinds: EVERY_BROKER,
    wants: |_| Wanted::default(),
    stage: |rng| Stage { workers: rng.usize(1..=3), ..ONE_WORKER },
    places: 3,
    load: true,
    alone: false,
    strike: |_| Box::pin(std::future::ready(Ok(()))),
};

const ONE_WORKER: Stage =
    Stage { workers: 1, slots: 8, drain: Duration::from_secs(5), lone_detour: false };

/// Every fault, in the report's order.
pub fn all() -> impl Iterator<Item = &'static Fault> {
    let chapters: [&'static [Fault]; 10] = [
        kills::FAULTS,
        pauses::FAULTS,
        brokers::FAULTS,
        network::FAULTS,
        groups::FAULTS,
        streams::FAULTS,
        topics::FAULTS,
        letters::FAULTS,
        bodies::FAULTS,
        load::FAULTS,
    ];
    chapters.into_iter().flatten()
}
