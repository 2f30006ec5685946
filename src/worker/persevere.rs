//! Trying again: with backoff and jitter while attempts and time last, and without end while something is away that every
//! answer needs.

use std::{sync::Arc, time::Duration};

use playbooks::act::{Dependency, Failure, FailureKind};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use super::outage::{Outages, Waiter};

/// How often, and for how long, one piece of work is tried.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Patience {
    /// Tries at the most; those that meet an outage don't count.
    pub attempts: u32,
    /// From the first try on; outages of what every answer needs don't count.
    pub timeout: Duration,
}

impl Patience {
    /// For work that must not be given up: only the lease ends it.
    pub const ENDLESS: Self =
        Self { attempts: u32::MAX, timeout: Duration::from_secs(10 * 365 * 24 * 3600) };
}

/// Why there is no further try.
#[derive(Debug)]
pub enum Stopped {
    /// It can't help, or patience is at its end.
    GaveUp {
        /// The last failure.
        failure: Failure,
        /// Tries made, outages aside.
        attempts: u32,
    },
    /// The lease was lost, everybody left, or the worker leaves in an outage.
    Lost,
}

/// The first wait between two tries.
const FIRST: Duration = Duration::from_millis(500);
/// The longest wait between two tries.
const LONGEST: Duration = Duration::from_secs(30);
/// The longest wait in an outage: its end should be noticed soon.
const LONGEST_IN_OUTAGE: Duration = Duration::from_secs(5);

/// The tries of one piece of work: after each failure it waits, or says that this was the last.
#[derive(Debug)]
pub struct Tries<'a> {
    outages: &'a Arc<Outages>,
    patience: Patience,
    lost: &'a CancellationToken,
    deadline: Instant,
    attempts: u32,
    in_outage: u32,
    /// Kept over the next try: the outage ends with that try's success, not with the wait before it.
    outage: Option<(Waiter, Instant)>,
}

impl<'a> Tries<'a> {
    /// Patience begins to run now.
    pub fn new(outages: &'a Arc<Outages>, patience: Patience, lost: &'a CancellationToken) -> Self {
        let deadline = Instant::now() + patience.timeout;
        Self { outages, patience, lost, deadline, attempts: 0, in_outage: 0, outage: None }
    }

    /// Waits until the next try is due.
    ///
    /// # Errors
    /// None is due any more.
    pub async fn after(&mut self, failure: Failure) -> Result<(), Stopped> {
        let wait = match &failure.kind {
            FailureKind::Permanent => {
                let attempts = self.made();
                self.answered();
                return Err(Stopped::GaveUp { failure, attempts });
            }
            FailureKind::Unavailable(dependency) => {
                self.enter(dependency, &failure.why);
                let wait = failure
                    .retry_after
                    .unwrap_or_else(|| backoff(self.in_outage, LONGEST_IN_OUTAGE));
                if !dependency.is_vital() && Instant::now() + wait > self.deadline {
                    return Err(Stopped::GaveUp { failure, attempts: self.attempts + 1 });
                }
                wait
            }
            FailureKind::Transient => {
                self.answered();
                self.attempts += 1;
                let wait = failure.retry_after.unwrap_or_else(|| backoff(self.attempts, LONGEST));
                if self.attempts >= self.patience.attempts || Instant::now() + wait > self.deadline
                {
                    return Err(Stopped::GaveUp { failure, attempts: self.attempts });
                }
                wait
            }
        };
        tokio::select! {
            biased;
            () = self.lost.cancelled() => Err(Stopped::Lost),
            () = self.outages.leaving().cancelled(), if self.outage.is_some() => Err(Stopped::Lost),
            () = tokio::time::sleep(wait) => Ok(()),
        }
    }

    /// The last try has succeeded: what was away is back.
    pub fn succeeded(mut self) {
        self.answered();
    }

    /// Tries made, the one under way included and those that met an outage aside.
    pub fn made(&self) -> u32 {
        self.attempts + 1
    }

    /// It answered, if only with another failure: an outage is over.
    fn answered(&mut self) {
        self.in_outage = 0;
        if let Some(waiter) = self.leave() {
            waiter.recovered();
        }
    }

    /// Leaves an outage, whose time doesn't count where it is endless.
    fn leave(&mut self) -> Option<Waiter> {
        let (waiter, since) = self.outage.take()?;
        if waiter.dependency().is_vital() {
            self.deadline += since.elapsed();
        }
        Some(waiter)
    }

    fn enter(&mut self, dependency: &Dependency, why: &str) {
        self.in_outage += 1;
        if self.outage.as_ref().is_none_or(|(waiter, _)| waiter.dependency() != dependency) {
            drop(self.leave());
            self.outage = Some((self.outages.enter(dependency.clone(), why), Instant::now()));
        }
    }
}

