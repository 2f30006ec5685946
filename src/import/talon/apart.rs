//! Whether an event that one rule matches can match another: what `continue: false` asks.

use super::{
    document::{Matching, Rule},
    matching::{Comparison, groups},
};
use crate::import::source::Text;

/// The first of the rules that keeps Talon from coming to `rule`, unless what both ask for excludes each other.
pub(super) fn before<'a>(ended: &[&'a Rule], rule: &Rule) -> Option<&'a Rule> {
    ended.iter().find(|earlier| !are_apart(&earlier.matching, &rule.matching)).copied()
}

/// True where no event matches both; false where that isn't seen.
fn are_apart(one: &Matching, other: &Matching) -> bool {
    let names = |rules: &[Text]| rules.iter().map(|rule| rule.text.clone()).collect::<Vec<_>>();
    let (ours, theirs) = (names(&one.rules), names(&other.rules));
    let rules =
        !ours.is_empty() && !theirs.is_empty() && !ours.iter().any(|rule| theirs.contains(rule));
    let sources = match (&one.source, &other.source) {
        (Some(ours), Some(theirs)) => ours.text != theirs.text,
        _ => false,
    };
    rules || sources || fields_are_apart(one, other)
}

/// True where each group of the one contradicts each of the other.
fn fields_are_apart(one: &Matching, other: &Matching) -> bool {
    let read = |matching: &Matching| groups(&matching.fields, &mut Vec::new());
    let (Ok(ours), Ok(theirs)) = (read(one), read(other)) else { return false };
    let contradict = |ours: &[Comparison], theirs: &[Comparison]| {
        ours.iter().any(|our| theirs.iter().any(|their| our.contradicts(their)))
    };
    !ours.is_empty()
        && !theirs.is_empty()
        && ours.iter().all(|group| theirs.iter().all(|other| contradict(group, other)))
}
