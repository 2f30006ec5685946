//! The loop between a broker and its handler: receive, filter, wait for a permit, hand over, drain.

use std::{
    collections::VecDeque,
    future::pending,
    ops::ControlFlow,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use tokio::{
    sync::{mpsc, watch},
    time::Instant,
};
use tokio_util::{sync::CancellationToken, time::DelayQueue};

use crate::{
    contract::{Demand, Error, Ledger, Receiver},
    delivery::{Again, Delivery, Desk, InFlight},
    lease::Lease,
    message::{Borrowed, Message},
    pool::{Permit, Pool},
};

/// How long the loop goes without a permit before it pauses its receiver: pausing Kafka throws away what was
/// prefetched, so a short wait is cheaper.
const PATIENCE: Duration = Duration::from_secs(1);

/// How often a paused loop looks whether half of its pool is free again.
const RECHECK: Duration = Duration::from_millis(50);

/// What a pump is given beside its broker.
pub struct Intake {
    /// Bounds what is held.
    pub pool: Pool,
    /// While true nothing new is taken in: something that the handlers depend on is away.
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
    let in_flight = Arc::new(InFlight::default());
    let desk = Arc::new(Desk { ledger: ledger.clone(), again, in_flight: in_flight.clone() });
    let mut pump = Pump {
        feed: Feed {
            receiver,
            desk,
            handle,
            pool: intake.pool.clone(),
            passed: intake.passed.clone(),
        },
        intake,
        waiting: VecDeque::new(),
        resting: DelayQueue::new(),
        demand: Demand::Flow,
    };
    let ended = pump.flow(retries, &wants).await;
    let deadline = Instant::now() + pump.intake.drain;
    pump.hand_back();
    if ended.is_ok() {
        pump.drain(&in_flight, deadline).await;
    }
    let closed = ledger.close(deadline.max(Instant::now() + Duration::from_secs(1))).await;
    ended.and(closed)
}

struct Pump<R: Receiver, L, H> {
    feed: Feed<R, L, H>,
    intake: Intake,
    /// Kept, and waiting for a permit. One as a rule; a few more where the receiver had them on their way.
    waiting: VecDeque<Kept<R::Key>>,
    /// Waiting for their time to be handed over again, permits taken.
    resting: DelayQueue<Again<R::Key>>,
    demand: Demand,
}

impl<R, L, H> Pump<R, L, H>
where
    R: Receiver,
    L: Ledger<R::Key>,
    H: FnMut(Delivery) + Send,
{
    async fn flow<W>(
        &mut self,
        mut retries: mpsc::UnboundedReceiver<Again<R::Key>>,
        wants: &W,
    ) -> Result<(), Error>
    where
        W: Fn(&[u8]) -> bool + Sync + Send,
    {
        let stop = self.intake.stop.clone();
        let mut hold = self.intake.hold.clone();
        let mut patience: Option<Instant> = None;
        loop {
            let held = *hold.borrow_and_update();
            self.adjust_demand(held, patience);
            let size = self.waiting.front().map(|(message, ..)| message.payload.len());
            patience = size.map(|_| patience.unwrap_or_else(|| Instant::now() + PATIENCE));
            let receiving = self.waiting.is_empty() || self.demand == Demand::Pause;
            let pool = &self.intake.pool;
            tokio::select! {
                biased;
                () = stop.cancelled() => return Ok(()),
                Ok(()) = hold.changed() => {}
                Some(again) = retries.recv() => {
                    let after = again.after;
                    self.resting.insert(again, after);
                }
                Some(again) = next_rested(&mut self.resting) => self.hand_over_again(again),
                permit = permit_for(pool, size) => self.hand_over_waiting(permit),
                () = until(patience), if self.demand == Demand::Flow && patience.is_some() => {}
                () = tokio::time::sleep(RECHECK), if self.demand == Demand::Pause && !held && size.is_none() => {}
                kept = self.feed.until_starved(wants), if receiving => self.waiting.push_back(kept?),
            }
        }
    }

    /// Pauses on an outage, or after a while without permits; resumes when both are over and half the pool is free.
    fn adjust_demand(&mut self, held: bool, patience: Option<Instant>) {
        let starved = patience.is_some_and(|until| until <= Instant::now());
        let demand = match self.demand {
            Demand::Flow if held || starved => Demand::Pause,
            Demand::Pause if !held && self.waiting.is_empty() && self.intake.pool.half_free() => {
                Demand::Flow
            }
            unchanged => unchanged,
        };
        if demand != self.demand {
            self.demand = demand;
            self.feed.receiver.demand(demand);
        }
    }

    fn hand_over_waiting(&mut self, permit: Permit) {
        let Some((message, key, lease)) = self.waiting.pop_front() else { return };
        if lease.is_closing() {
            return self.feed.desk.ledger.release(key);
        }
        self.feed.hand_over(message, key, lease, permit);
    }

    fn hand_over_again(&mut self, again: Again<R::Key>) {
        if again.lease.is_closing() {
            return self.feed.desk.ledger.release(again.key);
        }
        self.feed.passed.again.fetch_add(1, Ordering::Relaxed);
        (self.feed.handle)(self.feed.desk.hand_over(again));
    }

    /// Gives back what waits here and nobody works on.
    fn hand_back(&mut self) {
        for (_, key, _) in self.waiting.drain(..) {
            self.feed.desk.ledger.release(key);
        }
        while let Some(key) = self.resting.peek() {
            self.feed.desk.ledger.release(self.resting.remove(&key).into_inner().key);
        }
    }

    /// Waits for what is out with the handlers. The receiver is kept alive meanwhile, so that leases are; a message that
    /// it yields all the same is handed back.
    async fn drain(&mut self, in_flight: &InFlight, deadline: Instant) {
        self.feed.receiver.demand(Demand::Pause);
        loop {
            tokio::select! {
                biased;
                () = in_flight.none() => return,
                () = tokio::time::sleep_until(deadline) => {
                    tracing::warn!(
                        in_flight = in_flight.count(),
                        "the drain limit has passed; what still runs will be delivered again"
                    );
                    return;
                }
                late = self.feed.receiver.next() => match late {
                    Ok((_, key, _)) => self.feed.desk.ledger.release(key),
                    Err(error) => {
                        tracing::warn!(%error, "receiving failed during the drain");
                        return;
                    }
                },
            }
        }
    }
}

/// The straight way of a message, from the receiver to the handler.
struct Feed<R: Receiver, L, H> {
    receiver: R,
    desk: Arc<Desk<R::Key, L>>,
    handle: H,
    pool: Pool,
    passed: Arc<Passed>,
}

type Kept<K> = (Message, K, Lease);

impl<R, L, H> Feed<R, L, H>
where
    R: Receiver,
    L: Ledger<R::Key>,
    H: FnMut(Delivery) + Send,
{
    /// Receives, skips and hands over until a message is kept for which there is no permit. Cancel safe as the receiver is:
    /// between two messages.
    async fn until_starved<W>(&mut self, wants: &W) -> Result<Kept<R::Key>, Error>
    where
        W: Fn(&[u8]) -> bool + Sync,
    {
        loop {
            if let ControlFlow::Break(starved) = self.one(wants).await? {
                return Ok(starved);
            }
            // A full client queue would never let the loop's other branches run.
            tokio::task::coop::consume_budget().await;
        }
    }

    async fn one<W>(&mut self, wants: &W) -> Result<ControlFlow<Kept<R::Key>>, Error>
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
        match self.pool.try_acquire(message.payload.len()) {
            Some(permit) => {
                self.hand_over(message, key, lease, permit);
                Ok(ControlFlow::Continue(()))
            }
            None => Ok(ControlFlow::Break((message, key, lease))),
        }
    }

    fn hand_over(&mut self, message: Message, key: R::Key, lease: Lease, permit: Permit) {
        self.passed.kept.fetch_add(1, Ordering::Relaxed);
        let first = Again { after: Duration::ZERO, key, message, lease, permit, handed: 0 };
        (self.handle)(self.desk.hand_over(first));
    }
}

async fn next_rested<T>(resting: &mut DelayQueue<T>) -> Option<T> {
    match resting.is_empty() {
        true => None,
        false => futures::future::poll_fn(|cx| resting.poll_expired(cx))
            .await
            .map(tokio_util::time::delay_queue::Expired::into_inner),
    }
}

async fn permit_for(pool: &Pool, size: Option<usize>) -> Permit {
    match size {
        Some(size) => pool.acquire(size).await,
        None => pending().await,
    }
}

async fn until(instant: Option<Instant>) {
    match instant {
        Some(instant) => tokio::time::sleep_until(instant).await,
        None => pending().await,
    }
}
