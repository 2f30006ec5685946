//! Bytes in, settlement out: message brokers behind one contract of at-least-once delivery.
//!
//! What lives here: receiving, filtering before anything is copied, backpressure by permits, settling
//! (ack, retry, dead letter) and draining, for every broker alike ([`pump`]), and the brokers themselves, each in
//! a module of its own that is the only one to name its client library. What may not: anything of Falco or
//! Kubernetes. A payload is bytes, and why a message failed is the caller's business.
//!
//! A broker is a [`Receiver`] and a [`Ledger`]. [`pump::run`] joins the two with a filter and a handler:
//!
//! ```text
//! Receiver ── filter ── permit ── Delivery ──▶ handler ── ack | retry | dead letter ──▶ Ledger
//!                └ skip ──────────────────────────────────────────────────────────────▶ Ledger
//! ```

// What comes from outside is never indexed: a message must not be able to end the worker.
#![warn(clippy::indexing_slicing)]

#[cfg(any(test, feature = "conformance"))]
pub mod conformance;
pub mod contract;
pub mod dead_letter;
pub mod delivery;
pub mod history;
#[cfg(feature = "journal")]
pub mod journal;
#[cfg(feature = "kafka")]
pub mod kafka;
pub mod lease;
#[cfg(any(test, feature = "conformance"))]
pub mod memory;
pub mod message;
#[cfg(feature = "nats")]
pub mod nats;
pub mod pool;
#[cfg(feature = "pubsub")]
pub mod pubsub;
pub mod pump;
#[cfg(any(feature = "nats", feature = "pubsub"))]
pub mod tls;

pub use contract::{
    AckStrength, Attempts, Capabilities, Demand, Error, Health, Ledger, Receiver, Settled,
};
pub use dead_letter::{DeadLetter, DeadLetterError};
pub use delivery::Delivery;
pub use history::History;
pub use lease::Lease;
pub use message::{Attempt, Borrowed, Message, MessageId};
pub use pool::{Permit, Pool};
