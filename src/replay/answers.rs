//! What the answers of one playbook come to over time: events of a burst share one, and the budget ends them.
//!
//! As the worker does it, but for time: here an answer takes none, so a burst is as long as the cooldown.

use std::{collections::HashMap, time::Duration};

use jiff::Timestamp;
use playbooks::decide::{Budget, BudgetScope, Limits};

use super::judge::Verdict;

/// An event that a playbook was asked about.
#[derive(Clone, Copy, Debug)]
pub(super) struct Case {
    pub(super) at: Timestamp,
    /// What it concerns: a target, or the event itself. Equal ones share an answer.
    pub(super) concern: u64,
    /// What it is about, by its number among all names.
    pub(super) target: u32,
    pub(super) namespace: u32,
    pub(super) rule: u32,
    pub(super) node: u32,
    pub(super) verdict: Verdict,
}

/// What an event came to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Came {
    /// It began an answer.
    Began,
    /// It shared one.
    Joined,
    /// It was held back.
    Held(Verdict),
}

/// Follows cases in order of time.
pub(super) struct Answers {
    cooldown: Duration,
    budget: Option<Budget>,
    covered_until: HashMap<u64, Timestamp>,
    /// By what is counted together: who has paid, and until when.
    purses: HashMap<u64, HashMap<u64, Timestamp>>,
}

impl Answers {
    pub(super) fn of(limits: &Limits) -> Self {
        let (covered_until, purses) = Default::default();
        let budget = limits.budget.filter(|budget| is_counted(budget.scope));
        Self { cooldown: limits.cooldown, budget, covered_until, purses }
    }

    pub(super) fn take(&mut self, case: &Case) -> Came {
        if case.verdict != Verdict::Answers {
            return Came::Held(case.verdict);
        }
        if self.covered_until.get(&case.concern).is_some_and(|until| case.at <= *until) {
            return Came::Joined;
        }
        if !self.pays(case) {
            return Came::Held(Verdict::Budget);
        }
        let until = case.at.checked_add(self.cooldown).unwrap_or(Timestamp::MAX);
        self.covered_until.insert(case.concern, until);
        Came::Began
    }

    /// Takes a token from the budget, once in a window for each concern.
    fn pays(&mut self, case: &Case) -> bool {
        let Some(budget) = self.budget else { return true };
        let purse = match budget.scope {
            BudgetScope::Playbook | BudgetScope::Cluster | BudgetScope::Owner => 0,
            BudgetScope::Namespace => case.namespace,
            BudgetScope::Node => case.node,
            BudgetScope::Rule => case.rule,
        };
        let taken = self.purses.entry(purse.into()).or_default();
        taken.retain(|_, until| *until > case.at);
        if taken.contains_key(&case.concern) {
            return true;
        }
        if taken.len() >= usize::try_from(budget.count).unwrap_or(usize::MAX) {
            return false;
        }
        let until = case.at.checked_add(budget.window).unwrap_or(Timestamp::MAX);
        taken.insert(case.concern, until);
        true
    }
}

/// Whether a budget can be counted here: whose a pod is only a live look tells, and the cluster's is all playbooks' together.
pub(super) fn is_counted(scope: BudgetScope) -> bool {
    !matches!(scope, BudgetScope::Owner | BudgetScope::Cluster)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn case(second: i64, concern: u64, namespace: u32) -> Case {
        Case {
            at: Timestamp::from_second(second).unwrap(),
            concern,
            target: 0,
            namespace,
            rule: 0,
            node: 0,
            verdict: Verdict::Answers,
        }
    }

    fn limits(cooldown: u64, budget: Option<&str>) -> Limits {
        let budget = budget.map(|text| text.parse().unwrap());
        Limits { cooldown: Duration::from_secs(cooldown), budget, ..Limits::default() }
    }

    #[test]
    fn a_burst_shares_an_answer_until_the_cooldown_is_over() {
        let mut answers = Answers::of(&limits(60, None));
        let came = [0, 1, 60, 61, 121].map(|second| answers.take(&case(second, 1, 0)));
        assert_eq!(came, [Came::Began, Came::Joined, Came::Joined, Came::Began, Came::Joined]);
        assert_eq!(answers.take(&case(121, 2, 0)), Came::Began, "another target is another answer");
    }

    #[test]
    fn a_budget_counts_targets_and_a_joined_event_pays_nothing() {
        let mut answers = Answers::of(&limits(10, Some("2 per 5m per namespace")));
        let mut take = |second, concern, namespace| answers.take(&case(second, concern, namespace));
        assert_eq!(
            [take(0, 1, 0), take(1, 1, 0), take(2, 2, 0)],
            [Came::Began, Came::Joined, Came::Began]
        );
        assert_eq!(take(3, 3, 0), Came::Held(Verdict::Budget));
        assert_eq!(take(4, 4, 1), Came::Began, "another namespace has its own");
        assert_eq!(take(100, 1, 0), Came::Began, "who has paid pays once in a window");
        assert_eq!(take(299, 3, 0), Came::Held(Verdict::Budget));
        assert_eq!(take(300, 3, 0), Came::Began);
    }

    #[test]
    fn what_is_held_back_covers_nothing() {
        let mut answers = Answers::of(&limits(60, None));
        let held = Case { verdict: Verdict::Identity, ..case(0, 1, 0) };
        assert_eq!(answers.take(&held), Came::Held(Verdict::Identity));
        assert_eq!(answers.take(&case(1, 1, 0)), Came::Began);
    }

    proptest! {
        #[test]
        fn no_window_holds_more_targets_than_the_budget(
            mut events in prop::collection::vec((0..2000_i64, 0..30_u64), 1..150), count in 1..5_usize,
        ) {
            events.sort_unstable();
            let mut answers = Answers::of(&limits(5, Some(&format!("{count} per 300s"))));
            let mut began: Vec<(i64, u64)> = Vec::new();
            for (second, concern) in events {
                if answers.take(&case(second, concern, 0)) == Came::Began {
                    began.push((second, concern));
                }
            }
            for (from, _) in &began {
                let mut within: Vec<_> = began.iter().filter(|(at, _)| (*from..from + 300).contains(at)).map(|(_, who)| who).collect();
                within.sort_unstable();
                within.dedup();
                // One that has paid before the window may answer again within it.
                prop_assert!(within.len() <= 2 * count);
            }
            for ((one, _), (other, _)) in began.iter().zip(began.iter().skip(1)) {
                prop_assert!(one <= other);
            }
        }
    }
}
