//! What is written under one name in several places, put together as Talon does.

use super::{
    document::{Action, Entry, Rule},
    params::Other,
};
use crate::import::Remark;

/// The rules, each action of theirs with what its template says.
pub(super) fn merge(entries: Vec<Entry>, remarks: &mut Vec<Remark>) -> Vec<Rule> {
    let (mut templates, mut rules) = (Vec::<Action>::new(), Vec::<Rule>::new());
    for entry in entries {
        match entry {
            Entry::Template(action) => {
                match templates.iter_mut().find(|known| known.name.text == action.name.text) {
                    Some(known) => add_template(known, *action, remarks),
                    None => templates.push(*action),
                }
            }
            Entry::Rule(rule) => {
                match rules.iter_mut().find(|known| known.name.text == rule.name.text) {
                    Some(known) => add_rule(known, *rule, remarks),
                    None => rules.push(*rule),
                }
            }
        }
    }
    for action in rules.iter_mut().flat_map(|rule| &mut rule.actions) {
        if let Some(template) = templates.iter().find(|known| known.name.text == action.name.text) {
            complete(action, template, remarks);
        }
    }
    rules
}

/// The later one wins, but for where the output goes.
fn add_template(known: &mut Action, later: Action, remarks: &mut Vec<Remark>) {
    known.actionner = later.actionner.or(known.actionner.take());
    known.goes_on = later.goes_on.or(known.goes_on);
    known.description = later.description.or(known.description.take());
    known.ignores_errors = later.ignores_errors.or(known.ignores_errors);
    known.output.target = known.output.target.take().or(later.output.target);
    known.contexts.extend(later.contexts);
    known.params.merge(&later.params, Other::Later, remarks);
    known.output.params.merge(&later.output.params, Other::Later, remarks);
}

/// Lists are joined; a priority and a source are the later one's, even where it has none.
fn add_rule(known: &mut Rule, later: Rule, remarks: &mut Vec<Remark>) {
    known.goes_on = later.goes_on.or(known.goes_on);
    known.dry_run = later.dry_run.or(known.dry_run);
    known.description = later.description.or(known.description.take());
    known.notifiers.extend(later.notifiers);
    known.actions.extend(later.actions);
    let (ours, theirs) = (&mut known.matching, later.matching);
    for (name, lost) in [
        ("priority", ours.priority.as_ref().filter(|_| theirs.priority.is_none())),
        ("source", ours.source.as_ref().filter(|_| theirs.source.is_none())),
    ] {
        if let Some(lost) = lost {
            let how = format!(
                "a rule of this name follows that has no {name}, so that Talon forgets this one"
            );
            remarks.push(Remark::differs(
                &lost.node,
                how,
                "forgotten here too: write it there again",
            ));
        }
    }
    ours.priority = theirs.priority;
    ours.source = theirs.source;
    ours.rules.extend(theirs.rules);
    ours.tags.extend(theirs.tags);
    ours.fields.extend(theirs.fields);
}

/// What the rule itself says goes first.
fn complete(action: &mut Action, template: &Action, remarks: &mut Vec<Remark>) {
    action.description = action.description.take().or_else(|| template.description.clone());
    action.actionner = action.actionner.take().or_else(|| template.actionner.clone());
    action.goes_on = action.goes_on.or(template.goes_on);
    action.ignores_errors = action.ignores_errors.or(template.ignores_errors);
    if action.contexts.is_empty() {
        action.contexts.clone_from(&template.contexts);
    }
    action.params.merge(&template.params, Other::Template, remarks);
    action.output.target = action.output.target.take().or_else(|| template.output.target.clone());
    action.output.params.merge(&template.output.params, Other::Template, remarks);
}
