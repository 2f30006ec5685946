//! Trying again: with backoff and jitter while attempts and time last, and without end while a dependency is away.

use std::{sync::Arc, time::Duration};

use playbooks::act::{Failure, FailureKind};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use super::outage::{Outages, Waiter};

/// How often, and for how long, one piece of work is tried.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Patience {
    /// Tries at the most; those that meet an outage don't count.
    pub attempts: u32,
    /// From the first try on; time spent in outages doesn't count.
    pub timeout: Duration,
}

/// How trying ended.
#[derive(Debug)]
pub enum Persevered<T> {
    /// It worked, or failed in a way that the work itself speaks for.
    Done(T),
    /// No further try is due.
    GaveUp {
        /// The last failure.
        failure: Failure,
        /// Tries made, outages aside.
        attempts: u32,
    },
    /// The lease was lost, or everybody left. Nothing was begun after that.
    Lost,
}

/// The first wait between two tries.
const FIRST: Duration = Duration::from_millis(500);
/// The longest wait between two tries.
const LONGEST: Duration = Duration::from_secs(30);
/// The longest wait in an outage: its end should be noticed soon.
const LONGEST_IN_OUTAGE: Duration = Duration::from_secs(5);

/// Calls `work` until it succeeds, fails for good, or patience ends. Cancel safe where `work` is.
pub async fn persevere<T>(
    outages: &Arc<Outages>,
    patience: Patience,
    lost: &CancellationToken,
    mut work: impl AsyncFnMut() -> Result<T, Failure>,
) -> Persevered<T> {
    let mut deadline = Instant::now() + patience.timeout;
    let (mut attempts, mut in_outage) = (0, 0);
    // Kept over the next try: the outage ends with that try's success, not with the wait before it.
    let mut outage: Option<(Waiter, Instant)> = None;
    loop {
        if lost.is_cancelled() {
            return Persevered::Lost;
        }
        let failure = match work().await {
            Ok(done) => return Persevered::Done(done),
            Err(failure) => failure,
        };
        let wait = match &failure.kind {
            FailureKind::Permanent => {
                return Persevered::GaveUp { failure, attempts: attempts + 1 };
            }
            FailureKind::Unavailable(dependency) => {
                if outage.as_ref().is_none_or(|(waiter, _)| waiter.dependency() != dependency) {
                    let since = outage.as_ref().map_or_else(Instant::now, |(_, since)| *since);
                    outage = Some((outages.enter(dependency.clone(), &failure.why), since));
                }
                in_outage += 1;
                failure.retry_after.unwrap_or_else(|| backoff(in_outage, LONGEST_IN_OUTAGE))
            }
            FailureKind::Transient => {
                if let Some((_, since)) = outage.take() {
                    deadline += since.elapsed();
                }
                in_outage = 0;
                attempts += 1;
                let wait = failure.retry_after.unwrap_or_else(|| backoff(attempts, LONGEST));
                if attempts >= patience.attempts || Instant::now() + wait > deadline {
                    return Persevered::GaveUp { failure, attempts };
                }
                wait
            }
        };
        tokio::select! {
            biased;
            () = lost.cancelled() => return Persevered::Lost,
            () = tokio::time::sleep(wait) => {}
        }
    }
}

/// Doubles from try to try up to `longest`; the upper half is random, so that workers don't move in step.
fn backoff(tries: u32, longest: Duration) -> Duration {
    let full = FIRST.saturating_mul(2u32.saturating_pow(tries.saturating_sub(1).min(16))).min(longest);
    full.mul_f64(0.5 + fastrand::f64() / 2.0)
}

#[cfg(test)]
mod tests {
    use playbooks::act::Dependency;

    use super::*;

    const PATIENCE: Patience = Patience { attempts: 3, timeout: Duration::from_secs(600) };

    async fn run(
        patience: Patience,
        lost: &CancellationToken,
        mut failures: Vec<Failure>,
    ) -> (Persevered<()>, usize, Arc<Outages>) {
        failures.reverse();
        let outages = Outages::new();
        let mut tries = 0;
        let ended = persevere(&outages, patience, lost, async || {
            tries += 1;
            failures.pop().map_or(Ok(()), Err)
        })
        .await;
        (ended, tries, outages)
    }

    #[tokio::test(start_paused = true)]
    async fn a_transient_failure_is_tried_again_until_the_attempts_are_used_up() {
        let failures = vec![Failure::transient("conflict"); 5];
        let (ended, tries, _) = run(PATIENCE, &CancellationToken::new(), failures).await;
        assert!(matches!(ended, Persevered::GaveUp { attempts: 3, .. }), "{ended:?}");
        assert_eq!(tries, 3);
    }

    #[tokio::test(start_paused = true)]
    async fn a_permanent_failure_is_not_tried_again() {
        let failures = vec![Failure::permanent("forbidden"); 5];
        let (ended, tries, _) = run(PATIENCE, &CancellationToken::new(), failures).await;
        assert!(matches!(ended, Persevered::GaveUp { attempts: 1, .. }), "{ended:?}");
        assert_eq!(tries, 1);
    }

    #[tokio::test(start_paused = true)]
    async fn an_outage_longer_than_the_time_limit_uses_up_neither_attempts_nor_time() {
        let away = Failure::unavailable(Dependency::KubernetesApi, "connection refused");
        let mut failures = vec![away; 1000];
        failures.extend(vec![Failure::transient("conflict"); 2]);
        let (ended, tries, outages) = run(PATIENCE, &CancellationToken::new(), failures).await;
        assert!(matches!(ended, Persevered::Done(())), "{ended:?}");
        assert_eq!(tries, 1003);
        assert!(outages.current().is_empty(), "the outage outlived its waiter");
    }

    #[tokio::test(start_paused = true)]
    async fn time_ends_it_before_the_attempts_do() {
        let patience = Patience { attempts: u32::MAX, timeout: Duration::from_secs(60) };
        let failures = vec![Failure::transient("conflict"); 1000];
        let (ended, ..) = run(patience, &CancellationToken::new(), failures).await;
        assert!(matches!(ended, Persevered::GaveUp { .. }), "{ended:?}");
    }

    #[tokio::test(start_paused = true)]
    async fn nothing_is_tried_once_the_lease_is_lost() {
        let lost = CancellationToken::new();
        lost.cancel();
        let (ended, tries, _) = run(PATIENCE, &lost, Vec::new()).await;
        assert!(matches!(ended, Persevered::Lost));
        assert_eq!(tries, 0);
    }

    #[tokio::test(start_paused = true)]
    async fn intake_is_held_while_the_next_try_of_an_outage_runs() {
        let outages = Outages::new();
        let hold = outages.hold();
        let mut tries = 0;
        let away = || Failure::unavailable(Dependency::KubernetesApi, "connection refused");
        persevere(&outages, PATIENCE, &CancellationToken::new(), async || {
            tries += 1;
            assert_eq!(*hold.borrow(), tries > 1, "at try {tries}");
            if tries < 4 { Err(away()) } else { Ok(()) }
        })
        .await;
        assert_eq!(tries, 4);
    }
}
