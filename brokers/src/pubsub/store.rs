//! Messages that have come and wait for the pump, bounded in number and bytes.
//!
//! They go in and out by the handful: to wake a task for each would cost more than all else that is done with one.

use std::{
    collections::VecDeque,
    sync::{Mutex, MutexGuard, PoisonError},
};

use google_cloud_pubsub::{model::Message, subscriber::handler::Handler};
use tokio::{sync::Notify, time::Instant};

/// How many messages wait here, and bytes of them; a handful is taken in whole. Their leases are kept.
const SIZE: (usize, usize) = (1000, 16 << 20);

/// The most that goes in or out at once.
const HANDFUL: (usize, usize) = (64, 1 << 20);

/// A message that waits for the pump. Dropping it hands it back.
pub(super) struct Arrival {
    pub(super) at: Instant,
    pub(super) message: Message,
    pub(super) handler: Handler,
}

/// Messages that came together.
#[derive(Default)]
pub(super) struct Handful {
    arrivals: VecDeque<Arrival>,
    bytes: usize,
}

impl Handful {
    pub(super) fn add(&mut self, arrival: Arrival) {
        self.bytes += arrival.message.data.len();
        self.arrivals.push_back(arrival);
    }

    pub(super) fn is_full(&self) -> bool {
        self.exceeds(HANDFUL)
    }

    pub(super) fn is_empty(&self) -> bool {
        self.arrivals.is_empty()
    }

    /// The first of them.
    pub(super) fn next(&mut self) -> Option<Arrival> {
        let arrival = self.arrivals.pop_front()?;
        self.bytes -= arrival.message.data.len();
        Some(arrival)
    }

    fn exceeds(&self, (number, bytes): (usize, usize)) -> bool {
        self.arrivals.len() >= number || self.bytes >= bytes
    }
}

/// One puller fills it, and clears it when nobody wants more; one receiver empties it.
#[derive(Default)]
pub(super) struct Store {
    waiting: Mutex<Handful>,
    ready: Notify,
    room: Notify,
}

impl Store {
    /// Takes messages in as soon as there is room. Where it is cancelled before that, they go back.
    pub(super) async fn put(&self, mut come: Handful) {
        while !self.take_in(&mut come) {
            self.room.notified().await;
        }
        self.ready.notify_one();
    }

    fn take_in(&self, come: &mut Handful) -> bool {
        let mut waiting = self.waiting();
        let has_room = !waiting.exceeds(SIZE);
        if has_room {
            waiting.bytes += std::mem::take(&mut come.bytes);
            waiting.arrivals.append(&mut come.arrivals);
        }
        has_room
    }

    /// Moves the next messages into `taken`, which is empty. Cancel safe.
    pub(super) async fn take(&self, taken: &mut Handful) {
        while !self.hand_out(taken) {
            self.ready.notified().await;
        }
        self.room.notify_one();
    }

    fn hand_out(&self, taken: &mut Handful) -> bool {
        let mut waiting = self.waiting();
        while !taken.is_full()
            && let Some(arrival) = waiting.next()
        {
            taken.add(arrival);
        }
        !taken.is_empty()
    }

    /// What was taken waits again, before all else.
    pub(super) fn put_back(&self, taken: &mut Handful) {
        let mut waiting = self.waiting();
        waiting.bytes += std::mem::take(&mut taken.bytes);
        while let Some(arrival) = taken.arrivals.pop_back() {
            waiting.arrivals.push_front(arrival);
        }
    }

    /// Hands all back.
    pub(super) fn clear(&self) {
        let waiting = std::mem::take(&mut *self.waiting());
        drop(waiting);
    }

    pub(super) fn len(&self) -> usize {
        self.waiting().arrivals.len()
    }

    fn waiting(&self) -> MutexGuard<'_, Handful> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
