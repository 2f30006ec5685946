//! Playbooks as people write them, right and wrong.

use playbooks::decide::{BudgetScope, Mode, OnFailure, Playbook, Priority, read_text};
use std::sync::Arc;
use std::time::Duration;

const FULL: &str = include_str!("data/playbook.yaml");

fn one(text: &str) -> Arc<Playbook> {
    let playbooks = read_text("shell.yaml", text).unwrap_or_else(|errors| panic!("{errors}"));
    assert_eq!(playbooks.len(), 1);
    Arc::clone(&playbooks[0])
}

/// A playbook with this `match`, and these lines under `spec` after it.
fn with_match(block: &str) -> String {
    format!(
        "apiVersion: stoop.dev/v1alpha1\nkind: Playbook\nmetadata: {{name: p}}\nspec:\n  match:\n    {block}\n  actions: [delete]\n"
    )
}

fn refusal(text: &str) -> String {
    read_text("p.yaml", text).expect_err("a refusal").to_string()
}

#[test]
fn the_documented_playbook_is_understood() {
    let playbook = one(FULL);
    assert_eq!(playbook.name, "shell-in-container");
    assert_eq!(playbook.mode, Mode::Enforce);
    let actions: Vec<&str> = playbook.actions.iter().map(|step| step.action.as_str()).collect();
    assert_eq!(actions, ["capture", "isolate", "delete", "notify", "delete"]);
    assert_eq!(playbook.actions[0].on_failure, OnFailure::Stop);
    assert_eq!(playbook.actions[2].on_failure, OnFailure::Continue);
    assert_eq!(
        playbook.actions[3].on_failure,
        OnFailure::Continue,
        "a failed notify holds nothing back"
    );
    assert_eq!(playbook.actions[4].config, serde_json::json!({}));
    let budget = playbook.limits.budget.expect("a budget");
    assert_eq!(
        (budget.count, budget.window, budget.scope),
        (10, Duration::from_secs(300), BudgetScope::Namespace)
    );
    assert_eq!(playbook.limits.max_event_age, Some(Duration::from_secs(300)));
    assert!(playbook.needs_object());
    assert!(playbook.selector.priorities().contain(Priority::Notice));
    assert!(!playbook.selector.priorities().contain(Priority::Informational));
}

#[test]
fn the_mode_is_observe_unless_it_is_written() {
    assert_eq!(one(&with_match("rules: x")).mode, Mode::Observe);
}

#[test]
fn an_unknown_key_is_shown_with_its_place_and_what_was_meant() {
    let error = refusal(&with_match("rulez: [x]"));
    assert!(error.starts_with("p.yaml:6:5: spec.match.rulez: unknown key `rulez`"), "{error}");
    assert!(error.contains("did you mean `rules`?"), "{error}");
    assert!(error.contains("6 |     rulez: [x]\n  |     ^"), "{error}");
}

#[test]
fn print_all() {
    for text in [
        with_match("rulez: [x]"),
        with_match("rules: 5"),
        with_match("priority: \"=> Notice\"\n    when: 'a.b'"),
        with_match("priority: Notise"),
        with_match("rules: ['[x']"),
        with_match("when: 'fields.proc.name == \"x\"'"),
        with_match("when: '1 + '"),
        with_match("{}"),
        with_match("{rules: a, rules: b}"),
        "a: [".to_owned(),
        "a: b: c".to_owned(),
        "kind: Playbok\napiVersion: stoop.dev/v1alpha1\nmetadata: {name: x}\nspec: {}".to_owned(),
        "kind: Playbook\napiVersion: stoop.dev/v1alpha1\nmetadata: {name: X y}\nspec:\n  mode: enforced\n  match: {}\n  actions: []\n  limits: {timeout: 5, attempts: -1}".to_owned(),
        "kind: Playbook\napiVersion: stoop.dev/v1alpha1\nmetadata: {name: xy}\nspec:\n  match: {rules: a}\n  actions:\n  - delete: {}\n    notify: {}\n  - 5\n  - delete: {}\n    onFailure: retry\n  - delete: 5\n  limits: {budget: ten}".to_owned(),
        format!("{FULL}\n---\n{FULL}"),
    ] {
        println!("{}\n-------", refusal(&text));
    }
}
