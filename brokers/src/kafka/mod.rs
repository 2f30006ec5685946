//! Kafka: a topic read as a member of a consumer group, settled by committing what is complete.
//!
//! The only module that names its client library. What lives here:
//! ```text
//! receiver ── asks its own copy of ──▶ assignments ◀── complete, release ── ledger
//!    │ polls                             ▲      ▲ what is complete            │ dead_letters, chunks
//!    ▼                    assign, close  │      └── commit, once a second     ▼
//! context (callbacks) ───────────────────┘             ▲               producer
//!    └── partitions asked back ──▶ rebalance ── drain ─┘
//! ```

mod assignments;
mod chunks;
mod commit;
mod config;
mod context;
mod dead_letters;
mod dlq;
mod health;
mod history;
mod lag;
mod ledger;
mod producer;
mod reader;
mod rebalance;
mod receiver;
mod settings;
mod setup;
mod tracker;

use std::sync::Arc;

use rdkafka::consumer::Consumer as _;
use tokio::sync::mpsc;

use crate::contract::Error;

pub use self::{
    assignments::Key,
    config::{Config, Mechanism, Sasl, Timing, Tls},
    dlq::{DeadLetters as DeadLetterQueue, dead_letters},
    history::{History, history},
    lag::Lag,
    ledger::Ledger,
    producer::Publisher,
    receiver::{Receiver, Record},
    setup::{Change, Plan},
};

use self::{
    assignments::Assignments, commit::Committer, context::Context, dead_letters::DeadLetters,
    health::Monitor, lag::Survey, producer::Producer, rebalance::Drains,
};

/// Joins the group. Needs a tokio runtime; brokers that are away are waited for.
///
/// # Errors
/// The configuration can't work.
pub fn connect(config: &Config, timing: Timing) -> Result<(Receiver, Arc<Ledger>), Error> {
    let topic: Arc<str> = Arc::from(config.topic.as_str());
    let (assignments, monitor) = (Arc::<Assignments>::default(), Arc::<Monitor>::default());
    let (revoked, asked_back) = mpsc::unbounded_channel();
    let context = Context {
        topic: topic.clone(),
        assignments: assignments.clone(),
        monitor: monitor.clone(),
        revoked,
        paused: false.into(),
        leaving: false.into(),
    };
    let refused = |e| Error::Configuration(format!("Kafka's client refuses its settings: {e}"));
    let settings = settings::consumer(config, &timing)?;
    let consumer: context::Consumer = settings.create_with_context(context).map_err(refused)?;
    let consumer = Arc::new(consumer);
    consumer.subscribe(&[&config.topic]).map_err(refused)?;

    let committer = Arc::new(Committer::new(topic.clone(), assignments.clone(), &consumer));
    tokio::spawn(committer.clone().run());
    let drains = Drains {
        assignments: assignments.clone(),
        committer: committer.clone(),
        consumer: Arc::downgrade(&consumer),
        limit: timing.drain.min(Timing::LONGEST_DRAIN),
    };
    tokio::spawn(drains.serve(asked_back));
    let survey = Survey {
        topic: topic.clone(),
        assignments: assignments.clone(),
        monitor: monitor.clone(),
        consumer: Arc::downgrade(&consumer),
    };
    tokio::spawn(survey.run());

    let (producer, group) = (Producer::new(settings::producer(config)?), config.group.clone());
    let dead_letters = config.dead_letters.clone();
    let ledger = Ledger {
        assignments: assignments.clone(),
        committer,
        consumer: Arc::downgrade(&consumer),
        dead_letters: dead_letters.map(|name| DeadLetters::new(name, group, producer)),
        monitor,
    };
    Ok((Receiver::new(consumer, topic, assignments), Arc::new(ledger)))
}
