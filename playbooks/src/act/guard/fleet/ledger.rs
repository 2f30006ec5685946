//! Which tokens are out, as all workers read it: a pure record, and its text.

use std::{collections::BTreeMap, time::Duration};

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::decide::Budget;

/// How far apart the clocks of two workers may be: so much longer a token counts against others.
const SKEW: Duration = Duration::from_secs(5);

/// How many tokens one object may hold, some 400 KiB of the 1 MiB that the API server takes.
pub(super) const MOST: usize = 4000;

/// The longest name of a purse; Falco's rules have no bound.
const LONGEST_PURSE: usize = 200;

/// What is counted together within one object, such as `namespace/shop`.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(transparent)]
pub(in crate::act::guard) struct Purse(String);

impl Purse {
    /// One of this kind, for this value: cut where it is too long, and told apart by its hash then.
    pub(in crate::act::guard) fn new(kind: &str, value: &str) -> Purse {
        let whole = format!("{kind}/{value}");
        if whole.len() <= LONGEST_PURSE {
            return Purse(whole);
        }
        let (start, _) = whole.split_at(whole.floor_char_boundary(LONGEST_PURSE / 2));
        Purse(format!("{start}~{}", super::digest(value)))
    }
}

/// Whose token it is: the same for every redelivery and every event that joins.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(transparent)]
pub(in crate::act::guard) struct Payer(pub(in crate::act::guard) String);

/// One token, asked for.
#[derive(Debug, Clone)]
pub(in crate::act::guard) struct Asked {
    pub(in crate::act::guard) purse: Purse,
    pub(in crate::act::guard) payer: Payer,
    pub(in crate::act::guard) budget: Budget,
}

/// The tokens, each with the end of its window.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(transparent)]
pub(super) struct Ledger(BTreeMap<Purse, BTreeMap<Payer, Timestamp>>);

/// What who asks for a token is told.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Said {
    /// It has paid in this window already.
    Paid,
    /// It has one now: for certain once the ledger is written.
    Granted,
    /// There is none, for about so long.
    Spent(Duration),
    /// There are too many other tokens, whatever the budget is.
    Full,
}

impl Ledger {
    /// What is written, if it is a ledger.
    pub(super) fn read(text: &str) -> serde_json::Result<Ledger> {
        serde_json::from_str(text)
    }

    /// As it is written.
    pub(super) fn to_text(&self) -> String {
        serde_json::json!(self).to_string()
    }

    /// Forgets the tokens that count no more.
    pub(super) fn prune(&mut self, now: Timestamp) {
        self.0.retain(|_, tokens| {
            tokens.retain(|_, until| now < later(*until, SKEW));
            !tokens.is_empty()
        });
    }

    /// How many tokens are out in the purse where most are.
    pub(super) fn most(&self, now: Timestamp) -> usize {
        let out = |tokens: &BTreeMap<Payer, Timestamp>| {
            tokens.values().filter(|until| now < **until).count()
        };
        self.0.values().map(out).max().unwrap_or_default()
    }

    /// Asks for a token. What counts no more has been forgotten.
    pub(super) fn ask(&mut self, asked: &Asked, now: Timestamp) -> Said {
        let Asked { purse, payer, budget } = asked;
        let all = self.0.values().map(BTreeMap::len).sum::<usize>();
        let none = BTreeMap::new();
        let tokens = self.0.get(purse).unwrap_or(&none);
        // One of its own that only counts a little longer is renewed, and takes no other.
        let own = tokens.get(payer);
        if own.is_some_and(|until| now < *until) {
            return Said::Paid;
        }
        let others = tokens.len() - usize::from(own.is_some());
        if others >= usize::try_from(budget.count).unwrap_or(usize::MAX) {
            let first = tokens.iter().filter(|(name, _)| *name != payer).map(|(_, until)| *until);
            return Said::Spent(wait(now, later(first.min().unwrap_or(now), SKEW)));
        }
        if own.is_none() && all >= MOST {
            return Said::Full;
        }
        let tokens = self.0.entry(purse.clone()).or_default();
        tokens.insert(payer.clone(), end(now, budget.window));
        Said::Granted
    }
}

/// The end of a window that begins now, in whole seconds, since people read it.
fn end(now: Timestamp, window: Duration) -> Timestamp {
    let end = later(now, window);
    let seconds = end.as_second().saturating_add(i64::from(end.subsec_nanosecond() > 0));
    Timestamp::from_second(seconds).unwrap_or(Timestamp::MAX)
}

fn later(time: Timestamp, by: Duration) -> Timestamp {
    time.checked_add(by).unwrap_or(Timestamp::MAX)
}

