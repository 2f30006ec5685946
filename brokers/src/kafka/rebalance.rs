//! Partitions that are asked back: what runs may finish, for a while, and is committed before they go.

use std::{
    sync::{Arc, Weak, atomic::Ordering},
    time::Duration,
};

use rdkafka::consumer::Consumer as _;
use tokio::{sync::mpsc, time::Instant};

use super::{
    assignments::{Assignments, Place},
    commit::Committer,
    context::Consumer,
};

/// How often a drain looks whether it is over.
const RECHECK: Duration = Duration::from_millis(200);

pub(super) struct Drains {
    pub(super) assignments: Arc<Assignments>,
    pub(super) committer: Arc<Committer>,
    pub(super) consumer: Weak<Consumer>,
    pub(super) limit: Duration,
}

impl Drains {
    /// Serves until the callbacks' end is gone. One at a time, as the client revokes.
    pub(super) async fn serve(self, mut revoked: mpsc::UnboundedReceiver<Vec<Place>>) {
        while let Some(partitions) = revoked.recv().await {
            if !self.drained(&partitions).await {
                tracing::warn!(
                    partitions = ?self.assignments.names(&partitions),
                    "what ran in partitions asked back has not finished in time; it is fenced and comes again"
                );
            }
            self.committer.give_back(&partitions).await;
        }
    }

    /// Waits until nobody works on them any more. False at the limit, or when they are gone already.
    async fn drained(&self, partitions: &[Place]) -> bool {
        let deadline = Instant::now() + self.limit;
        loop {
            let left = self.assignments.left.notified();
            if self.assignments.are_idle(partitions) {
                return true;
            }
            if Instant::now() >= deadline || self.is_over() {
                return false;
            }
            let recheck = deadline.min(Instant::now() + RECHECK);
            tokio::select! {
                () = left => {}
                () = tokio::time::sleep_until(recheck) => {}
            }
        }
    }

    /// Whether there is nothing left to wait for: the group has given them away, or we are leaving it.
    fn is_over(&self) -> bool {
        self.consumer.upgrade().is_none_or(|consumer| {
            consumer.assignment_lost() || consumer.context().leaving.load(Ordering::Acquire)
        })
    }
}
