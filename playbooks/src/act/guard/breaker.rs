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
    /// By owner's uid, and pod's.
    owners: HashMap<String, HashMap<String, Slot>>,
    /// When each change ended, and whether it failed.
    changes: VecDeque<(Instant, bool)>,
    open_until: Option<Instant>,
}

/// A pod of an owner that was let through.
#[derive(Debug)]
struct Slot {
    until: Instant,
    /// True once something was changed; before, what is found done gives it back.
    used: bool,
}

impl Breaker {
    pub(super) fn new(limits: BreakerLimits) -> Breaker {
        Breaker { limits, owners: HashMap::new(), changes: VecDeque::new(), open_until: None }
    }

    /// The refusal of a change that must not be tried now.
    pub(super) fn judge(&mut self, target: Option<&Verified>, now: Instant) -> Option<Refusal> {
        if let Some(until) = self.open_until.filter(|until| *until > now) {
            let wait = humantime::format_duration(Duration::from_secs((until - now).as_secs() + 1));
            return Some(Refusal::new(
                Guardrail::Breaker,
                format!("half of the recent changes failed, none is tried for {wait}"),
            ));
        }
        let target = target?;
        let owner = target.owner()?;
        (!self.has_room(&owner.uid, target.uid().as_str(), now)).then(|| {
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

    /// Whether none is tried now, whatever its target.
    pub(super) fn is_open(&self, now: Instant) -> bool {
        self.open_until.is_some_and(|until| until > now)
    }

    /// How many owners have had as many pods contained as they may.
    pub(super) fn full_owners(&self, now: Instant) -> usize {
        let taken =
            |pods: &HashMap<String, Slot>| pods.values().filter(|slot| slot.until > now).count();
        self.owners.values().filter(|pods| taken(pods) >= self.limits.per_owner).count()
    }

    /// Lets a change through that was not refused.
    ///
    /// A pod takes its owner's slot here and not when it is deleted, so that many at once can't all slip by.
    pub(super) fn admit(&mut self, target: Option<&Verified>, now: Instant) {
        if let Some((target, owner)) = target.and_then(|target| Some((target, target.owner()?))) {
            self.take_slot(&owner.uid, target.uid().as_str(), now);
        }
    }

    fn has_room(&mut self, owner: &str, pod: &str, now: Instant) -> bool {
        self.owners.retain(|_, pods| {
            pods.retain(|_, slot| slot.until > now);
            !pods.is_empty()
        });
        let Some(pods) = self.owners.get(owner) else { return true };
        pods.contains_key(pod) || pods.len() < self.limits.per_owner
    }

    fn take_slot(&mut self, owner: &str, pod: &str, now: Instant) {
        let slot = Slot { until: now + self.limits.window, used: false };
        self.owners.entry(owner.to_owned()).or_default().entry(pod.to_owned()).or_insert(slot);
    }

    /// A pod counts once something was done to it, and until that is known; what was found done doesn't.
    fn settle_slot(&mut self, owner: &str, pod: &str, outcome: &Outcome) {
        let Some(pods) = self.owners.get_mut(owner) else { return };
        match outcome {
            Outcome::Applied(_) => {
                if let Some(slot) = pods.get_mut(pod) {
                    slot.used = true;
                }
            }
            Outcome::AlreadyDone(_) | Outcome::Skipped(..) | Outcome::Refused(_) => {
                pods.retain(|name, slot| name != pod || slot.used);
            }
            // It may have been done all the same.
            Outcome::Failed(_) | Outcome::Pending(_) => {}
        }
    }

    /// Notes how a change ended, once for all of its tries. An outage counts for nothing: intake pauses for it
    /// anyway. Nor does what was only held up, or a rollout behind a disruption budget would stop every playbook.
    pub(super) fn learn(&mut self, target: Option<&Verified>, outcome: &Outcome, now: Instant) {
        if let Some((target, owner)) = target.and_then(|target| Some((target, target.owner()?))) {
            self.settle_slot(&owner.uid, target.uid().as_str(), outcome);
        }
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

    /// Asks as a response does.
    fn passes(breaker: &mut Breaker, owner: &str, pod: &str, now: Instant) -> bool {
        let passes = breaker.has_room(owner, pod, now);
        if passes {
            breaker.take_slot(owner, pod, now);
        }
        passes
    }

    #[test]
    fn a_loop_on_one_owner_ends_and_others_go_on() {
        let (mut breaker, now) = (Breaker::new(BreakerLimits::default()), Instant::now());
        for pod in 0..10 {
            assert!(passes(&mut breaker, "owner", &pod.to_string(), now));
        }
        assert!(!passes(&mut breaker, "owner", "10", now));
        assert!(passes(&mut breaker, "owner", "3", now), "a retry of one that was let through");
        assert!(passes(&mut breaker, "other", "10", now));
        assert!(passes(&mut breaker, "owner", "10", now + Duration::from_secs(600)));
    }

    #[test]
    fn what_is_found_done_gives_its_slot_back_and_what_was_done_keeps_it() {
        let (mut breaker, now) = (Breaker::new(BreakerLimits::default()), Instant::now());
        let done = Outcome::AlreadyDone(String::new());
        for pod in 0..100 {
            assert!(passes(&mut breaker, "owner", &pod.to_string(), now));
            breaker.settle_slot("owner", &pod.to_string(), &done);
        }
        for (pod, outcome) in [("a", applied()), ("b", failed())] {
            assert!(passes(&mut breaker, "owner", pod, now));
            breaker.settle_slot("owner", pod, &outcome);
        }
        // The next step of the same response, or a redelivery.
        breaker.settle_slot("owner", "a", &done);
        let kept: Vec<_> = breaker.owners.get("owner").into_iter().flatten().collect();
        assert_eq!(kept.len(), 2, "{kept:?}");
    }

    #[test]
    fn it_opens_when_half_of_the_changes_fail_and_closes_again() {
        let (mut breaker, now) = (Breaker::new(BreakerLimits::default()), Instant::now());
        for _ in 0..5 {
            breaker.learn(None, &applied(), now);
        }
        for _ in 0..4 {
            breaker.learn(None, &failed(), now);
        }
        assert_eq!(breaker.judge(None, now), None);
        breaker.learn(None, &failed(), now);
        assert_eq!(
            breaker.judge(None, now).map(|refusal| refusal.guardrail),
            Some(Guardrail::Breaker)
        );
        assert_eq!(breaker.judge(None, now + Duration::from_secs(60)), None);
    }

    #[test]
    fn an_outage_what_is_held_up_and_a_few_failures_leave_it_closed() {
        let (mut breaker, now) = (Breaker::new(BreakerLimits::default()), Instant::now());
        for _ in 0..100 {
            breaker.learn(
                None,
                &Failure::unavailable(Dependency::KubernetesApi, "away").into(),
                now,
            );
            breaker.learn(None, &Failure::transient("a disruption budget").held_up().into(), now);
        }
        for second in 0..100 {
            breaker.learn(None, &failed(), now + Duration::from_secs(7 * second));
        }
        assert_eq!(breaker.judge(None, now), None);
    }
}
