//! What the suite needs of a broker under test.

use std::{any::Any, future::Future, sync::Arc, time::Duration};

use async_trait::async_trait;
use bytes::Bytes;

use crate::contract::{Ledger, Receiver};

/// How long the suite waits for something that has to happen.
const PATIENCE: Duration = Duration::from_secs(60);

/// One subscription of a broker under test, and what can be done to it from outside.
///
/// Dropping the harness ends whatever it started.
#[async_trait]
pub trait Harness: Sized + Send + Sync + 'static {
    /// The broker's receiving end.
    type Receiver: Receiver;
    /// The broker's settling end.
    type Ledger: Ledger<<Self::Receiver as Receiver>::Key>;

    /// Whether a lease of this broker can end before its worker does. Where it can't, [`revoke`](Self::revoke) and
    /// [`lose`](Self::lose) are never called.
    const LEASES_END: bool;
    /// Whether this broker asks for messages back before it takes them. Where it doesn't, [`revoke`](Self::revoke) is never
    /// called.
    const ASKS_BACK: bool = Self::LEASES_END;
    /// Whether a message keeps its publisher's key and headers.
    const KEEPS_KEY_AND_HEADERS: bool = true;

    /// A subscription of its own, empty.
    async fn fresh() -> Self;

    /// Connects a worker. Called again after the one before has stopped or crashed: was dropped without being closed.
    async fn connect(&self) -> (Self::Receiver, Arc<Self::Ledger>);

    /// Publishes, durably, in order where the broker knows one.
    async fn publish(&self, records: Vec<Record>);

    /// How many messages a worker that starts now would be delivered, leases aside.
    async fn unsettled(&self) -> u64;

    /// The dead letters so far.
    async fn dead_letters(&self) -> Vec<Record>;

    /// Makes writing dead letters impossible, or possible again.
    async fn set_dead_letters_down(&self, down: bool);

    /// Asks some of what is held back. It stays so until the returned value is dropped.
    async fn revoke(&self) -> Box<dyn Any + Send>;

    /// Takes some of what is held away, from a worker that is still alive. It stays so until the returned value is dropped.
    async fn lose(&self) -> Box<dyn Any + Send>;
}

/// A message as it is published, or a dead letter as it is read back.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Record {
    /// The body.
    pub payload: Bytes,
    /// The key, where the broker keeps one.
    pub key: Option<Bytes>,
    /// The headers, in order.
    pub headers: Vec<(String, Bytes)>,
}

impl Record {
    /// A body alone.
    pub fn new(payload: impl Into<Bytes>) -> Self {
        Self { payload: payload.into(), ..Self::default() }
    }

    /// The first header of that name, as text.
    pub fn header(&self, name: &str) -> Option<&str> {
        let (_, value) = self.headers.iter().find(|(n, _)| n == name)?;
        std::str::from_utf8(value).ok()
    }
}

/// Waits until `condition` holds.
///
/// # Panics
/// It doesn't within a minute: `what` says what was waited for.
pub async fn until<F>(what: &str, mut condition: impl FnMut() -> F)
where
    F: Future<Output = bool>,
{
    let holds = async {
        while !condition().await {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    within(what, holds).await;
}

/// Waits for `future`, but not for ever.
pub(super) async fn within<T>(what: &str, future: impl Future<Output = T>) -> T {
    match tokio::time::timeout(PATIENCE, future).await {
        Ok(value) => value,
        Err(_) => panic!("waited in vain: {what}"),
    }
}
