//! The loop between a broker and its handler: receive, filter, wait for a permit, hand over, drain.
//!
//! What lives here: the order of things, alike for every broker. What may not: anything of one broker, or of what a
//! message says.

mod feed;
mod flow;
mod resting;
mod turnstile;

#[cfg(test)]
mod tests;

use std::{
    sync::{Arc, atomic::AtomicU64},
    time::Duration,
};

use tokio::{
    sync::{mpsc, watch},
    time::Instant,
};
use tokio_util::sync::CancellationToken;

use crate::{
    contract::{Error, Ledger, Receiver},
    delivery::{Delivery, Desk, InFlight},
    pool::Pool,
};

use self::{feed::Feed, flow::Pump};

/// What a pump is given beside its broker.
pub struct Intake {
    /// Bounds what is held.
    pub pool: Pool,
    /// While true nothing new is taken in: something that the handlers depend on is away. Retries go on, for they
    /// find out when it is back.
    pub hold: watch::Receiver<bool>,
    /// What has passed, for metrics.
    pub passed: Arc<Passed>,
    /// Fires when the pump shall drain and end.
    pub stop: CancellationToken,
    /// How long the drain may take.
    pub drain: Duration,
}

/// Messages counted by what became of them in the pump.
#[derive(Debug, Default)]
pub struct Passed {
    /// Skipped by the filter.
    pub skipped: AtomicU64,
    /// Kept, and handed over.
    pub kept: AtomicU64,
    /// Handed over again after a retry.
    pub again: AtomicU64,
}

/// Runs one subscription until it is stopped or its receiver fails.
///
/// `wants` sees every message in the receiver's own buffer and has to be fast; what it refuses is skipped, so when unsure
/// it says true. `handle` is called in the loop: it spawns a task and returns.
///
/// On a stop nothing new is handed over, what is out is waited for until the drain's end, and the ledger is closed. What
/// the handlers still hold then is theirs to drop: it comes again.
///
/// # Errors
/// The receiver or the ledger failed for good; everything unsettled will be delivered again.
pub async fn run<R, L, W, H>(
    receiver: R,
    ledger: Arc<L>,
    intake: Intake,
    wants: W,
    handle: H,
) -> Result<(), Error>
where
    R: Receiver,
    L: Ledger<R::Key>,
    W: Fn(&[u8]) -> bool + Sync + Send,
    H: FnMut(Delivery) + Send,
{
    let (again, retries) = mpsc::unbounded_channel();
    let desk = Arc::new(Desk { ledger: ledger.clone(), again, in_flight: InFlight::default() });
    let drain = intake.drain;
    let (pool, passed) = (intake.pool.clone(), intake.passed.clone());
    let mut pump =
        Pump::new(Feed { receiver, desk: desk.clone(), handle, pool, passed }, intake, retries);
    let ended = pump.flow(&wants).await;
    let deadline = Instant::now() + drain;
    pump.hand_back().await;
    if ended.is_ok() {
        pump.drain(&desk.in_flight, deadline).await;
    }
    let closed = ledger.close(deadline.max(Instant::now() + Duration::from_secs(1))).await;
    ended.and(closed)
}
