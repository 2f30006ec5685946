//! What waits for its retry, permits taken.

use futures::{StreamExt, future::BoxFuture, stream::FuturesUnordered};
use tokio_util::sync::CancellationToken;

use crate::delivery::Again;

/// Deliveries whose time to be handed over again has not come.
///
/// One whose lease closes comes out at once: a broker that asks for it back shall not wait for a retry's delay.
pub(super) struct Resting<K> {
    entries: FuturesUnordered<BoxFuture<'static, Again<K>>>,
    enough: CancellationToken,
}

impl<K: Send + 'static> Resting<K> {
    pub(super) fn new() -> Self {
        Self { entries: FuturesUnordered::new(), enough: CancellationToken::new() }
    }

    pub(super) fn add(&mut self, again: Again<K>) {
        self.entries.push(Box::pin(rest(again, self.enough.clone())));
    }

    /// The next whose rest is over; none while nothing rests. Cancel safe.
    pub(super) async fn next(&mut self) -> Option<Again<K>> {
        self.entries.next().await
    }

    /// Ends every rest.
    pub(super) fn wake_all(&self) {
        self.enough.cancel();
    }
}

async fn rest<K>(again: Again<K>, enough: CancellationToken) -> Again<K> {
    tokio::select! {
        () = tokio::time::sleep(again.after) => {}
        () = again.lease.closing().cancelled() => {}
        () = enough.cancelled() => {}
    }
    again
}
