//! Which rules there were, and a few events of each.

use std::collections::BTreeMap;

use bytes::Bytes;

/// How many rules are told apart: real ones are a few hundred, and an event can name any.
const RULES: usize = 4096;
/// How many events of a rule are kept, and of how many rules.
const SAMPLES: usize = 3;
const SAMPLED: usize = 512;
/// The largest event that is kept.
const SAMPLE_BYTES: usize = 64 << 10;

/// The rules of a history.
#[derive(Debug, Default)]
pub(super) struct Rules {
    seen: BTreeMap<String, Seen>,
    sampled: usize,
    /// Events of rules beyond those that are told apart.
    pub(super) beyond: u64,
}

/// What is known of a rule.
#[derive(Debug, Default)]
pub(super) struct Seen {
    pub(super) events: u64,
    /// Of which a playbook answered so many.
    pub(super) answered: u64,
    pub(super) samples: Vec<Bytes>,
}

impl Rules {
    pub(super) fn take(&mut self, rule: &str, payload: &Bytes, answered: bool) {
        if !self.seen.contains_key(rule) {
            if self.seen.len() == RULES {
                self.beyond += 1;
                return;
            }
            self.seen.insert(rule.to_owned(), Seen::default());
        }
        let Some(seen) = self.seen.get_mut(rule) else { return };
        seen.events += 1;
        seen.answered += u64::from(answered);
        let room = seen.samples.len() < SAMPLES && self.sampled < SAMPLES * SAMPLED;
        if room && payload.len() <= SAMPLE_BYTES {
            seen.samples.push(payload.clone());
            self.sampled += 1;
        }
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = (&str, &Seen)> {
        self.seen.iter().map(|(rule, seen)| (rule.as_str(), seen))
    }

    pub(super) fn get(&self, rule: &str) -> Option<&Seen> {
        self.seen.get(rule)
    }

    /// The rule whose name is nearest to one that was not there, if any is near.
    pub(super) fn nearest(&self, rule: &str) -> Option<&str> {
        let lower = rule.to_lowercase();
        let near =
            |seen: &str| strsim::normalized_damerau_levenshtein(&lower, &seen.to_lowercase());
        let all = self.seen.keys().map(|seen| (near(seen), seen.as_str()));
        all.filter(|(near, _)| *near >= 0.6)
            .max_by(|a, b| a.0.total_cmp(&b.0))
            .map(|(_, seen)| seen)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_misspelt_rule_is_near_to_the_one_that_was_meant() {
        let mut rules = Rules::default();
        for rule in ["Terminal shell in container", "Read sensitive file untrusted"] {
            rules.take(rule, &Bytes::new(), false);
        }
        let shell = Some("Terminal shell in container");
        assert_eq!(rules.nearest("Terminal Shell in Container"), shell);
        assert_eq!(rules.nearest("Terminal shel in a container"), shell);
        assert_eq!(rules.nearest("Outbound connection"), None);
    }

    #[test]
    fn whoever_names_a_rule_anew_each_time_fills_no_memory() {
        let mut rules = Rules::default();
        for n in 0..RULES + 10 {
            rules.take(&n.to_string(), &Bytes::from_static(b"{}"), false);
        }
        assert_eq!((rules.iter().count(), rules.beyond), (RULES, 10));
        let kept: usize = rules.iter().map(|(_, seen)| seen.samples.len()).sum();
        assert_eq!(kept, SAMPLES * SAMPLED);
    }
}
