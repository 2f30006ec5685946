//! Playbooks as people write them, right and wrong.

use playbooks::decide::{
    BudgetScope, Facts, Mode, OnFailure, Playbook, Priority, Reach, Texts, read_path, read_text,
    schema,
};
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
    assert_eq!(
        playbook.actions[0].on_failure,
        OnFailure::Continue,
        "missing evidence holds no containment back"
    );
    assert_eq!(playbook.actions[1].on_failure, OnFailure::Stop);
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
fn every_fault_is_shown_where_it_is_and_with_the_fix() {
    for (block, place, message, fix) in [
        ("rules: 5", "6:12", "expected a string, found integer `5`", ""),
        ("rules: {a: b}", "6:12", "expected a value or a list of values, found mapping", ""),
        ("rules: []", "6:12", "an empty list matches nothing", "take the key away"),
        ("rules: ['[x']", "6:13", "`[x` is not a glob: unclosed character class", "backslash"),
        ("fields: {a: {b: c}}", "6:17", "expected a value or a list of values, found mapping", ""),
        ("fields: {a: [[b]]}", "6:18", "expected a string, a number or a boolean", ""),
        ("target: [a]", "6:13", "found list", ""),
        ("priority: Notise", "6:15", "found `Notise`", "did you mean `Notice`?"),
        ("priority: ['=> Notice']", "6:16", "unknown comparison `=>`", ">=, >, =="),
        ("priority: '> Emergency'", "6:15", "`> Emergency` is true of no priority", "widen"),
        ("namespaces: {exlude: [a]}", "6:18", "unknown key `exlude`", "did you mean `exclude`?"),
        ("target: {labels: {a: b}}", "6:14", "unknown key `labels`", "did you mean `podLabels`?"),
        (
            "when: 'fields.proc.name == \"x\"'",
            "6:11",
            "by their whole name",
            "fields[\"proc.name\"]",
        ),
        ("when: [a]", "6:11", "expected a string, found list", ""),
        ("{}", "6:5", "an empty match would answer every event", "rules: [\"*\"]"),
        ("", "5:8", "expected a mapping, found null", ""),
    ] {
        let error = refusal(&with_match(block));
        assert!(error.starts_with(&format!("p.yaml:{place}: ")), "{block}: {error}");
        assert!(error.contains(message) && error.contains(fix), "{block}: {error}");
        assert_eq!(error.contains("fix: "), !fix.is_empty(), "{block}: {error}");
    }
}

/// A playbook whose `spec` goes on with these lines after `match`.
fn with_spec(lines: &str) -> String {
    format!(
        "apiVersion: stoop.dev/v1alpha1\nkind: Playbook\nmetadata: {{name: p}}\nspec:\n  match: {{rules: x}}\n{lines}\n"
    )
}

#[test]
fn every_fault_of_the_rest_is_shown_too() {
    for (lines, place, message) in [
        ("  actions: []", "6:12", "no actions"),
        ("  actions: delete", "6:12", "expected a list of actions"),
        ("  actions: [5]", "6:13", "expected an action"),
        (
            "  actions:\n  - delete: {}\n    notify: {}",
            "8:5",
            "`notify` is a second action in one step",
        ),
        ("  actions:\n  - onFailure: stop", "7:5", "no action in this step"),
        ("  actions:\n  - delete: 5", "7:13", "expected a mapping"),
        (
            "  actions:\n  - delete:\n    onFailure: retry",
            "8:16",
            "expected stop, continue or a list of actions",
        ),
        ("  actions:\n  - delete:\n    onFailure:\n    - 5", "9:7", "expected an action"),
        ("  actions: [delete]\n  mode: enforced", "7:9", "unknown value `enforced`"),
        ("  actions: [delete]\n  approval: yes", "7:13", "unknown value `yes`"),
        (
            "  actions: [delete]\n  limits: {timeout: 5}",
            "7:21",
            "expected a duration with its unit, such as `5m`",
        ),
        (
            "  actions: [delete]\n  limits: {timeout: 0s}",
            "7:21",
            "a timeout of 0 would never run it",
        ),
        (
            "  actions: [delete]\n  limits: {cooldown: soon}",
            "7:22",
            "expected a duration such as `30s`",
        ),
        ("  actions: [delete]\n  limits: {attempts: 0}", "7:22", "0 attempts would never run it"),
        (
            "  actions: [delete]\n  limits: {attempts: -1}",
            "7:22",
            "expected a whole number, not negative",
        ),
        ("  actions: [delete]\n  limits: {budget: 10}", "7:20", "expected a string"),
        ("  actions: [delete]\n  limits: {budget: 0 per 5m}", "7:20", "expected a budget"),
        ("  actions: [delete]\n  limits: {budget: 1 per 5m per pod}", "7:20", "not per `pod`"),
        ("  actions: [delete]\n  limit: {}", "7:3", "unknown key `limit`"),
        ("", "5:3", "missing key `actions`"),
    ] {
        let error = refusal(&with_spec(lines));
        assert!(error.starts_with(&format!("p.yaml:{place}: ")), "{lines}: {error}");
        assert!(error.contains(message), "{lines}: {error}");
    }
}