fn wait(now: Timestamp, until: Timestamp) -> Duration {
    Duration::try_from(until.duration_since(now)).unwrap_or(Duration::ZERO)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::decide::BudgetScope;

    const WINDOW: i64 = 300;

    fn budget(count: u32) -> Budget {
        let window = Duration::from_secs(WINDOW as u64);
        Budget { count, window, scope: BudgetScope::Playbook }
    }

    fn at(second: i64) -> Timestamp {
        Timestamp::from_second(1_767_323_045 + second).expect("a time")
    }

    /// Asks at this second, of what was written before.
    fn ask(ledger: &mut Ledger, payer: &str, count: u32, second: i64) -> Said {
        let (purse, payer) = (Purse::new("playbook", ""), Payer(payer.to_owned()));
        *ledger = Ledger::read(&ledger.to_text()).expect("what was written");
        ledger.prune(at(second));
        ledger.ask(&Asked { purse, payer, budget: budget(count) }, at(second))
    }

    #[test]
    fn a_redelivery_finds_it_paid_and_another_finds_it_spent() {
        let mut ledger = Ledger::default();
        assert_eq!(ask(&mut ledger, "a", 1, 0), Said::Granted);
        assert_eq!(ask(&mut ledger, "a", 1, 299), Said::Paid);
        assert_eq!(ask(&mut ledger, "b", 1, 299), Said::Spent(Duration::from_secs(6)));
    }

    #[test]
    fn a_token_counts_a_little_longer_against_others_but_is_paid_no_longer() {
        let mut ledger = Ledger::default();
        assert_eq!(ask(&mut ledger, "a", 1, 0), Said::Granted);
        assert!(matches!(ask(&mut ledger, "b", 1, 304), Said::Spent(_)));
        assert_eq!(ask(&mut ledger.clone(), "b", 1, 305), Said::Granted);
        assert_eq!(ask(&mut ledger, "a", 1, 304), Said::Granted, "it pays anew");
        assert!(matches!(ask(&mut ledger, "b", 1, 305), Said::Spent(_)));
    }

    #[test]
    fn what_is_over_is_written_no_more() {
        let mut ledger = Ledger::default();
        assert_eq!(ask(&mut ledger, "a", 9, 0), Said::Granted);
        assert_eq!(ask(&mut ledger, "b", 9, 400), Said::Granted);
        assert!(!ledger.to_text().contains("\"a\""), "{}", ledger.to_text());
    }

    #[test]
    fn it_is_bounded_whatever_the_budget_says() {
        let mut ledger = Ledger::default();
        let tokens = ledger.0.entry(Purse::new("rule", &"x".repeat(10_000))).or_default();
        tokens.extend((0..MOST).map(|n| (Payer(format!("{n:0>74}")), at(WINDOW))));
        assert_eq!(ask(&mut ledger, "b", u32::MAX, 0), Said::Full);
        assert!(ledger.to_text().len() < 1 << 19, "{}", ledger.to_text().len());
    }

    #[test]
    fn long_values_are_cut_and_still_told_apart() {
        let long = "é".repeat(500);
        let (one, other) = (Purse::new("rule", &long), Purse::new("rule", &format!("{long}!")));
        assert_ne!(one, other);
        assert!(one.0.len() <= LONGEST_PURSE && one.0.starts_with("rule/é"));
        assert_eq!(Purse::new("node", "n"), Purse("node/n".to_owned()));
    }

    #[test]
    fn what_is_no_ledger_is_not_guessed_at() {
        for text in ["", "[]", "{\"playbook/\":{\"a\":1}}", "{\"playbook/\":{\"a\":\"soon\"}}"] {
            assert!(Ledger::read(text).is_err(), "{text}");
        }
    }

    proptest! {
        /// Workers whose clocks are up to 2 s off either way.
        #[test]
        fn no_window_holds_more_than_the_budget(
            mut asked in prop::collection::vec((0i64..1500, -2i64..=2, 0u32..20), 1..120),
            count in 1u32..5,
        ) {
            asked.sort_unstable();
            let mut ledger = Ledger::default();
            let mut acted: Vec<(i64, u32)> = Vec::new();
            for (second, off, who) in asked {
                if ask(&mut ledger, &who.to_string(), count, second + off) == Said::Granted {
                    acted.push((second, who));
                }
            }
            for (from, _) in &acted {
                let within = acted.iter().filter(|(at, _)| (*from..from + WINDOW).contains(at));
                let who: std::collections::BTreeSet<_> = within.map(|(_, who)| who).collect();
                prop_assert!(who.len() <= count as usize, "{who:?}");
            }
        }
    }
}
