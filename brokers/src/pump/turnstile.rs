//! The wait for a permit, kept from one turn of the loop to the next.
//!
//! Begun anew in every turn it would lose its place in the queue and the bytes that it has gathered, and a large
//! message would never get past a stream of small ones.

use futures::future::BoxFuture;

use crate::pool::{Permit, Pool};

/// At most one wait.
#[derive(Default)]
pub(super) struct Turnstile {
    queued: Option<Queued>,
}

struct Queued {
    bytes: usize,
    permit: BoxFuture<'static, Permit>,
}

impl Turnstile {
    /// Queues for a message of `bytes` bytes, and stays in the queue if it stands there already; `None` leaves it.
    pub(super) fn queue(&mut self, pool: &Pool, bytes: Option<usize>) {
        if self.queued.as_ref().map(|queued| queued.bytes) == bytes {
            return;
        }
        self.queued = bytes.map(|bytes| {
            let pool = pool.clone();
            Queued { bytes, permit: Box::pin(async move { pool.acquire(bytes).await }) }
        });
    }

    /// The permit; never, while nobody queues. Cancel safe: the place in the queue is kept.
    pub(super) async fn pass(&mut self) -> Permit {
        let Some(queued) = &mut self.queued else { return std::future::pending().await };
        let permit = queued.permit.as_mut().await;
        self.queued = None;
        permit
    }
}