#[test]
fn a_document_that_is_no_playbook_is_refused() {
    for (text, message) in [
        (
            "kind: Playbok\napiVersion: stoop.dev/v1alpha1\nmetadata: {name: x}\nspec: {}",
            "did you mean `Playbook`?",
        ),
        (
            "kind: Playbook\napiVersion: stoop.dev/v1\nmetadata: {name: x}\nspec: {}",
            "did you mean `stoop.dev/v1alpha1`?",
        ),
        ("kind: Playbook\nmetadata: {name: x}\nspec: {}", "missing key `apiVersion`"),
        (
            "kind: Playbook\napiVersion: stoop.dev/v1alpha1\nmetadata: {}\nspec: {}",
            "missing key `name`",
        ),
        ("- a", "expected a playbook, found list"),
        ("text", "expected a playbook, found string \"text\""),
        ("kind: Playbook\napiVersion: stoop.dev/v1alpha1\nmetadata: [p]\nspec: {}", "found list"),
    ] {
        let error = refusal(text);
        assert!(error.contains(message), "{text}: {error}");
    }
    let named = with_match("rules: x").replace("name: p", "name: Not A Name");
    assert!(refusal(&named).contains("can't be the name of a Kubernetes object"));
}

#[test]
fn several_faults_are_found_in_one_reading_and_shown_in_order() {
    let text = format!(
        "{}---\n{}",
        with_match("rulez: x").replace("actions: [delete]", "actions: []\n  mode: on"),
        with_match("priority: Notise").replace("name: p", "name: q"),
    );
    let errors = read_text("p.yaml", &text).expect_err("a refusal");
    let lines: Vec<usize> =
        errors.iter().filter_map(|error| error.place()).map(|place| place.line).collect();
    assert_eq!(lines, [6, 7, 8, 15]);
}

#[test]
fn failure_branches_are_read() {
    let playbook = one(&with_spec(
        "  actions:\n  - delete: {gracePeriod: 5s}\n    onFailure:\n    - notify: {to: [log]}\n    - taint\n  - notify:\n    onFailure: stop",
    ));
    let OnFailure::Run(steps) = &playbook.actions[0].on_failure else {
        panic!("{:?}", playbook.actions[0].on_failure)
    };
    assert_eq!(steps.len(), 2);
    assert_eq!(steps[1].path.to_string(), "spec.actions[0].onFailure[1]");
    assert_eq!(playbook.actions[1].on_failure, OnFailure::Stop);
    assert_eq!(playbook.actions[1].config, serde_json::json!({}));
}

#[test]
fn an_action_can_point_into_its_configuration() {
    let playbook = one(FULL);
    let path = playbook.actions[2].config_path().key("minHealthy");
    let error = playbook.error_at(&path, "must be a share", "write `50%`").to_string();
    assert!(
        error.starts_with(
            "shell.yaml:18:45: spec.actions[2].delete.minHealthy: must be a share\n18 |"
        ),
        "{error}"
    );
}

#[test]
fn lines_end_however_they_end_on_the_operators_machine() {
    for end in ["\n", "\r\n", "\r"] {
        let error = refusal(&with_match("rulez: [x]").replace('\n', end));
        assert!(
            error.contains("p.yaml:6:5: ") && error.contains("6 |     rulez: [x]\n"),
            "{error}"
        );
    }
}

#[test]
fn yaml_that_is_loose_or_hostile_is_refused() {
    let bomb = (1..12).fold("a0: &a0 [x, x, x, x, x, x, x, x, x, x]\n".to_owned(), |text, n| {
        let before = n - 1;
        format!("{text}a{n}: &a{n} [{}]\n", vec![format!("*a{before}"); 10].join(", "))
    });
    for (text, place) in [
        ("a: 1\na: 2".to_owned(), "p.yaml:2:1: duplicate mapping key"),
        ("a: [".to_owned(), "p.yaml:1:4: "),
        ("a: b: c".to_owned(), "p.yaml:1:5: "),
        ("a: *nowhere".to_owned(), "p.yaml:1:4: "),
        ("a:\n\t- b".to_owned(), "p.yaml:2:"),
        ("[".repeat(10_000), "p.yaml:1:"),
        (bomb, "p.yaml:"),
        ("a: &a [*a]".to_owned(), "p.yaml:1:"),
        (" ".repeat(5 << 20), "p.yaml: larger than"),
    ] {
        let error = refusal(&text);
        assert!(error.starts_with(place), "{error}");
    }
}

