//! All playbooks at once.

use super::anchors::{Anchor, Anchors};
use super::interest::Interest;
use super::peek;
use super::selector::{Verdict, subject};
use crate::decide::event::{is_internal_rule, slug};
use crate::decide::{Event, EventError, Playbook, Priority};
use arc_swap::ArcSwap;
use globset::{Glob, GlobSet, GlobSetBuilder};
use std::borrow::Cow;
use std::collections::HashMap;
use std::sync::Arc;

/// Rules that are looked up with globs are remembered, up to so many: real ones are a few hundred.
const REMEMBERED: usize = 1024;

/// The longest of them, in bytes: an event's rule can be as long as the event.
const LONGEST: usize = 256;

/// Finds the playbooks that an event is for.
///
/// Playbooks are found by what must hold for them, so a thousand cost about what ten do. It is shared by
/// reference between the receiving loop, which asks [`Matcher::wants`], and the tasks that decode.
#[derive(Debug)]
pub struct Matcher {
    playbooks: Vec<Arc<Playbook>>,
    /// Interest by rule: those that playbooks name in full, and those that were looked up with globs.
    rules: ArcSwap<Rules>,
    globs: RuleGlobs,
    /// Interest in every rule that no playbook asks for.
    unasked: Arc<Interest>,
    /// Playbooks that ask for no rule.
    floating: Anchors,
    /// How many rules are remembered at most.
    most: usize,
}

type Rules = HashMap<Arc<[u8]>, Arc<Interest>, foldhash::fast::RandomState>;

/// A playbook that an event is for.
#[derive(Debug, Clone)]
pub struct Candidate {
    /// The playbook.
    pub playbook: Arc<Playbook>,
    /// Its position in [`Matcher::playbooks`].
    pub position: usize,
    /// Why `when` could not be evaluated, everything else being true: to be reported, not taken for a no.
    pub when_error: Option<String>,
}

impl Matcher {
    /// Takes the playbooks in force; they run in order of name.
    pub fn new(mut playbooks: Vec<Arc<Playbook>>) -> Matcher {
        playbooks.sort_by(|a, b| a.name.cmp(&b.name));
        let (mut floating, mut by_rule) = (Vec::new(), HashMap::<&str, Vec<usize>>::new());
        for (at, playbook) in playbooks.iter().enumerate() {
            match rule_texts(playbook) {
                None => floating
                    .push(Anchor { playbook: at, priorities: playbook.selector.priorities.bits() }),
                Some(rules) => {
                    rules.iter().for_each(|rule| by_rule.entry(rule).or_default().push(at))
                }
            }
        }
        let globs = RuleGlobs::new(&playbooks);
        let unasked =
            Arc::new(Interest::new(&playbooks, &floating, &Interest::default()).without_anchors());
        let rules: Rules = by_rule
            .iter()
            .map(|(rule, exact)| {
                let asking = globs.asking(&playbooks, rule, exact);
                (rule.as_bytes().into(), Arc::new(Interest::new(&playbooks, &asking, &unasked)))
            })
            .collect();
        let floating = Anchors::new(&playbooks, &floating);
        let most = rules.len() + REMEMBERED;
        Matcher { rules: ArcSwap::from_pointee(rules), globs, unasked, floating, most, playbooks }
    }

    /// All playbooks, in order of name.
    pub fn playbooks(&self) -> &[Arc<Playbook>] {
        &self.playbooks
    }

    /// Whether a message may be for a playbook, from a look at its rule, priority and source.
    ///
    /// It is true whenever that can't be told: a message that is not read to its end is not validated, and what
    /// looks odd on the way is kept for [`Event::decode`] to judge.
    pub fn wants(&self, payload: &[u8]) -> bool {
        let rules = self.rules.load();
        peek::wants(payload, |rule| {
            rules.get(rule).map_or_else(|| self.look_up(rule, &rules), Cow::Borrowed)
        })
    }

    /// The playbooks that an event is for, in order of name.
    ///
    /// # Errors
    ///
    /// As [`Event::fields`].
    pub fn candidates(&self, event: &Event<'_>) -> Result<Vec<Candidate>, EventError> {
        if event.is_internal() {
            return Ok(Vec::new());
        }
        let rules = self.rules.load();
        let rule = event.rule.as_bytes();
        let interest = rules.get(rule).map_or_else(|| self.look_up(rule, &rules), Cow::Borrowed);
        if !interest.from(event.priority, &event.source) {
            return Ok(Vec::new());
        }
        let mut found = Vec::new();
        interest.anchors.find(event, &mut found)?;
        self.floating.find(event, &mut found)?;
        found.sort_unstable();
        found.dedup();
        let mut candidates = Vec::new();
        for position in found {
            let Some(playbook) = self.playbooks.get(position) else { continue };
            let when_error = match playbook.selector.judge(event)? {
                Verdict::No => continue,
                Verdict::Yes => None,
                Verdict::WhenFailed(error) => Some(error),
            };
            candidates.push(Candidate { playbook: Arc::clone(playbook), position, when_error });
        }
        Ok(candidates)
    }

