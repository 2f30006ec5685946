//! Stops when acting does more harm than good: when changes keep failing, or when the pods of one owner
//! are contained again and again without end.

use std::{
    collections::{HashMap, VecDeque},
    time::Duration,
};

use tokio::time::Instant;

use crate::act::{
    outcome::{FailureKind, Guardrail, Outcome, Refusal},
    target::Verified,
};

/// When the breaker opens.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct BreakerLimits {
    /// How many pods of one owner may be contained within `window`.
    pub per_owner: usize,
    /// The time that `per_owner` counts in.
    pub window: Duration,
    /// How many changes within `failure_window` must have been tried before their failures count.
    pub least_changes: usize,
    /// The time that failures count in: half of the changes failed, and the breaker is open for as long again.
    pub failure_window: Duration,
}

impl Default for BreakerLimits {
    fn default() -> BreakerLimits {
        BreakerLimits {
            per_owner: 10,
            window: Duration::from_secs(600),
            least_changes: 10,
            failure_window: Duration::from_secs(60),
        }
    }
}

#[derive(Debug)]
pub(super) struct Breaker {
    limits: BreakerLimits,
    /// By owner's uid: the pods that were let through, and when each is forgotten.
    owners: HashMap<String, HashMap<String, Instant>>,
    /// When each change ended, and whether it failed.
    changes: VecDeque<(Instant, bool)>,
    open_until: Option<Instant>,
}

impl Breaker {
    pub(super) fn new(limits: BreakerLimits) -> Breaker {
        Breaker { limits, owners: HashMap::new(), changes: VecDeque::new(), open_until: None }
    }

    /// Lets a change through, or refuses it. `counts` is false where nothing will really be changed.
    ///
    /// A pod takes its owner's slot here and not when it is deleted, so that many at once can't all slip by.
    pub(super) fn judge(
        &mut self,
        target: Option<&Verified>,
        counts: bool,
        now: Instant,
    ) -> Option<Refusal> {
        if let Some(until) = self.open_until.filter(|until| *until > now) {
            let wait = humantime::format_duration(Duration::from_secs((until - now).as_secs() + 1));
            return Some(Refusal::new(
                Guardrail::Breaker,
                format!("half of the recent changes failed, none is tried for {wait}"),
            ));
        }
        let target = target?;
        let owner = target.owner()?;
        let admitted = self.admit(&owner.uid, target.uid().as_str(), counts, now);
        (!admitted).then(|| {
            let window = humantime::format_duration(self.limits.window);
            Refusal::new(
                Guardrail::Breaker,
                format!(
                    "{} pods of {} {} were contained within {window}: what brings them back must be found",
                    self.limits.per_owner, owner.kind, owner.name
                ),
            )
        })
    }

    fn admit(&mut self, owner: &str, pod: &str, counts: bool, now: Instant) -> bool {
        self.owners.retain(|_, pods| {
            pods.retain(|_, until| *until > now);
            !pods.is_empty()
        });
        let pods = self.owners.get(owner);
        if pods.is_some_and(|pods| pods.contains_key(pod)) {
            return true;
        }
        if pods.map_or(0, HashMap::len) >= self.limits.per_owner {
            return false;
        }
        if counts {
            let until = now + self.limits.window;
            self.owners.entry(owner.to_owned()).or_default().insert(pod.to_owned(), until);
        }
        true
    }

    /// Notes how a change ended, once for all of its tries. An outage counts for nothing: intake pauses for it
    /// anyway. Nor does what was only held up, or a rollout behind a disruption budget would stop every playbook.
    pub(super) fn learn(&mut self, outcome: &Outcome, now: Instant) {
        let failed = match outcome {
            Outcome::Applied(_) => false,
            Outcome::Failed(failure) if failure.held_up => return,
            Outcome::Failed(failure) => match failure.kind {
                FailureKind::Unavailable(_) => return,
                FailureKind::Permanent | FailureKind::Transient => true,
            },
            _ => return,
        };
        self.changes.push_back((now, failed));
        while self.changes.front().is_some_and(|(at, _)| *at + self.limits.failure_window <= now) {
            self.changes.pop_front();
        }
        let failures = self.changes.iter().filter(|(_, failed)| *failed).count();
        if self.changes.len() >= self.limits.least_changes && failures * 2 >= self.changes.len() {
            self.open_until = Some(now + self.limits.failure_window);
            self.changes.clear();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::act::outcome::{Dependency, Failure};

    fn applied() -> Outcome {
        Outcome::Applied(String::new())
    }

    fn failed() -> Outcome {
        Failure::permanent("forbidden").into()
    }

    #[test]
    fn a_loop_on_one_owner_ends_and_others_go_on() {
        let (mut breaker, now) = (Breaker::new(BreakerLimits::default()), Instant::now());
        for pod in 0..10 {
            assert!(breaker.admit("owner", &pod.to_string(), true, now));
        }
        assert!(!breaker.admit("owner", "10", true, now));
        assert!(breaker.admit("owner", "3", true, now), "a retry of one that was let through");
        assert!(breaker.admit("other", "10", true, now));
        assert!(breaker.admit("owner", "10", true, now + Duration::from_secs(600)));
    }

    #[test]
    fn what_changes_nothing_takes_no_slot() {
        let (mut breaker, now) = (Breaker::new(BreakerLimits::default()), Instant::now());
        for pod in 0..100 {
            assert!(breaker.admit("owner", &pod.to_string(), false, now));
        }
    }

    #[test]
    fn it_opens_when_half_of_the_changes_fail_and_closes_again() {
        let (mut breaker, now) = (Breaker::new(BreakerLimits::default()), Instant::now());
        for _ in 0..5 {
            breaker.learn(&applied(), now);
        }
        for _ in 0..4 {
            breaker.learn(&failed(), now);
        }
        assert_eq!(breaker.judge(None, true, now), None);
        breaker.learn(&failed(), now);
        assert_eq!(
            breaker.judge(None, true, now).map(|refusal| refusal.guardrail),
            Some(Guardrail::Breaker)
        );
        assert_eq!(breaker.judge(None, true, now + Duration::from_secs(60)), None);
    }

    #[test]
    fn an_outage_what_is_held_up_and_a_few_failures_leave_it_closed() {
        let (mut breaker, now) = (Breaker::new(BreakerLimits::default()), Instant::now());
        for _ in 0..100 {
            breaker.learn(&Failure::unavailable(Dependency::KubernetesApi, "away").into(), now);
            breaker.learn(&Failure::transient("a disruption budget").held_up().into(), now);
        }
        for second in 0..100 {
            breaker.learn(&failed(), now + Duration::from_secs(7 * second));
        }
        assert_eq!(breaker.judge(None, true, now), None);
    }
}