#[test]
fn an_object_is_read_like_a_file_and_its_errors_show_paths() {
    let mut object = serde_json::json!({
        "apiVersion": "stoop.dev/v1alpha1", "kind": "Playbook",
        "metadata": {"name": "p", "namespace": "shop", "uid": "x", "managedFields": []},
        "spec": {"match": {"rules": ["x"]}, "actions": [{"delete": {}}]}, "status": {"phase": "Ready"},
    });
    assert!(Playbook::from_value("playbook shop/p", object.clone()).is_ok());
    object["spec"]["match"] = serde_json::json!({"rules": ["x"], "priority": "loud"});
    let error = Playbook::from_value("playbook shop/p", object).expect_err("a refusal").to_string();
    assert!(
        error.starts_with("playbook shop/p: spec.match.priority: expected a priority"),
        "{error}"
    );
}

#[test]
fn a_folder_is_read_with_the_folders_in_it() {
    let folder = tempfile::tempdir().expect("a folder");
    let write = |name: &str, text: &str| {
        let path = folder.path().join(name);
        std::fs::create_dir_all(path.parent().expect("a parent")).expect("a folder");
        std::fs::write(path, text).expect("a file");
    };
    write("b.yaml", &with_match("rules: x").replace("name: p", "name: b"));
    write("deep/a.yml", &with_match("rules: x").replace("name: p", "name: a"));
    write("..data/b.yaml", &with_match("rules: x").replace("name: p", "name: b"));
    write("notes.txt", "not a playbook");
    write("empty.yaml", "# nothing yet\n");
    let playbooks = read_path(folder.path()).unwrap_or_else(|errors| panic!("{errors}"));
    assert_eq!(playbooks.len(), 2);

    write("c.yaml", &with_match("rules: x").replace("name: p", "name: a"));
    let error = read_path(folder.path()).expect_err("a refusal").to_string();
    assert!(
        error.contains("`a` is also the name of a playbook in ") && error.contains("a.yml:3:18"),
        "{error}"
    );
    let error = read_path(&folder.path().join("nowhere")).expect_err("a refusal").to_string();
    assert!(error.contains("nowhere: can't be read") && error.contains("fix: "), "{error}");
}

#[test]
fn the_schema_describes_what_is_read() {
    let schema = schema();
    let spec = &schema["$defs"]["SpecDoc"];
    let mut keys: Vec<&str> =
        spec["properties"].as_object().expect("properties").keys().map(String::as_str).collect();
    keys.sort_unstable();
    assert_eq!(keys, ["actions", "approval", "limits", "match", "mode"]);
    let matching = &schema["$defs"]["Match"]["properties"];
    for key in [
        "rules",
        "subjects",
        "priority",
        "sources",
        "tags",
        "fields",
        "when",
        "namespaces",
        "target",
    ] {
        assert!(matching.get(key).is_some_and(|key| key.get("description").is_some()), "{key}");
    }
    assert_eq!(schema["$defs"]["Mode"].to_string().matches("dryRun").count(), 1);
}

#[test]
fn a_playbook_is_bound_to_its_namespace_as_an_object_and_not_as_a_file() {
    let folder = tempfile::tempdir().unwrap();
    let text = |kind: &str, metadata: &str| {
        let text = format!(
            "apiVersion: stoop.dev/v1alpha1\nkind: {kind}\nmetadata: {{{metadata}}}\nspec: {{match: {{rules: R}}, actions: [delete]}}\n"
        );
        std::fs::write(folder.path().join("p.yaml"), text).unwrap();
        Texts::of(&[folder.path()])
    };
    let texts = text("Playbook", "name: p, namespace: shop");
    let file = texts.read().unwrap().remove(0);
    assert_eq!((file.name.as_str(), &file.reach), ("p", &Reach::Cluster));
    let object = texts.read_objects().unwrap().remove(0);
    assert_eq!((object.name.as_str(), &object.reach), ("shop/p", &Reach::Namespace("shop".into())));
    let facts = |namespace: Option<&str>| Facts {
        namespace: namespace.map(str::to_owned),
        ..Facts::default()
    };
    assert!(object.needs_object() && object.selects(&facts(Some("shop"))));
    assert!(!object.selects(&facts(Some("shop2"))) && !object.selects(&facts(None)));
    assert!(
        !object.could_select_in(Some("shop")) && !object.could_select_in(None),
        "that is only claimed"
    );

    let whole =
        text("ClusterPlaybook", "name: p, namespace: shop").read_objects().unwrap().remove(0);
    assert_eq!((whole.name.as_str(), &whole.reach), ("p", &Reach::Cluster));
    let refusal = text("Playbook", "name: p").read_objects().unwrap_err().to_string();
    assert!(
        refusal.contains("p.yaml:3:11: metadata: an object of this kind is its namespace's"),
        "{refusal}"
    );
}
