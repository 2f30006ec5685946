//! How long messages are ours. Pub/Sub doesn't say when it takes one away, so it is our own clock that does, before the
//! client stops to extend its lease.

use std::time::Duration;

use tokio::time::{Instant, sleep_until};
use tokio_util::sync::CancellationToken;

use crate::lease::Lease;

use super::config::Limits;

/// The client goes on extending for this long after our clock has ended a lease: never the other way round.
pub(super) const SLACK: Duration = Duration::from_secs(30);

/// Messages that came at about the same time share a lease, so that it costs little: a lease's time is cut into so many.
const COHORTS: u32 = 600;

/// The leases of one worker.
pub(super) struct Leases {
    limits: Limits,
    left: CancellationToken,
    /// The newest, and when its first message came.
    newest: Option<(Instant, Lease)>,
}

impl Leases {
    /// Leases that are all lost once `left` fires.
    pub(super) fn new(limits: Limits, left: CancellationToken) -> Self {
        Self { limits, left, newest: None }
    }

    /// The lease of a message that came at `at`. Never earlier than one before.
    pub(super) fn of(&mut self, at: Instant) -> Lease {
        let span = self.limits.lease / COHORTS;
        match &self.newest {
            Some((first, lease)) if at.saturating_duration_since(*first) <= span => lease.clone(),
            _ => {
                let lease = Lease::new();
                tokio::spawn(end(lease.clone(), at, self.limits, self.left.clone()));
                self.newest.insert((at, lease)).1.clone()
            }
        }
    }
}

async fn end(lease: Lease, began: Instant, limits: Limits, left: CancellationToken) {
    let over = began + limits.lease;
    let asked_back = async {
        sleep_until(over - limits.notice.min(limits.lease)).await;
        lease.close();
        sleep_until(over).await;
    };
    tokio::select! {
        () = asked_back => {}
        () = left.cancelled() => {}
    }
    lease.lose();
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    fn leases() -> (Leases, CancellationToken) {
        let left = CancellationToken::new();
        let limits = Limits { lease: 600 * SECOND, notice: 60 * SECOND, ..Limits::default() };
        (Leases::new(limits, left.clone()), left)
    }

    #[tokio::test(start_paused = true)]
    async fn a_lease_closes_and_is_lost_as_long_after_the_message_came() {
        let (mut leases, _left) = leases();
        // It came a while before it is looked at.
        let came = Instant::now();
        tokio::time::advance(100 * SECOND).await;
        let lease = leases.of(came);
        lease.closing().cancelled().await;
        assert!((540..542).contains(&came.elapsed().as_secs()), "{:?}", came.elapsed());
        assert!(!lease.is_lost());
        lease.lost().cancelled().await;
        assert!((600..602).contains(&came.elapsed().as_secs()), "{:?}", came.elapsed());
    }

    #[tokio::test(start_paused = true)]
    async fn what_comes_later_is_held_for_longer() {
        let (mut leases, _left) = leases();
        let first = leases.of(Instant::now());
        let with_it = leases.of(Instant::now() + SECOND / 2);
        let later = leases.of(Instant::now() + 30 * SECOND);
        first.lost().cancelled().await;
        assert!(with_it.is_lost());
        assert!(!later.is_lost());
    }

    #[tokio::test(start_paused = true)]
    async fn whoever_leaves_has_none() {
        let (mut leases, left) = leases();
        let lease = leases.of(Instant::now());
        left.cancel();
        lease.lost().cancelled().await;
    }
}
