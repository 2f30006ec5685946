//! A message handed to the worker, with the means to settle it once.

use std::{
    pin::Pin,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use async_trait::async_trait;
use tokio::sync::{Notify, mpsc};

use crate::{
    contract::{Ledger, Settled},
    dead_letter::{DeadLetter, DeadLetterError},
    lease::Lease,
    message::Message,
    pool::{Permit, Pool},
};

/// One message to work on. Settling consumes it; dropping it is a retry.
///
/// Its permit is held until it is settled for good, through retries too.
#[must_use = "a delivery that is dropped is delivered again"]
pub struct Delivery {
    held: Option<Box<dyn Held>>,
}

impl Delivery {
    /// The message.
    pub fn message(&self) -> &Message {
        self.entry().message()
    }

    /// Under which lease it is held.
    pub fn lease(&self) -> &Lease {
        self.entry().lease()
    }

    /// How often the message was handed to a worker, this one and, as far as the broker knows, those before it; the first
    /// time is 1.
    pub fn handed(&self) -> u32 {
        self.entry().handed()
    }

    /// The work is done. Giving up on this future in mid-way is a retry, and the work may be done twice.
    pub async fn ack(mut self) -> Settled {
        let Some(held) = self.held.as_ref() else { return Settled::Fenced };
        let settled = held.ack().await;
        self.held = None;
        settled
    }

    /// Delivers it again after `after`; the permit stays taken meanwhile.
    pub fn retry(mut self, after: Duration) {
        if let Some(held) = self.held.take() {
            held.retry(after);
        }
    }

    /// Gives it up: to the dead letters first, durably, and settled after.
    ///
    /// # Errors
    /// The delivery comes back unsettled with the reason, to be tried again or dropped.
    pub async fn dead_letter(
        mut self,
        letter: &DeadLetter,
    ) -> Result<Settled, (Delivery, DeadLetterError)> {
        let Some(held) = self.held.as_mut() else { return Ok(Settled::Fenced) };
        match held.dead_letter(letter).await {
            Ok(settled) => {
                self.held = None;
                Ok(settled)
            }
            Err(error) => Err((self, error)),
        }
    }

    /// Trades the permit for a slot of another pool, so that a message that only waits doesn't keep one that could run
    /// from running. False, and nothing changed, if the other pool is full.
    pub fn trade_permit(&mut self, pool: &Pool) -> bool {
        let Some(held) = self.held.as_mut() else { return false };
        match pool.try_acquire(held.message().payload.len()) {
            Some(permit) => {
                held.replace_permit(permit);
                true
            }
            None => false,
        }
    }

    fn entry(&self) -> &dyn Held {
        match &self.held {
            Some(held) => held.as_ref(),
            // Taken only by methods that consume the delivery.
            None => unreachable!("a delivery holds its message until it is settled"),
        }
    }
}

impl Drop for Delivery {
    fn drop(&mut self) {
        if let Some(held) = self.held.take() {
            let after = backoff(held.handed());
            held.retry(after);
        }
    }
}

/// How long a dropped delivery rests: it was dropped by a panic or a shutdown, and neither wants a hot loop.
fn backoff(handed: u32) -> Duration {
    Duration::from_millis(500) * 2u32.saturating_pow(handed.min(6))
}

/// A message that the pump has to deliver again.
pub(crate) struct Again<K> {
    pub(crate) after: Duration,
    pub(crate) key: K,
    pub(crate) message: Message,
    pub(crate) lease: Lease,
    pub(crate) permit: Permit,
    pub(crate) handed: u32,
    /// It was handed to another worker before, and not to this one yet.
    pub(crate) inherited: bool,
}

/// What a delivery holds, whatever its broker.
#[async_trait]
trait Held: Send + Sync {
    fn message(&self) -> &Message;
    fn lease(&self) -> &Lease;
    fn handed(&self) -> u32;
    fn replace_permit(&mut self, permit: Permit);
    /// The ledger's own future, so that the commonest settlement costs no other.
    fn ack<'a>(&'a self) -> Pin<Box<dyn Future<Output = Settled> + Send + 'a>>;
    async fn dead_letter(&mut self, letter: &DeadLetter) -> Result<Settled, DeadLetterError>;
    fn retry(self: Box<Self>, after: Duration);
}

/// How many deliveries are out with the handler.
#[derive(Debug, Default)]
pub(crate) struct InFlight {
    count: AtomicUsize,
    changed: Notify,
}

impl InFlight {
    pub(crate) fn count(&self) -> usize {
        self.count.load(Ordering::Acquire)
    }

    /// Waits until nothing is out. Cancel safe.
    pub(crate) async fn none(&self) {
        loop {
            let changed = self.changed.notified();
            if self.count() == 0 {
                return;
            }
            changed.await;
        }
    }

    fn enter(&self) {
        self.count.fetch_add(1, Ordering::AcqRel);
    }

    fn leave(&self) {
        if self.count.fetch_sub(1, Ordering::AcqRel) == 1 {
            self.changed.notify_waiters();
        }
    }
}

/// What all deliveries of one pump share.
pub(crate) struct Desk<K, L> {
    pub(crate) ledger: Arc<L>,
    pub(crate) again: mpsc::UnboundedSender<Again<K>>,
    pub(crate) in_flight: InFlight,
}

/// A delivery that is out with the handler.
struct Out<K, L> {
    desk: Arc<Desk<K, L>>,
}

impl<K, L> Out<K, L> {
    fn of(desk: &Arc<Desk<K, L>>) -> Self {
        desk.in_flight.enter();
        Self { desk: desk.clone() }
    }
}

impl<K, L> Drop for Out<K, L> {
    fn drop(&mut self) {
        self.desk.in_flight.leave();
    }
}

impl<K, L> Desk<K, L>
where
    K: Clone + Send + Sync + 'static,
    L: Ledger<K>,
{
    pub(crate) fn hand_over(self: &Arc<Self>, again: Again<K>) -> Delivery {
        let Again { key, message, lease, permit, handed, .. } = again;
        let handed = handed.saturating_add(1);
        let entry = Entry { key, message, lease, permit, handed, out: Out::of(self) };
        Delivery { held: Some(Box::new(entry)) }
    }
}

struct Entry<K, L> {
    key: K,
    message: Message,
    lease: Lease,
    permit: Permit,
    handed: u32,
    out: Out<K, L>,
}

#[async_trait]
impl<K, L> Held for Entry<K, L>
where
    K: Clone + Send + Sync + 'static,
    L: Ledger<K>,
{
    fn message(&self) -> &Message {
        &self.message
    }

    fn lease(&self) -> &Lease {
        &self.lease
    }

    fn handed(&self) -> u32 {
        self.handed
    }

    fn replace_permit(&mut self, permit: Permit) {
        self.permit = permit;
    }

    fn ack<'a>(&'a self) -> Pin<Box<dyn Future<Output = Settled> + Send + 'a>> {
        self.out.desk.ledger.ack(&self.key)
    }

    async fn dead_letter(&mut self, letter: &DeadLetter) -> Result<Settled, DeadLetterError> {
        self.out.desk.ledger.dead_letter(&self.key, &self.message, letter).await
    }

    fn retry(self: Box<Self>, after: Duration) {
        let Self { key, message, lease, permit, handed, out } = *self;
        let again = Again { after, key, message, lease, permit, handed, inherited: false };
        // The pump is gone, or drains: nothing starts any more.
        if let Err(refused) = out.desk.again.send(again) {
            out.desk.ledger.release(refused.0.key);
        }
        drop(out);
    }
}
