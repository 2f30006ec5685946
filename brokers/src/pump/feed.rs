//! The straight way of a message, from the receiver to the handler.

use std::{
    ops::ControlFlow,
    sync::{Arc, atomic::Ordering},
    time::Duration,
};

use crate::{
    contract::{Error, Ledger, Receiver},
    delivery::{Again, Delivery, Desk},
    lease::Lease,
    message::{Borrowed, Message},
    pool::{Permit, Pool},
};

use super::Passed;

/// A message that the filter wants, with what it is settled by.
pub(super) type Kept<K> = (Message, K, Lease);

pub(super) struct Feed<R: Receiver, L, H> {
    pub(super) receiver: R,
    pub(super) desk: Arc<Desk<R::Key, L>>,
    pub(super) handle: H,
    pub(super) pool: Pool,
    pub(super) passed: Arc<Passed>,
}

impl<R, L, H> Feed<R, L, H>
where
    R: Receiver,
    L: Ledger<R::Key>,
    H: FnMut(Delivery) + Send,
{
    /// Receives, skips and hands over until a message is kept that has to wait: for a permit, or for the intake to open.
    /// Cancel safe as the receiver is: between two messages.
    pub(super) async fn until_one_waits<W>(
        &mut self,
        wants: &W,
        open: bool,
    ) -> Result<Kept<R::Key>, Error>
    where
        W: Fn(&[u8]) -> bool + Sync,
    {
        loop {
            if let ControlFlow::Break(waits) = self.one(wants, open).await? {
                return Ok(waits);
            }
            // A full client queue would never let the loop's other branches run.
            tokio::task::coop::consume_budget().await;
        }
    }

    async fn one<W>(&mut self, wants: &W, open: bool) -> Result<ControlFlow<Kept<R::Key>>, Error>
    where
        W: Fn(&[u8]) -> bool + Sync,
    {
        let (message, key, lease) = self.receiver.next().await?;
        if !wants(message.payload()) {
            self.desk.ledger.skip(key);
            self.passed.skipped.fetch_add(1, Ordering::Relaxed);
            return Ok(ControlFlow::Continue(()));
        }
        let message = message.detach();
        let permit = if open { self.pool.try_acquire(message.payload.len()) } else { None };
        Ok(match permit {
            Some(permit) => {
                self.hand_over(message, key, lease, permit);
                ControlFlow::Continue(())
            }
            None => ControlFlow::Break((message, key, lease)),
        })
    }

    /// Hands a message over for the first time, unless it has been asked back meanwhile. One that another worker was handed
    /// before, and may have died of, takes the way of a retry: its ledger has a word first.
    pub(super) fn hand_over(
        &mut self,
        message: Message,
        key: R::Key,
        lease: Lease,
        permit: Permit,
    ) {
        if lease.is_closing() {
            return self.desk.ledger.release(key);
        }
        self.passed.kept.fetch_add(1, Ordering::Relaxed);
        let (after, handed) = (Duration::ZERO, message.attempt.earlier());
        let inherited = handed > 0;
        let first = Again { after, key, message, lease, permit, handed, inherited };
        if !inherited {
            return (self.handle)(self.desk.hand_over(first));
        }
        // The pump drains: nothing starts any more.
        if let Err(refused) = self.desk.again.send(first) {
            self.desk.ledger.release(refused.0.key);
        }
    }

    /// Hands a message over again, unless it has been asked back meanwhile.
    pub(super) fn hand_over_again(&mut self, again: Again<R::Key>) {
        if again.lease.is_closing() {
            return self.desk.ledger.release(again.key);
        }
        if !again.inherited {
            self.passed.again.fetch_add(1, Ordering::Relaxed);
        }
        (self.handle)(self.desk.hand_over(again));
    }
}
