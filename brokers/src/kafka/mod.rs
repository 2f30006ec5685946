//! Kafka: topics read as a member of a consumer group, settled by committing what is complete.
//!
//! The only module that names its client library. What lives here:
//! ```text
//! receiver ── asks its own copy, view, of ──▶ assignments ◀── complete, release ── ledger
//!    │ polls                                   ▲      ▲ what is complete            │ dead_letters, chunks
//!    ▼                          assign, close  │      └── commit, once a second     ▼
//! context (callbacks) ─────────────────────────┘             ▲               producer
//!    ├── partitions that come ──▶ recall ── what was done ───┤
//!    └── partitions asked back ──▶ rebalance ── drain ───────┘
//! ```

mod assignments;
mod chunks;
mod commit;
mod config;
mod context;
mod dead_letters;
mod destination;
mod dlq;
mod health;
mod history;
mod lag;
mod ledger;
mod note;
mod producer;
mod reader;
mod rebalance;
mod recall;
mod receiver;
mod settings;
mod setup;
mod token;
mod topics;
mod tracker;
mod view;

use std::sync::Arc;

use rdkafka::consumer::Consumer as _;
use tokio::sync::mpsc;

use crate::contract::{Demand, Error};

#[cfg(fuzzing)]
pub use self::note::read_note;
pub use self::{
    assignments::Key,
    config::{Config, Mechanism, Sasl, Timing, Tls},
    destination::{Destination, DestinationConfig},
    dlq::{DeadLetters as DeadLetterQueue, dead_letters},
    history::{History, history},
    lag::{Lag, PartitionLag},
    ledger::Ledger,
    producer::Publisher,
    receiver::{Receiver, Record},
    setup::{Change, Plan},
    topics::{Pattern, Topics},
};

use self::{
    assignments::Assignments,
    commit::{Committer, Room},
    context::Context,
    dead_letters::DeadLetters,
    health::Monitor,
    lag::Survey,
    producer::Producer,
    rebalance::Drains,
    recall::Recall,
    token::Tokens,
};

/// Joins the group. Needs a tokio runtime; brokers that are away are waited for.
///
/// # Errors
/// The configuration can't work.
pub fn connect(config: &Config, timing: Timing) -> Result<(Receiver, Arc<Ledger>), Error> {
    let (assignments, monitor) = (Arc::<Assignments>::default(), Arc::<Monitor>::default());
    let room = Arc::<Room>::default();
    let (assigned, strange) = mpsc::unbounded_channel();
    let (revoked, asked_back) = mpsc::unbounded_channel();
    let context = Context {
        assignments: assignments.clone(),
        monitor: monitor.clone(),
        room: room.clone(),
        tokens: Tokens::of(config),
        refused: config.refused(),
        assigned,
        revoked,
        demand: Demand::Flow.into(),
        leaving: false.into(),
    };
    let refused = |e| Error::Configuration(format!("Kafka's client refuses its settings: {e}"));
    let settings = settings::consumer(config, &timing)?;
    let consumer: context::Consumer = settings.create_with_context(context).map_err(refused)?;
    let consumer = Arc::new(consumer);
    let topics = config.topics()?;
    consumer.subscribe(&topics.subscription()).map_err(refused)?;

    let committer = Arc::new(Committer::new(assignments.clone(), room, &consumer));
    tokio::spawn(committer.clone().run());
    let recall = Recall {
        assignments: assignments.clone(),
        committer: committer.clone(),
        consumer: Arc::downgrade(&consumer),
    };
    tokio::spawn(recall.serve(strange));
    let drains = Drains {
        assignments: assignments.clone(),
        committer: committer.clone(),
        consumer: Arc::downgrade(&consumer),
        limit: timing.drain.min(Timing::LONGEST_DRAIN),
    };
    tokio::spawn(drains.serve(asked_back));
    let survey = Survey {
        topic: topics.first().map(str::to_owned),
        assignments: assignments.clone(),
        monitor: monitor.clone(),
        consumer: Arc::downgrade(&consumer),
    };
    tokio::spawn(survey.run());

    let (producer, group) = (Producer::new(config)?, config.group.clone());
    let dead_letters = config.dead_letters.clone();
    let ledger = Ledger {
        assignments: assignments.clone(),
        committer,
        consumer: Arc::downgrade(&consumer),
        dead_letters: dead_letters.map(|name| DeadLetters::new(name, group, producer)),
        monitor,
    };
    Ok((Receiver::new(consumer, assignments), Arc::new(ledger)))
}
