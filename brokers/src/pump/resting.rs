//! What waits for its retry, or for its ledger's word, permits taken.

use std::sync::Arc;

use futures::{StreamExt, future::BoxFuture, stream::FuturesUnordered};
use tokio_util::sync::CancellationToken;

use crate::{contract::Ledger, delivery::Again};

/// Deliveries whose time to be handed over again has not come.
///
/// One whose lease closes comes out at once: a broker that asks for it back shall not wait for a retry's delay.
pub(super) struct Resting<K> {
    entries: FuturesUnordered<BoxFuture<'static, Again<K>>>,
    enough: CancellationToken,
}

impl<K: Send + Sync + 'static> Resting<K> {
    pub(super) fn new() -> Self {
        Self { entries: FuturesUnordered::new(), enough: CancellationToken::new() }
    }

    pub(super) fn add<L: Ledger<K>>(&mut self, again: Again<K>, ledger: &Arc<L>) {
        self.entries.push(Box::pin(rest(again, ledger.clone(), self.enough.clone())));
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

async fn rest<K: Sync, L: Ledger<K>>(
    again: Again<K>,
    ledger: Arc<L>,
    enough: CancellationToken,
) -> Again<K> {
    let rest = async {
        tokio::time::sleep(again.after).await;
        if again.inherited {
            ledger.begin(&again.key).await;
        }
    };
    tokio::select! {
        () = rest => {}
        () = again.lease.closing().cancelled() => {}
        () = enough.cancelled() => {}
    }
    again
}
