//! falco-talon's rules files.
//!
//! `document` reads them, `merge` puts together what is written in several places as Talon does, `matching` and
//! `actions` say what each part is called here. Facts are those of falco-talon at 19d3add (August 2026).

mod actions;
mod apart;
mod document;
mod matching;
mod merge;
mod params;

use playbooks::decide::{Mode, yaml};
use serde_json::json;

use super::{
    Draft, Imported, Needs, Remark,
    draft::{Item, Step},
    names::slug,
};
use document::{Action, Rule};

/// Reads rules files, each a name and its text, in the order in which Talon is given them.
///
/// # Errors
///
/// What Talon couldn't read either: no YAML, or not of the shape of rules.
pub fn import(files: &[(String, String)], mode: Mode) -> Result<Imported, Vec<yaml::Error>> {
    let mut remarks = Vec::new();
    let entries = document::read(files, &mut remarks)?;
    let merged = merge::merge(entries, &mut remarks);
    let width = merged.len().to_string().len().max(2);
    let mut imported = Imported { remarks, ..Imported::default() };
    let mut ended = Vec::new();
    for (at, rule) in merged.iter().enumerate() {
        // Playbooks answer in order of name, Talon's rules in the order of the file.
        let name = format!("{:0width$}-{}", at + 1, slug(&rule.name.text));
        let mut draft = draft(rule, name, mode);
        if let Some(before) = apart::before(&ended, rule) {
            let why = format!(
                "Talon doesn't come to this rule where `{}` matches, which ends with `continue: false`",
                before.name.text
            );
            let help = "all playbooks that match answer: exclude in this `match` what that one asks for, such as \
                        `k8s.ns.name!=shop`, and import again";
            draft.give_up(Remark::lost(&rule.name.node, why, help));
        }
        if rule.is_last() {
            ended.push(rule);
        }
        if let Some(first) = imported.needs.other_evidence(&draft.needs) {
            let how = format!("a worker keeps all evidence in one place, and that is {first}");
            let help = "let the store copy it on";
            draft.remarks.push(Remark::differs(&rule.name.node, how, help));
            draft.needs.keep_at(&first);
        }
        draft.needs = draft.needs.complete();
        imported.needs.add(&draft.needs);
        imported.drafts.push(draft);
    }
    Ok(imported)
}

fn draft(rule: &Rule, name: String, mode: Mode) -> Draft {
    let mut draft = Draft {
        name,
        from: format!("{}: rule `{}`", rule.name.node.place(), rule.name.text),
        description: rule.description.clone(),
        mode: if rule.is_dry_run() { Mode::Observe } else { mode },
        matching: Default::default(),
        items: Vec::new(),
        remarks: Vec::new(),
        needs: Needs::default(),
    };
    if rule.is_dry_run() && mode != Mode::Observe {
        let how = "`dry_run: true` logs and does nothing, which is mode observe here";
        draft.remarks.push(Remark::differs(&rule.name.node, how, ""));
    }
    for (at, action) in rule.actions.iter().enumerate() {
        if let Some(ended) = rule.actions.iter().take(at).find(|action| ends_rule(action)) {
            let how =
                format!("Talon never comes to this action: `{}` ends the rule", ended.name.text);
            let help = "left out; `continue: true` there lets Talon go on, and then it is imported";
            let remarks = vec![Remark::differs(&action.name.node, how, help)];
            draft.items.push(Item { remarks, steps: Vec::new() });
            continue;
        }
        let mut item = actions::item(action, &mut draft.needs);
        for step in &mut item.steps {
            step.on_failure = on_failure(action, step);
        }
        draft.items.push(item);
    }
    notify(rule, &mut draft);
    let has_target = draft.steps().any(Step::has_target);
    match matching::read(&rule.matching, has_target) {
        Ok((matching, remarks)) => {
            draft.matching = matching;
            draft.remarks.extend(remarks);
        }
        Err(remarks) => {
            for remark in remarks {
                draft.give_up(remark);
            }
        }
    }
    if rule.actions.is_empty() {
        let why = "the rule has no action, and Talon refuses the whole file";
        draft.remarks.push(Remark::lost(&rule.name.node, why, "add one"));
    }
    draft.checked(&rule.name.node)
}

/// Actions that Talon lets nothing come after, unless `continue` says so.
const LAST: [&str; 4] =
    ["kubernetes:terminate", "kubernetes:delete", "kubernetes:tcpdump", "kubernetes:sysdig"];

fn ends_rule(action: &Action) -> bool {
    let is_last = action.actionner.as_ref().is_some_and(|it| LAST.contains(&it.text.as_str()));
    !action.goes_on.unwrap_or(!is_last)
}

/// Talon stops at an action that failed, unless its errors are ignored.
fn on_failure(action: &Action, step: &Step) -> Option<&'static str> {
    let goes_on_by_itself = matches!(step.action, "capture" | "notify");
    match (action.ignores_errors.unwrap_or(false), goes_on_by_itself) {
        (true, false) => Some("continue"),
        (false, true) => Some("stop"),
        _ => None,
    }
}

/// One message at the end, about all that was done; Talon sends one after each action.
fn notify(rule: &Rule, draft: &mut Draft) {
    let (mut to, mut remarks) = (Vec::new(), Vec::new());
    for notifier in &rule.notifiers {
        let config = match notifier.text.to_lowercase().as_str() {
            "slack" => ("slack", json!({"slack": {"url": {"env": "SLACK_WEBHOOK_URL"}}})),
            "webhook" => ("webhook", json!({"webhook": {"url": {"env": "WEBHOOK_URL"}}})),
            "k8sevents" => ("k8sevents", json!({"kubernetesEvents": {}})),
            other => {
                let why = format!("there is no notifier `{other}`");
                let help = "add a falcosidekick notifier: its outputs have mail, Loki, Elasticsearch and others";
                remarks.push(Remark::lost(&notifier.node, why, help));
                continue;
            }
        };
        let (name, config) = config;
        if !to.contains(&name) {
            to.push(name);
            draft.needs.notifier(name, config);
        }
    }
    let has_steps = draft.is_playbook();
    let steps = match to.is_empty() || !has_steps {
        true => Vec::new(),
        false => vec![Step::new("notify", json!({"to": to}))],
    };
    draft.items.push(Item { remarks, steps });
}
