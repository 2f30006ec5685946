//! NATS: a durable consumer of a JetStream stream, settled by acks that the server confirms; or, where losing messages is
//! accepted, a queue group of core NATS.
//!
//! The only module that names its client library. What lives here:
//! ```text
//! driver ── connects, binds (lookup, fit), one term after another ──▶ session ──▶ receiver
//!    │ watches the consumer (lag, health)                               │ line, window: asks for what slots are free
//!    └── beat: tells that what is held is worked on ──▶ term ◀── holds ─┘
//!                                                       ▲ lets go
//! ledger ── verb: ack, term, confirmed ─────────────────┤
//!    └── outbox: acks of what is skipped, naks ─────────┘
//! ```
//! Beside the worker: `setup` plans what is missing; `queue` and `history` read a stream by sequence (`reader`).

mod beat;
mod client;
mod config;
mod core;
mod dead_letters;
mod destination;
mod driver;
mod fit;
mod headers;
mod health;
mod history;
mod lag;
mod ledger;
mod line;
mod lookup;
mod outbox;
mod packing;
mod proof;
mod publisher;
mod queue;
mod reader;
mod receiver;
mod reply;
mod session;
mod setup;
mod subject;
mod term;
mod verb;
mod window;

use std::sync::Arc;

use tokio::sync::mpsc;

use crate::contract::{AckStrength, Error};

pub use self::{
    config::{Auth, Config, Tls},
    destination::{Destination, DestinationConfig},
    history::{History, history},
    lag::Lag,
    ledger::{Key, Ledger},
    publisher::Publisher,
    queue::{Queue, dead_letters},
    receiver::{Receiver, Record},
    setup::{Change, Plan},
};

use self::{
    config::Source,
    driver::{Driver, Shared},
};

/// Begins to serve a subscription with a worker that holds `slots` messages at most: as many are asked for as are free.
/// Needs a tokio runtime. Servers that are away are waited for, and so is a stream or a consumer that is missing or unfit:
/// [`Ledger::health`] says what to do.
///
/// # Errors
/// The configuration can't work.
pub fn connect(config: &Config, slots: usize) -> Result<(Receiver, Arc<Ledger>), Error> {
    config.check()?;
    proof::check(config)?;
    let shared = Arc::new(Shared::new(config.clone(), slots));
    Ok(match config.source()? {
        Source::JetStream { stream, consumer } => {
            let (sessions, begun) = mpsc::channel(1);
            let (stream, consumer) = (stream.into(), consumer.into());
            tokio::spawn(Driver { shared: shared.clone(), stream, consumer, sessions }.run());
            let ledger = Ledger::new(shared.clone(), AckStrength::Durable);
            (Receiver::of_stream(shared, begun), Arc::new(ledger))
        }
        Source::Core { subject, queue } => {
            tracing::warn!(
                %subject,
                "core NATS has no acks: what this worker holds when it dies is lost, as acceptLoss says"
            );
            tokio::spawn(core::keep_connected(shared.clone()));
            let listener = core::Listener::new(shared.clone(), &subject, queue);
            (Receiver::of_core(listener), Arc::new(Ledger::new(shared, AckStrength::None)))
        }
    })
}