    /// The interest in a rule that is not among `rules`, which it is then.
    fn look_up(&self, rule: &[u8], rules: &Rules) -> Cow<'_, Arc<Interest>> {
        if self.globs.is_empty() || is_internal_rule(rule) {
            return Cow::Borrowed(&self.unasked);
        }
        let asking = self.globs.asking(&self.playbooks, &String::from_utf8_lossy(rule), &[]);
        let interest = match asking.is_empty() {
            true => Arc::clone(&self.unasked),
            false => Arc::new(Interest::new(&self.playbooks, &asking, &self.unasked)),
        };
        // Two that add at once may forget one of the two: it is looked up again.
        if rules.len() < self.most && rule.len() <= LONGEST {
            let mut more = rules.clone();
            more.insert(rule.into(), Arc::clone(&interest));
            self.rules.store(Arc::new(more));
        }
        Cow::Owned(interest)
    }
}

/// The rules a playbook names in full, or `None` if it asks for no rule and no subject at all.
fn rule_texts(playbook: &Playbook) -> Option<&[String]> {
    let Some(rules) = playbook.selector.rules.as_ref().filter(|rules| !rules.match_all()) else {
        return playbook.selector.subjects.is_some().then_some(&[]);
    };
    Some(rules.exact())
}

/// The globs of all playbooks' rules and subjects.
#[derive(Debug)]
struct RuleGlobs {
    rules: GlobSet,
    rules_of: Vec<usize>,
    /// Playbooks with subjects and no rules: any rule can be theirs.
    subjects_only: Vec<usize>,
}

impl RuleGlobs {
    fn new(playbooks: &[Arc<Playbook>]) -> RuleGlobs {
        let (mut set, mut rules_of, mut subjects_only) =
            (GlobSetBuilder::new(), Vec::new(), Vec::new());
        for (at, playbook) in playbooks.iter().enumerate() {
            let selector = &playbook.selector;
            match selector.rules.as_ref().filter(|rules| !rules.match_all()) {
                Some(rules) => rules.globs().for_each(|glob| {
                    set.add(Glob::clone(glob));
                    rules_of.push(at);
                }),
                None if selector.subjects.is_some() => subjects_only.push(at),
                None => {}
            }
        }
        // Each glob was compiled by itself before: together they can only be too many for one automaton.
        let rules = set.build().unwrap_or_else(|_| GlobSet::empty());
        if rules.len() != rules_of.len() {
            subjects_only.append(&mut rules_of);
        }
        RuleGlobs { rules, rules_of, subjects_only }
    }

    fn is_empty(&self) -> bool {
        self.rules_of.is_empty() && self.subjects_only.is_empty()
    }

    /// The playbooks that ask for `rule`: those of `exact`, and those with globs, at the priorities they ask for.
    fn asking(&self, playbooks: &[Arc<Playbook>], rule: &str, exact: &[usize]) -> Vec<Anchor> {
        let globbed =
            self.rules.matches(rule).into_iter().filter_map(|at| self.rules_of.get(at).copied());
        let mut asking: Vec<usize> = exact
            .iter()
            .copied()
            .chain(globbed)
            .chain(self.subjects_only.iter().copied())
            .collect();
        asking.sort_unstable();
        asking.dedup();
        let slug = slug(rule);
        let subjects = Priority::ALL.map(|priority| (priority, subject(&slug, priority)));
        asking
            .into_iter()
            .filter_map(|at| {
                let selector = &playbooks.get(at)?.selector;
                if !selector.rules.as_ref().is_none_or(|rules| rules.match_text(rule)) {
                    return None;
                }
                let allowed = subjects.iter().filter(|(_, subject)| {
                    selector.subjects.as_ref().is_none_or(|subjects| subjects.match_text(subject))
                });
                let allowed = allowed.fold(0, |bits, (priority, _)| bits | priority.bit());
                let priorities = allowed & selector.priorities.bits();
                (priorities != 0).then_some(Anchor { playbook: at, priorities })
            })
            .collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::decide::read_text;

    #[test]
    fn a_long_rule_is_matched_and_not_remembered() {
        let playbook = "apiVersion: stoop.dev/v1alpha1\nkind: Playbook\nmetadata: {name: test}\n\
                        spec: {match: {rules: ['Shell*']}, actions: [notify: {to: [log]}]}";
        let matcher = Matcher::new(read_text("test.yaml", playbook).unwrap());
        let before = matcher.rules.load().len();
        for (length, remembered) in [(LONGEST, 1), (LONGEST + 1, 1), (1_000_000, 1)] {
            let rule = "Shell".to_owned() + &"x".repeat(length - "Shell".len());
            let event = format!(
                r#"{{"rule":"{rule}","priority":"Notice","source":"syscall","output_fields":{{}}}}"#
            );
            assert!(matcher.wants(event.as_bytes()), "{length}");
            assert_eq!(matcher.rules.load().len(), before + remembered, "{length}");
        }
    }
}
