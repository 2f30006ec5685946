//! The few tasks that begin what the pump hands over. Most events end where they begin, read and passed over, and that takes
//! less than a task costs: only what has to wait gets a task of its own.

use std::{
    collections::VecDeque,
    future::Future,
    num::NonZero,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    thread::available_parallelism,
};

use futures::poll;
use tokio::{runtime::Handle, task::coop::consume_budget};
use tokio_util::{
    sync::{CancellationToken, ReusableBoxFuture},
    task::TaskTracker,
};

/// Another reader begins where more than so many wait for each one.
const ENOUGH: usize = 8;

/// What is done with each.
pub(super) trait Handler<T>: Send + Sync + 'static {
    /// The work on one.
    type Work: Future<Output = ()> + Send + 'static;

    fn begin(&self, one: T) -> Self::Work;
}

impl<T, H, F> Handler<T> for H
where
    H: Fn(T) -> F + Send + Sync + 'static,
    F: Future<Output = ()> + Send + 'static,
{
    type Work = F;

    fn begin(&self, one: T) -> F {
        self(one)
    }
}

/// Begins everything in order, on as many tasks as there are cores.
pub(super) struct Readers<T, H>(Arc<Shared<T, H>>);

struct Shared<T, H> {
    handler: H,
    queue: Mutex<Queue<T>>,
    most: usize,
    runtime: Handle,
    tasks: TaskTracker,
    left: CancellationToken,
}

struct Queue<T> {
    waiting: VecDeque<T>,
    readers: usize,
}

impl<T: Send + 'static, H: Handler<T>> Readers<T, H> {
    /// Readers that handle everything by `handler`, in the runtime that is entered.
    pub(super) fn new(handler: H) -> Self {
        Self(Arc::new(Shared {
            handler,
            queue: Mutex::new(Queue { waiting: VecDeque::new(), readers: 0 }),
            most: available_parallelism().map_or(1, NonZero::get),
            runtime: Handle::current(),
            tasks: TaskTracker::new(),
            left: CancellationToken::new(),
        }))
    }

    /// Handles one more.
    pub(super) fn take(&self, one: T) {
        let mut queue = self.0.queue();
        queue.waiting.push_back(one);
        let (waiting, readers) = (queue.waiting.len(), queue.readers);
        if readers == 0 || waiting > readers * ENOUGH && readers < self.0.most {
            self.0.seat(&mut queue);
        }
    }

    /// Drops all that is not done.
    pub(super) async fn end(self) {
        self.0.left.cancel();
        self.0.tasks.close();
        self.0.tasks.wait().await;
    }
}

impl<T: Send + 'static, H: Handler<T>> Shared<T, H> {
    fn queue(&self) -> MutexGuard<'_, Queue<T>> {
        self.queue.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn seat(self: &Arc<Self>, queue: &mut Queue<T>) {
        queue.readers += 1;
        self.spawn(Seat(self.clone()).read());
    }

    fn spawn(&self, work: impl Future<Output = ()> + Send + 'static) {
        self.tasks.spawn_on(self.left.clone().run_until_cancelled_owned(work), &self.runtime);
    }
}

/// A reader's place. It is given up whatever ends the reader, and taken by another if that leaves something waiting.
struct Seat<T: Send + 'static, H: Handler<T>>(Arc<Shared<T, H>>);

impl<T: Send + 'static, H: Handler<T>> Drop for Seat<T, H> {
    fn drop(&mut self) {
        let mut queue = self.0.queue();
        queue.readers -= 1;
        if !queue.waiting.is_empty() && !self.0.left.is_cancelled() {
            self.0.seat(&mut queue);
        }
    }
}

impl<T: Send + 'static, H: Handler<T>> Seat<T, H> {
    /// Begins what waits until nothing does.
    async fn read(self) {
        let mut room: Option<ReusableBoxFuture<'static, ()>> = None;
        while let Some(one) = self.next() {
            let work = self.0.handler.begin(one);
            let mut begun = match room.take() {
                None => ReusableBoxFuture::new(work),
                Some(mut room) => {
                    room.set(work);
                    room
                }
            };
            match poll!(&mut begun).is_ready() {
                true => room = Some(begun),
                false => self.0.spawn(begun),
            }
            consume_budget().await;
        }
    }

    fn next(&self) -> Option<T> {
        self.0.queue().waiting.pop_front()
    }
}

#[cfg(test)]
mod tests {
    use tokio::sync::{Barrier, mpsc};

    use super::*;

    #[tokio::test]
    async fn one_that_breaks_takes_no_other_with_it() {
        let (done, mut ended) = mpsc::unbounded_channel();
        let readers = Readers::new(move |n: u32| {
            let done = done.clone();
            async move {
                assert_ne!(n % 3, 0, "every third breaks");
                done.send(n).unwrap();
            }
        });
        (0..100).for_each(|n| readers.take(n));
        for n in (0..100).filter(|n| n % 3 != 0) {
            assert_eq!(ended.recv().await, Some(n));
        }
    }

    #[tokio::test]
    async fn what_waits_keeps_nothing_from_ending() {
        let everybody = Arc::new(Barrier::new(51));
        let waits = everybody.clone();
        let readers = Readers::new(move |_: u32| {
            let waits = waits.clone();
            async move {
                waits.wait().await;
            }
        });
        (0..50).for_each(|n| readers.take(n));
        everybody.wait().await;
    }

    #[tokio::test]
    async fn nothing_outlives_the_end() {
        let held = Arc::new(());
        let readers = Readers::new(|_held: Arc<()>| std::future::pending());
        (0..50).for_each(|_| readers.take(held.clone()));
        tokio::task::yield_now().await;
        (0..50).for_each(|_| readers.take(held.clone()));
        readers.end().await;
        assert_eq!(Arc::strong_count(&held), 1);
    }
}
