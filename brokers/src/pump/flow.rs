//! What the loop does next: take in, pause, resume, hand back, drain.

use std::{collections::VecDeque, future::pending, time::Duration};

use tokio::{sync::mpsc, time::Instant};

use crate::{
    contract::{Demand, Error, Ledger, Receiver},
    delivery::{Again, Delivery, InFlight},
    pool::Permit,
};

use super::{
    Intake,
    feed::{Feed, Kept},
    resting::Resting,
    turnstile::Turnstile,
};

/// How long the loop goes without a permit before it pauses its receiver: pausing Kafka throws away what was
/// prefetched, so a short wait is cheaper.
const PATIENCE: Duration = Duration::from_secs(1);

/// How long a paused loop sees a permit free before it resumes, though less than half of its pool is: the rest may be out
/// for hours, and a short message shall not wait for long beside them.
const ROOM: Duration = Duration::from_millis(250);

/// How often the loop lets others run before it waits for a permit.
const STEPS_ASIDE: usize = 16;

/// How often a paused loop looks whether half of its pool is free again, and whether what waits has been asked back.
const RECHECK: Duration = Duration::from_millis(50);

pub(super) struct Pump<R: Receiver, L, H> {
    feed: Feed<R, L, H>,
    intake: Intake,
    retries: mpsc::UnboundedReceiver<Again<R::Key>>,
    /// Kept, and waiting for a permit. One as a rule; a few more where the receiver had them on their way.
    waiting: VecDeque<Kept<R::Key>>,
    resting: Resting<R::Key>,
    demand: Demand,
    /// Since when a paused loop has seen a permit that nobody waits for.
    room_since: Option<Instant>,
}

impl<R, L, H> Pump<R, L, H>
where
    R: Receiver,
    L: Ledger<R::Key>,
    H: FnMut(Delivery) + Send,
{
    pub(super) fn new(
        feed: Feed<R, L, H>,
        intake: Intake,
        retries: mpsc::UnboundedReceiver<Again<R::Key>>,
    ) -> Self {
        let (waiting, resting) = (VecDeque::new(), Resting::new());
        let (demand, room_since) = (Demand::Flow, None);
        Self { feed, intake, retries, waiting, resting, demand, room_since }
    }

    /// Runs until the stop, or until the receiver fails.
    pub(super) async fn flow<W>(&mut self, wants: &W) -> Result<(), Error>
    where
        W: Fn(&[u8]) -> bool + Sync + Send,
    {
        let stop = self.intake.stop.clone();
        let mut hold = self.intake.hold.clone();
        let mut patience: Option<Instant> = None;
        let mut turnstile = Turnstile::default();
        loop {
            let open = !*hold.borrow_and_update();
            self.adjust_demand(open, patience);
            let paused = self.demand == Demand::Pause;
            if paused {
                self.give_up_what_was_asked_back();
            }
            let size = self.waiting.front().map(|(message, ..)| message.payload.len());
            patience = size.map(|_| patience.unwrap_or_else(|| Instant::now() + PATIENCE));
            turnstile.queue(&self.intake.pool, size.filter(|_| open));
            tokio::select! {
                biased;
                () = stop.cancelled() => return Ok(()),
                Ok(()) = hold.changed() => {}
                Some(again) = self.retries.recv() => self.resting.add(again, &self.feed.desk.ledger),
                Some(again) = self.resting.next() => self.feed.hand_over_again(again),
                permit = turnstile.pass() => self.hand_over_waiting(permit),
                () = until(patience), if !paused => {}
                () = tokio::time::sleep(RECHECK), if paused => {}
                waits = self.feed.until_one_waits(wants, open), if paused || size.is_none() => {
                    self.waiting.push_back(waits?);
                    if open && !paused {
                        self.step_aside().await;
                    }
                }
            }
        }
    }

    /// Lets the handlers run before it waits in earnest: short work ends meanwhile and gives many permits back at once,
    /// where waiting for each by itself would cost a wake-up a message.
    async fn step_aside(&mut self) {
        for _ in 0..STEPS_ASIDE {
            tokio::task::yield_now().await;
            let Some((message, ..)) = self.waiting.front() else { return };
            if let Some(permit) = self.intake.pool.try_acquire(message.payload.len()) {
                return self.hand_over_waiting(permit);
            }
        }
    }

    /// Pauses on a hold, or after a while without permits; resumes when both are over: at once if half of the pool is
    /// free, or when a permit has been free for a while.
    fn adjust_demand(&mut self, open: bool, patience: Option<Instant>) {
        let now = Instant::now();
        let starved = patience.is_some_and(|until| until <= now);
        let paused = self.demand == Demand::Pause;
        let room = paused && open && self.waiting.is_empty() && self.intake.pool.has_room();
        self.room_since = room.then(|| self.room_since.unwrap_or(now));
        let demand = match (self.demand, self.room_since) {
            (Demand::Flow, _) if !open || starved => Demand::Pause,
            (Demand::Pause, Some(since)) if self.intake.pool.half_free() || now - since >= ROOM => {
                Demand::Flow
            }
            (unchanged, _) => unchanged,
        };
        if demand != self.demand {
            self.demand = demand;
            self.feed.receiver.demand(demand);
        }
    }

    fn hand_over_waiting(&mut self, permit: Permit) {
        if let Some((message, key, lease)) = self.waiting.pop_front() {
            self.feed.hand_over(message, key, lease, permit);
        }
    }

    fn give_up_what_was_asked_back(&mut self) {
        let ledger = &self.feed.desk.ledger;
        self.waiting.retain(|(_, key, lease)| {
            let keep = !lease.is_closing();
            if !keep {
                ledger.release(key.clone());
            }
            keep
        });
    }

    /// Gives back what waits here and nobody works on. From now on a retry gives its message back too.
    pub(super) async fn hand_back(&mut self) {
        let ledger = &self.feed.desk.ledger;
        for (_, key, _) in self.waiting.drain(..) {
            ledger.release(key);
        }
        self.retries.close();
        while let Some(again) = self.retries.recv().await {
            ledger.release(again.key);
        }
        self.resting.wake_all();
        while let Some(again) = self.resting.next().await {
            ledger.release(again.key);
        }
    }

    /// Waits for what is out with the handlers. The receiver is kept alive meanwhile, so that leases are; a message that
    /// it yields all the same is handed back.
    pub(super) async fn drain(&mut self, in_flight: &InFlight, deadline: Instant) {
        self.feed.receiver.drain();
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

async fn until(instant: Option<Instant>) {
    match instant {
        Some(instant) => tokio::time::sleep_until(instant).await,
        None => pending().await,
    }
}
