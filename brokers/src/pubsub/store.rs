//! Messages that have come and wait for the pump, bounded in number and bytes.

use std::{
    collections::VecDeque,
    sync::{Mutex, MutexGuard, PoisonError},
};

use crate::pool::{Permit, Pool};
use google_cloud_pubsub::{model::Message, subscriber::handler::Handler};
use tokio::{sync::Notify, time::Instant};

/// How many messages wait here, and bytes of them. Their leases are kept.
const SIZE: (usize, usize) = (1000, 16 << 20);

/// A message that waits for the pump. Dropping it hands it back.
pub(super) struct Arrival {
    pub(super) at: Instant,
    pub(super) message: Message,
    pub(super) handler: Handler,
    /// Its place in the store.
    _place: Permit,
}

/// One puller fills it, and clears it when nobody wants more; one receiver empties it.
pub(super) struct Store {
    room: Pool,
    waiting: Mutex<VecDeque<Arrival>>,
    ready: Notify,
}

impl Default for Store {
    fn default() -> Self {
        let room = Pool::new(SIZE.0, SIZE.1);
        Self { room, waiting: Mutex::default(), ready: Notify::new() }
    }
}

impl Store {
    /// Takes a message in as soon as there is room. Where it is cancelled before that, the message goes back.
    pub(super) async fn put(&self, message: Message, handler: Handler) {
        let (at, size) = (Instant::now(), message.data.len());
        let place = match self.room.try_acquire(size) {
            Some(place) => place,
            None => self.room.acquire(size).await,
        };
        self.waiting().push_back(Arrival { at, message, handler, _place: place });
        self.ready.notify_one();
    }

    /// The next message. Cancel safe.
    pub(super) async fn next(&self) -> Arrival {
        loop {
            if let Some(arrival) = self.waiting().pop_front() {
                return arrival;
            }
            self.ready.notified().await;
        }
    }

    /// Hands all back.
    pub(super) fn clear(&self) {
        let waiting = std::mem::take(&mut *self.waiting());
        drop(waiting);
    }

    pub(super) fn len(&self) -> usize {
        self.waiting().len()
    }

    fn waiting(&self) -> MutexGuard<'_, VecDeque<Arrival>> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