/// Doubles from try to try up to `longest`; the upper half is random, so that workers don't move in step.
fn backoff(tries: u32, longest: Duration) -> Duration {
    let full =
        FIRST.saturating_mul(2u32.saturating_pow(tries.saturating_sub(1).min(16))).min(longest);
    full.mul_f64(0.5 + fastrand::f64() / 2.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    const PATIENCE: Patience = Patience { attempts: 3, timeout: Duration::from_secs(600) };

    /// Fails as told, then succeeds.
    async fn run(
        patience: Patience,
        failures: Vec<Failure>,
    ) -> (Result<(), Stopped>, usize, Arc<Outages>) {
        let (outages, lost) = (Outages::new(), CancellationToken::new());
        let mut tries = Tries::new(&outages, patience, &lost);
        let mut count = 1;
        let mut ended = Ok(());
        for failure in failures {
            ended = tries.after(failure).await;
            if ended.is_err() {
                break;
            }
            count += 1;
        }
        drop(tries);
        (ended, count, outages)
    }

    #[tokio::test(start_paused = true)]
    async fn a_transient_failure_is_tried_again_until_the_attempts_are_used_up() {
        let (ended, tries, _) = run(PATIENCE, vec![Failure::transient("conflict"); 5]).await;
        assert!(matches!(ended, Err(Stopped::GaveUp { attempts: 3, .. })), "{ended:?}");
        assert_eq!(tries, 3);
    }

    #[tokio::test(start_paused = true)]
    async fn a_permanent_failure_is_not_tried_again() {
        let (ended, tries, _) = run(PATIENCE, vec![Failure::permanent("forbidden"); 5]).await;
        assert!(matches!(ended, Err(Stopped::GaveUp { attempts: 1, .. })), "{ended:?}");
        assert_eq!(tries, 1);
    }

    #[tokio::test(start_paused = true)]
    async fn an_outage_longer_than_the_time_limit_uses_up_neither_attempts_nor_time() {
        let away = Failure::unavailable(Dependency::KubernetesApi, "connection refused");
        let mut failures = vec![away; 1000];
        failures.extend(vec![Failure::transient("conflict"); 2]);
        let (ended, tries, outages) = run(PATIENCE, failures).await;
        assert!(ended.is_ok(), "{ended:?}");
        assert_eq!(tries, 1003);
        assert!(outages.current().is_empty(), "the outage outlived its waiter");
    }

    #[tokio::test(start_paused = true)]
    async fn a_notifier_that_is_away_is_waited_for_within_the_time_limit() {
        let patience = Patience { attempts: 1, timeout: Duration::from_secs(600) };
        let away = Failure::unavailable(Dependency::Sink("chat".into()), "connection refused");
        let (ended, tries, outages) = run(patience, vec![away.clone(); 1000]).await;
        assert!(matches!(ended, Err(Stopped::GaveUp { attempts: 1, .. })), "{ended:?}");
        assert!((100..1000).contains(&tries), "{tries} tries");
        assert!(outages.current().is_empty());

        // What every answer needs stops the clock, and that alone.
        let api = Failure::unavailable(Dependency::KubernetesApi, "connection refused");
        let mut failures = vec![api; 1000];
        failures.extend(vec![away; 50]);
        assert!(run(patience, failures).await.0.is_ok());
    }

    #[tokio::test(start_paused = true)]
    async fn time_ends_it_before_the_attempts_do() {
        let patience = Patience { attempts: u32::MAX, timeout: Duration::from_secs(60) };
        let (ended, ..) = run(patience, vec![Failure::transient("conflict"); 1000]).await;
        assert!(matches!(ended, Err(Stopped::GaveUp { .. })), "{ended:?}");
    }

    #[tokio::test(start_paused = true)]
    async fn a_worker_that_leaves_does_not_wait_for_an_outage_to_end() {
        let (outages, lost) = (Outages::new(), CancellationToken::new());
        outages.leave_all();
        let mut tries = Tries::new(&outages, PATIENCE, &lost);
        assert!(tries.after(Failure::transient("conflict")).await.is_ok());
        let away = Failure::unavailable(Dependency::KubernetesApi, "connection refused");
        assert!(matches!(tries.after(away).await, Err(Stopped::Lost)));
    }

    #[tokio::test(start_paused = true)]
    async fn a_lost_lease_ends_the_waiting() {
        let (outages, lost) = (Outages::new(), CancellationToken::new());
        lost.cancel();
        let mut tries = Tries::new(&outages, PATIENCE, &lost);
        let ended = tries.after(Failure::transient("conflict")).await;
        assert!(matches!(ended, Err(Stopped::Lost)));
    }

    #[tokio::test(start_paused = true)]
    async fn intake_is_held_while_the_next_try_of_an_outage_runs() {
        let (outages, lost) = (Outages::new(), CancellationToken::new());
        let hold = outages.hold("falco");
        let mut tries = Tries::new(&outages, PATIENCE, &lost);
        let away = Failure::unavailable(Dependency::KubernetesApi, "connection refused");
        tries.after(away).await.unwrap();
        assert!(*hold.borrow());
        drop(tries);
        assert!(!*hold.borrow());
    }
}
