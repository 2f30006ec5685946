//! What a broker has to be: a [`Receiver`] that lends messages and a [`Ledger`] that settles them.

use std::{error::Error as StdError, future::Future, time::Duration};

use async_trait::async_trait;
use tokio::time::Instant;

use crate::{
    dead_letter::{DeadLetter, DeadLetterError},
    lease::Lease,
    message::{Borrowed, Message},
};

/// Where messages come from.
pub trait Receiver: Send + 'static {
    /// A message as the client lends it.
    type Message<'a>: Borrowed + Send
    where
        Self: 'a;
    /// What the ledger knows a message by. Dropping one settles nothing.
    type Key: Clone + Send + Sync + 'static;

    /// The next message, with its key and the lease it is under.
    ///
    /// Outages that the client gets over by itself are waited out and logged here; an error means that this receiver is
    /// of no more use and has to be built anew. While the demand is [`Demand::Pause`] it yields nothing new, but has
    /// to be called all the same: it is where a client does its housekeeping.
    ///
    /// Cancel safe: a message is either returned or still to come.
    fn next(
        &mut self,
    ) -> impl Future<Output = Result<(Self::Message<'_>, Self::Key, Lease), Error>> + Send;

    /// Says whether more messages are wanted. A few that are on their way may still come after a pause.
    fn demand(&mut self, demand: Demand);

    /// The worker drains: nothing more is wanted, ever. What has come here and was not returned may go to others at once;
    /// what was is still to be settled, and its leases are kept.
    fn drain(&mut self) {
        self.demand(Demand::Pause);
    }
}

/// Whether messages are wanted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Demand {
    /// As fast as they come.
    Flow,
    /// None for now.
    Pause,
}

/// Where messages are settled. A key is settled at most once; the [pump](crate::pump) sees to that.
#[async_trait]
pub trait Ledger<K>: Send + Sync + 'static {
    /// What this broker can promise, for refusing at start-up what it can't.
    fn capabilities(&self) -> Capabilities;

    /// The filter didn't want it. Called for most messages, in the receiving loop: in bulk, or as cheaply as can be.
    fn skip(&self, key: K);

    /// Work on a message is about to begin that was begun before, and may have broken whoever did. Where the broker counts
    /// attempts by this ledger, this one is durable when it returns.
    async fn begin(&self, _key: &K)
    where
        K: Sync,
    {
    }

    /// Its work is done; it must not come again.
    async fn ack(&self, key: &K) -> Settled;

    /// Makes the dead letter durable, and only then settles the message. On an error nothing is settled.
    async fn dead_letter(
        &self,
        key: &K,
        message: &Message,
        letter: &DeadLetter,
    ) -> Result<Settled, DeadLetterError>;

    /// Hands the message back unsettled: nobody here works on it any more, and the broker shall deliver it again.
    fn release(&self, key: K);

    /// Makes durable what was settled, and leaves. Nothing is settled after it.
    async fn close(&self, by: Instant) -> Result<(), Error>;
}

/// What became of a settlement.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Settled {
    /// The broker has confirmed it; the message can't come again.
    Durable,
    /// Accepted, and made durable soon; a crash before that brings the message again.
    Accepted,
    /// The lease was lost: the message comes again, here or elsewhere.
    Fenced,
    /// The broker didn't say; the message may come again.
    Unknown(String),
}

/// What a broker can promise.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Capabilities {
    /// How strong an ack is.
    pub ack: AckStrength,
    /// How far the broker counts deliveries.
    pub attempts: Attempts,
    /// Whether there is a place for dead letters.
    pub dead_letters: bool,
    /// How long a message may be worked on while the worker is alive; `None` is without end.
    pub longest_lease: Option<Duration>,
}

/// How strong an ack is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AckStrength {
    /// Durable when it returns.
    Durable,
    /// Durable a little later; a crash in between brings the message again.
    Accepted,
    /// There is none: what the worker holds when it dies is lost.
    None,
}

/// How far a broker counts deliveries.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Attempts {
    /// Durably.
    Exact,
    /// Roughly.
    Hint,
    /// Not at all.
    Unknown,
}

/// Whether a subscription can be served now.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Health {
    /// Its broker was not heard of yet.
    #[default]
    Connecting,
    /// All is well.
    Connected,
    /// Something is away; it is waited for. The text is for a person, and says what to do where that is known.
    Unavailable(String),
}

/// A broker is of no more use as it stands. Every unsettled message will be delivered again.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The configuration can't work; nothing was received. The text says what to change.
    #[error("{0}")]
    Configuration(String),
    /// The client gave up for good. A new one may do better.
    #[error("{context}")]
    Client {
        /// What was being done.
        context: String,
        /// Why it failed.
        #[source]
        source: Box<dyn StdError + Send + Sync>,
    },
}

impl Error {
    /// An error of the client library, with what was being done.
    pub fn client(
        context: impl Into<String>,
        source: impl Into<Box<dyn StdError + Send + Sync>>,
    ) -> Self {
        Self::Client { context: context.into(), source: source.into() }
    }

    /// Whether trying again can help.
    pub fn is_configuration(&self) -> bool {
        matches!(self, Self::Configuration(_))
    }
}
