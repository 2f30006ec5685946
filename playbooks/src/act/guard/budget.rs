//! How many targets a playbook may answer in a window: who pays, and from which purse; and one worker's own count.

use std::{collections::HashMap, time::Duration};

use tokio::time::Instant;

use super::fleet;
use crate::{
    act::{occurrence::Occurrence, response::Standing, target::Verified},
    decide::{Budget, BudgetScope, Mode},
};

/// What one response pays with: equal for every redelivery of it and for every event that joins it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Token {
    purse: Purse,
    /// The playbook and the target's uid, or the event's id where there is no target.
    payer: (String, String),
}

/// What is counted together.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
struct Purse {
    /// Absent where the budget is the whole cluster's.
    playbook: Option<String>,
    scope: BudgetScope,
    value: String,
    /// A playbook that only observes must not use up what another needs to act.
    mode: Mode,
}

impl Token {
    pub(super) fn new(
        playbook: &str,
        mode: Mode,
        scope: BudgetScope,
        occurrence: &Occurrence,
        standing: &Standing,
    ) -> Token {
        let target = standing.target();
        let node = match standing {
            Standing::Node(node) => Some(node.name()),
            _ => target.and_then(|target| target.node()),
        };
        let uid = standing.uid().map_or_else(|| occurrence.id.to_string(), ToString::to_string);
        let value = match scope {
            BudgetScope::Playbook | BudgetScope::Cluster => String::new(),
            BudgetScope::Rule => occurrence.rule.clone(),
            BudgetScope::Namespace => {
                target.map_or_else(String::new, |target| target.namespace().to_owned())
            }
            BudgetScope::Node => node.unwrap_or_default().to_owned(),
            // The topmost owner that is known; what has none is its own.
            BudgetScope::Owner => match target.and_then(|target| owner(target)) {
                Some(owner) => owner,
                None => standing.uid().map_or_else(String::new, ToString::to_string),
            },
        };
        let shared = scope == BudgetScope::Cluster;
        Token {
            purse: Purse { playbook: (!shared).then(|| playbook.to_owned()), scope, value, mode },
            payer: (playbook.to_owned(), uid),
        }
    }
}

impl Token {
    /// What is counted together, as the fleet's ledger calls it.
    pub(super) fn purse(&self) -> fleet::Purse {
        fleet::Purse::new(self.purse.scope.as_str(), &self.purse.value)
    }

    /// Who pays, as the fleet's ledger calls it: a ledger that playbooks share tells them apart.
    pub(super) fn payer(&self) -> fleet::Payer {
        let (playbook, uid) = &self.payer;
        fleet::Payer(match self.purse.playbook {
            Some(_) => uid.clone(),
            None => format!("{}/{uid}", fleet::digest(playbook)),
        })
    }
}

fn owner(target: &Verified) -> Option<String> {
    let owner = target.facts().owners.last()?;
    Some(format!("{}/{}/{}", target.namespace(), owner.kind, owner.name))
}

/// The tokens that are out, each until its window has passed.
#[derive(Debug, Default)]
pub(super) struct Budgets(HashMap<Purse, HashMap<(String, String), Instant>>);

/// From how many purses on the empty ones are looked for.
const SWEEP: usize = 1024;

impl Budgets {
    /// How many tokens of a playbook's budget are out in the purse where most are.
    pub(super) fn most(&self, playbook: &str, scope: BudgetScope, now: Instant) -> usize {
        let is_its = |purse: &Purse| {
            purse.scope == scope && purse.playbook.as_deref().is_none_or(|it| it == playbook)
        };
        let purses = self.0.iter().filter(|(purse, _)| is_its(purse));
        let out = purses.map(|(_, taken)| taken.values().filter(|until| **until > now).count());
        out.max().unwrap_or_default()
    }

    /// Takes the token, or says how long until one is free.
    pub(super) fn take(
        &mut self,
        token: Token,
        budget: Budget,
        now: Instant,
    ) -> Result<(), Duration> {
        if self.0.len() >= SWEEP {
            self.0.retain(|_, taken| {
                taken.retain(|_, until| *until > now);
                !taken.is_empty()
            });
        }
        let taken = self.0.entry(token.purse).or_default();
        taken.retain(|_, until| *until > now);
        if taken.contains_key(&token.payer) {
            return Ok(());
        }
        if taken.len() >= usize::try_from(budget.count).unwrap_or(usize::MAX) {
            return Err(taken.values().min().map_or(budget.window, |until| *until - now));
        }
        taken.insert(token.payer, now + budget.window);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const WINDOW: Duration = Duration::from_secs(300);

    fn budget(count: u32) -> Budget {
        Budget { count, window: WINDOW, scope: BudgetScope::Namespace }
    }

    fn token(playbook: &str, namespace: &str, uid: &str) -> Token {
        Token {
            purse: Purse {
                playbook: Some(playbook.into()),
                scope: BudgetScope::Namespace,
                value: namespace.into(),
                mode: Mode::Enforce,
            },
            payer: (playbook.into(), uid.into()),
        }
    }

    #[test]
    fn a_redelivery_pays_once() {
        let (mut budgets, now) = (Budgets::default(), Instant::now());
        for _ in 0..10 {
            assert_eq!(budgets.take(token("p", "a", "1"), budget(1), now), Ok(()));
        }
        assert_eq!(budgets.take(token("p", "a", "2"), budget(1), now), Err(WINDOW));
    }

    #[test]
    fn each_scope_has_its_own() {
        let (mut budgets, now) = (Budgets::default(), Instant::now());
        assert_eq!(budgets.take(token("p", "a", "1"), budget(1), now), Ok(()));
        assert_eq!(budgets.take(token("p", "b", "2"), budget(1), now), Ok(()));
        assert_eq!(budgets.take(token("q", "a", "3"), budget(1), now), Ok(()));
    }

    #[test]
    fn a_token_is_free_again_when_its_window_has_passed() {
        let (mut budgets, now) = (Budgets::default(), Instant::now());
        assert_eq!(budgets.take(token("p", "a", "1"), budget(1), now), Ok(()));
        let later = now + Duration::from_secs(299);
        assert_eq!(
            budgets.take(token("p", "a", "2"), budget(1), later),
            Err(Duration::from_secs(1))
        );
        assert_eq!(budgets.take(token("p", "a", "2"), budget(1), now + WINDOW), Ok(()));
    }

    proptest! {
        #[test]
        fn no_window_holds_more_than_the_budget(
            takes in prop::collection::vec((0u64..1000, 0u32..20), 1..100),
            count in 1u32..5,
        ) {
            let (mut budgets, start) = (Budgets::default(), Instant::now());
            let mut times: Vec<_> = takes;
            times.sort_unstable();
            let mut granted: Vec<(u64, u32)> = Vec::new();
            for (second, uid) in times {
                let paid = granted.iter().any(|(at, who)| *who == uid && second < at + 300);
                let now = start + Duration::from_secs(second);
                if budgets.take(token("p", "a", &uid.to_string()), budget(count), now).is_ok() && !paid {
                    granted.push((second, uid));
                }
            }
            for (second, _) in &granted {
                let within = granted.iter().filter(|(at, _)| (*second..second + 300).contains(at)).count();
                prop_assert!(within <= count as usize);
            }
        }
    }
}
