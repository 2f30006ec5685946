//! Acks of what was skipped and naks of what is given back: sent in order, and not waited for. One that is lost brings its
//! message again, to be skipped again.

use std::sync::{
    Arc,
    atomic::{AtomicUsize, Ordering},
};

use tokio::sync::{Notify, mpsc};

use super::{term::Held, verb::Verb};

/// With so many waiting nothing new is asked for.
const FULL: usize = 4096;

/// How many are taken out at once.
const BATCH: usize = 256;

type Letter = (Arc<Held>, Verb);

pub(super) struct Outbox {
    letters: mpsc::UnboundedSender<Letter>,
    waiting: Arc<Waiting>,
}

#[derive(Default)]
struct Waiting {
    count: AtomicUsize,
    sent: Notify,
}

impl Outbox {
    /// Opens it; it is emptied by a task for as long as it lives.
    pub(super) fn open() -> Self {
        let (letters, posted) = mpsc::unbounded_channel();
        let waiting = Arc::<Waiting>::default();
        tokio::spawn(send(posted, waiting.clone()));
        Self { letters, waiting }
    }

    pub(super) fn post(&self, held: Arc<Held>, verb: Verb) {
        self.waiting.count.fetch_add(1, Ordering::AcqRel);
        // The task ends after this.
        let _ = self.letters.send((held, verb));
    }

    pub(super) fn is_full(&self) -> bool {
        self.waiting.count.load(Ordering::Acquire) >= FULL
    }

    /// Waits until all that was posted is with the client. Cancel safe.
    pub(super) async fn is_empty(&self) {
        loop {
            let sent = self.waiting.sent.notified();
            if self.waiting.count.load(Ordering::Acquire) == 0 {
                return;
            }
            sent.await;
        }
    }
}

async fn send(mut posted: mpsc::UnboundedReceiver<Letter>, waiting: Arc<Waiting>) {
    let mut batch = Vec::with_capacity(BATCH);
    loop {
        let count = posted.recv_many(&mut batch, BATCH).await;
        if count == 0 {
            return;
        }
        for (held, verb) in batch.drain(..) {
            // Its message comes again anyway, and its sequence may be another's by now.
            if !held.term.is_over() {
                let sent = held.term.client.publish(held.reply.clone(), verb.bytes());
                tokio::select! {
                    _ = sent => {}
                    () = held.term.lease.lost().cancelled() => {}
                }
            }
        }
        waiting.count.fetch_sub(count, Ordering::AcqRel);
        waiting.sent.notify_waiters();
    }
}
