//! Which playbooks an event is for.

use playbooks::decide::{Event, Facts, Holds, Matcher, Owner, Playbook, read_text};
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::sync::Arc;

fn playbook(name: &str, matching: Value) -> Arc<Playbook> {
    let document = json!({
        "apiVersion": "stoop.dev/v1alpha1", "kind": "ClusterPlaybook", "metadata": {"name": name},
        "spec": {"match": matching, "actions": ["delete"]},
    });
    Arc::new(Playbook::from_value(name, document).unwrap_or_else(|errors| panic!("{errors}")))
}

fn event(over: Value) -> String {
    let mut event = json!({
        "output": "text", "priority": "Notice", "rule": "Terminal shell in container", "source": "syscall",
        "time": "2026-11-21T05:24:10.361728219Z", "output_fields": {"proc.name": "bash", "proc.tty": 34816},
        "tags": ["shell", "T1059"],
    });
    for (key, value) in over.as_object().expect("an object") {
        event[key] = value.clone();
    }
    event.to_string()
}

/// Whether a playbook with this `match` is for an event with these keys; the filter must agree.
fn matches(matching: Value, over: Value) -> bool {
    let matcher = Matcher::new(vec![playbook("p", matching)]);
    let text = event(over);
    let found = !matcher
        .candidates(&Event::decode(text.as_bytes()).expect("an event"))
        .expect("fields")
        .is_empty();
    let explained =
        matcher.playbooks()[0].explain(&Event::decode(text.as_bytes()).expect("an event"));
    assert_eq!(Holds::all(&explained) != Holds::No, found, "{explained:?}");
    assert!(!found || matcher.wants(text.as_bytes()), "the filter would have skipped it");
    found
}

#[test]
fn each_condition_holds_or_not() {
    for (matching, over, expected) in [
        (json!({"rules": "Terminal shell in container"}), json!({}), true),
        (json!({"rules": ["Other", "Terminal shell in container"]}), json!({}), true),
        (json!({"rules": "Terminal shell"}), json!({}), false),
        (json!({"rules": "terminal shell in container"}), json!({}), false),
        (json!({"rules": "Terminal*"}), json!({}), true),
        (json!({"rules": "*shell*"}), json!({}), true),
        (json!({"rules": "{Terminal,Other} *"}), json!({}), true),
        (json!({"rules": "*"}), json!({"rule": ""}), true),
        (json!({"rules": "Read /etc/*"}), json!({"rule": "Read /etc/a/b.c"}), true),
        (json!({"rules": "\\*"}), json!({"rule": "*"}), true),
        (json!({"rules": "\\*"}), json!({"rule": "x"}), false),
        (json!({"subjects": "falco.notice.terminal_shell_in_container"}), json!({}), true),
        (json!({"subjects": "falco.notice.*"}), json!({}), true),
        (json!({"subjects": "falco.*"}), json!({}), true),
        (json!({"subjects": "falco.*.attach_exec_pod"}), json!({"rule": "Attach/Exec Pod!"}), true),
        (json!({"subjects": "falco.warning.*"}), json!({}), false),
        (json!({"subjects": "falco.notice."}), json!({"rule": "???"}), true),
        (json!({"subjects": "falco.notice.*", "rules": "Other"}), json!({}), false),
        (json!({"priority": ">= Notice"}), json!({"priority": "Emergency"}), true),
        (json!({"priority": ">= notice"}), json!({"priority": "Informational"}), false),
        (json!({"priority": "> Notice"}), json!({}), false),
        (json!({"priority": "<= Notice"}), json!({"priority": "Debug"}), true),
        (json!({"priority": "< Notice"}), json!({}), false),
        (json!({"priority": "== Notice"}), json!({}), true),
        (json!({"priority": "!= Notice"}), json!({}), false),
        (json!({"priority": "Notice"}), json!({}), true),
        (json!({"priority": ["Alert", "Notice"]}), json!({}), true),
        (json!({"priority": ["Alert", "info"]}), json!({"priority": "Informational"}), true),
        (json!({"sources": ["syscalls"]}), json!({}), true),
        (json!({"sources": ["syscall"]}), json!({"source": "syscalls"}), true),
        (json!({"sources": ["syscall"]}), json!({"source": ""}), true),
        (json!({"sources": ["k8s_audit"]}), json!({}), false),
        (json!({"tags": ["shell", "other"]}), json!({}), true),
        (json!({"tags": ["other"]}), json!({}), false),
        (json!({"tags": ["shell"]}), json!({"tags": null}), false),
        (json!({"fields": {"proc.name": ["sh", "bash"]}}), json!({}), true),
        (json!({"fields": {"proc.name": "b*"}}), json!({}), true),
        (json!({"fields": {"proc.name": "zsh"}}), json!({}), false),
        (json!({"fields": {"proc.tty": 34816}}), json!({}), true),
        (json!({"fields": {"proc.name": "bash", "user.name": "root"}}), json!({}), false),
        (json!({"fields": {"absent": "*"}}), json!({}), false),
        (json!({"fields": {"a": "*"}}), json!({"output_fields": {"a": null}}), false),
        (json!({"fields": {"a": "*"}}), json!({"output_fields": {"a": "<NA>"}}), false),
        (json!({"fields": {"a": "x\ny"}}), json!({"output_fields": {"a": "x\ny"}}), true),
        (json!({"fields": {"a": "x*y"}}), json!({"output_fields": {"a": "x/\ny"}}), true),
        (json!({"fields": {"a": "true"}}), json!({"output_fields": {"a": true}}), true),
        (json!({"fields": {"a": true}}), json!({"output_fields": {"a": "true"}}), true),
        (json!({"fields": {"a": "y"}}), json!({"output_fields": {"a": ["x", "y"]}}), true),
        (
            json!({"fields": {"proc.aname[2]": "sshd"}}),
            json!({"output_fields": {"proc.aname_2": "sshd"}}),
            true,
        ),
        (
            json!({"fields": {"proc.aname_2": "sshd"}}),
            json!({"output_fields": {"proc.aname[2]": "sshd"}}),
            true,
        ),
        (json!({"when": "fields['proc.name'] == 'bash'"}), json!({}), true),
        (json!({"when": "fields['proc.name'] == 'sh'"}), json!({}), false),
        (json!({"namespaces": ["shop"]}), json!({}), true),
        (json!({"rules": "*"}), json!({"rule": "Test rule"}), false),
        (json!({"rules": "*"}), json!({"rule": "Falco internal: x"}), false),
        (json!({"rules": "Falco internal: x"}), json!({"rule": "Falco internal: x"}), false),
        (json!({"rules": "*"}), json!({"source": "stoop"}), false),
    ] {
        assert_eq!(matches(matching.clone(), over.clone()), expected, "{matching} {over}");
    }
}

#[test]
fn candidates_come_in_order_of_name_with_their_position() {
    let matcher = Matcher::new(vec![
        playbook("c", json!({"tags": ["shell", "T1059"]})),
        playbook("a", json!({"rules": "Other"})),
        playbook("d", json!({"fields": {"proc.name": ["bash", "sh"]}})),
        playbook("b", json!({"rules": ["Terminal*", "Terminal shell in container", "*shell*"]})),
    ]);
    let text = event(json!({}));
    let found =
        matcher.candidates(&Event::decode(text.as_bytes()).expect("an event")).expect("fields");
    let names: Vec<(&str, usize)> =
        found.iter().map(|found| (found.playbook.name.as_str(), found.position)).collect();
    assert_eq!(names, [("b", 1), ("c", 2), ("d", 3)]);
}

#[test]
fn the_filter_skips_what_no_playbook_wants() {
    let matcher = Matcher::new(vec![
        playbook("rule", json!({"rules": "Terminal shell in container", "priority": ">= Notice"})),
        playbook("source", json!({"rules": "Attach/Exec Pod", "sources": ["k8s_audit"]})),
    ]);
    for (over, wanted) in [
        (json!({}), true),
        (json!({"priority": "Debug"}), false),
        (json!({"rule": "Other"}), false),
        (json!({"rule": "Attach/Exec Pod"}), false),
        (json!({"rule": "Attach/Exec Pod", "source": "k8s_audit"}), true),
        (json!({"rule": "Test rule"}), false),
    ] {
        assert_eq!(matcher.wants(event(over.clone()).as_bytes()), wanted, "{over}");
    }
    assert!(
        !Matcher::new(Vec::new()).wants(event(json!({})).as_bytes()),
        "nothing is wanted by nobody"
    );
}

/// Each of these is no event, or an event that a filter could misread.
#[test]
fn the_filter_keeps_what_it_is_not_sure_of() {
    let matcher = Matcher::new(vec![playbook(
        "p",
        json!({"rules": "R", "priority": "Notice", "sources": "s"}),
    )]);
    for text in [
        "",
        "not json",
        "[]",
        "{}",
        "{\"rule\"",
        "{\"rule\":5}",
        "{\"rule\":null}",
        "{\"output\":\"x",
        "{\"output\":\"x\\",
        "{\"output_fields\":{\"a\":\"}\"",
        "{\"output_fields\":}}}",
        "{\"output\":\"x\" \"rule\":\"other\"}",
        "{\"r\\u0075le\":\"R\",\"rule\":\"other\"}",
        "{\"\\u0072ule\":\"R\"}",
        "{\"rule\":\"\\u0052\",\"priority\":\"Notice\"}",
        "{\"priority\":\"Not\\u0069ce\",\"rule\":\"R\"}",
        "{\"rule\":\"R\",\"priority\":\"Urgent\"}",
        "{\"rule\":\"R\",\"priority\":\"Notice\",\"source\":\"\\u0073\"}",
        "{\"rule\":\"R\",\"priority\":\"Notice\"}",
        "{\"rule\":\"R\",\"priority\":\"Notice\",\"output_fields\":{\"source\":\"other\",\"x\":[\"]\"]},\"source\":\"s\"}",
    ] {
        assert!(matcher.wants(text.as_bytes()), "{text}");
    }
    assert!(matcher.wants(b"{\"rule\":\"R\",\"priority\":\"Notice\",\"source\":\"\xff\"}"));
}

#[test]
fn nested_keys_are_not_taken_for_the_events_own() {
    let matcher = Matcher::new(vec![playbook("p", json!({"rules": "R"}))]);
    let text = event(
        json!({"rule": "R", "output_fields": {"rule": "other", "list": [{"rule": "other"}]}}),
    );
    assert!(matcher.wants(text.as_bytes()));
    let text =
        event(json!({"rule": "other", "output_fields": {"rule": "R"}, "output": "\"rule\":\"R\""}));
    assert!(!matcher.wants(text.as_bytes()));
}

#[test]
fn many_unknown_rules_are_still_matched_by_globs() {
    let matcher = Matcher::new(vec![
        playbook("p", json!({"rules": "Rule *7"})),
        playbook("q", json!({"subjects": "*_8"})),
    ]);
    for number in 0..10_000 {
        let text = event(json!({"rule": format!("Rule {number}")}));
        let wanted = number % 10 == 7 || format!("_{number}").ends_with("_8");
        assert_eq!(matcher.wants(text.as_bytes()), wanted, "{number}");
    }
}

fn facts() -> Facts {
    let labels = |pairs: &[(&str, &str)]| {
        pairs.iter().map(|(k, v)| ((*k).to_owned(), (*v).to_owned())).collect::<BTreeMap<_, _>>()
    };
    Facts {
        namespace: Some("shop".to_owned()),
        pod_labels: labels(&[("app", "web")]),
        namespace_labels: labels(&[("team", "blue")]),
        owners: vec![
            Owner { kind: "ReplicaSet".to_owned(), name: "web-5d4f".to_owned() },
            Owner { kind: "Deployment".to_owned(), name: "web".to_owned() },
        ],
        images: vec!["docker.io/library/nginx:1.29".to_owned()],
    }
}

#[test]
fn the_object_is_judged_on_what_was_verified() {
    for (matching, expected) in [
        (json!({"rules": "*"}), true),
        (json!({"namespaces": ["shop", "other"]}), true),
        (json!({"namespaces": ["sh*"]}), true),
        (json!({"namespaces": ["other"]}), false),
        (json!({"namespaces": {"exclude": ["ci-*"]}}), true),
        (json!({"namespaces": {"exclude": ["sh*"]}}), false),
        (json!({"namespaces": {"include": ["*"], "exclude": ["shop"]}}), false),
        (json!({"target": {"podLabels": {"app": "web"}}}), true),
        (json!({"target": {"podLabels": {"app": ["api", "w*"]}}}), true),
        (json!({"target": {"podLabels": {"app": "api"}}}), false),
        (json!({"target": {"podLabels": {"tier": "*"}}}), false),
        (json!({"target": {"namespaceLabels": {"team": "blue"}}}), true),
        (json!({"target": {"namespaceLabels": {"team": "red"}}}), false),
        (json!({"target": {"owners": ["Deployment/web"]}}), true),
        (json!({"target": {"owners": ["ReplicaSet/*"]}}), true),
        (json!({"target": {"owners": ["StatefulSet/*"]}}), false),
        (json!({"target": {"images": ["*nginx*"]}}), true),
        (json!({"target": {"images": ["nginx"]}}), false),
        (json!({"target": {"images": ["*nginx*"], "owners": ["StatefulSet/*"]}}), false),
    ] {
        let playbook = playbook("p", matching.clone());
        assert_eq!(playbook.selects(&facts()), expected, "{matching}");
        assert_eq!(
            Holds::all(&playbook.explain_object(&facts())) == Holds::Yes,
            expected,
            "{matching}"
        );
        assert_eq!(playbook.needs_object(), matching.get("rules").is_none(), "{matching}");
    }
}

#[test]
fn an_object_without_a_namespace_is_in_none() {
    let node = Facts::default();
    assert!(!playbook("p", json!({"namespaces": ["*"]})).selects(&node));
    assert!(playbook("p", json!({"namespaces": {"exclude": ["*"]}})).selects(&node));
}

#[test]
fn why_a_playbook_is_not_for_an_event_is_told_condition_by_condition() {
    let matching = json!({"rules": "Terminal*", "sources": "k8s_audit", "fields": {"proc.name": "zsh"}, "when": "rule"});
    let text = event(json!({}));
    let checks =
        playbook("p", matching).explain(&Event::decode(text.as_bytes()).expect("an event"));
    let told: Vec<(&str, Holds)> = checks.iter().map(|check| (check.what, check.holds)).collect();
    assert_eq!(
        told,
        [
            ("rules", Holds::Yes),
            ("priority", Holds::Yes),
            ("sources", Holds::No),
            ("fields", Holds::No),
            ("when", Holds::Errs)
        ]
    );
}

#[test]
fn a_priority_is_told_with_what_was_asked_for() {
    for (asked, told) in [
        (json!(">= Warning"), "asks for >= Warning"),
        (json!("> Notice"), "asks for >= Warning"),
        (json!("< Error"), "asks for <= Warning"),
        (json!("Alert"), "asks for Alert"),
        (json!("!= Debug"), "asks for >= Informational"),
        (json!(["Alert", "Notice"]), "asks for one of [\"Notice\", \"Alert\"]"),
        (json!(["<= Error", "> Error"]), "asks for any"),
    ] {
        let text = event(json!({}));
        let checks = playbook("p", json!({"priority": asked}))
            .explain(&Event::decode(text.as_bytes()).expect("an event"));
        assert_eq!(checks[0].why, format!("{told}, the priority is Notice"));
    }
}

#[test]
fn a_when_that_errs_is_neither_a_yes_nor_a_no() {
    for (matching, expected) in [
        (json!({"when": "size(fields['x']) > 1"}), Holds::Errs),
        (json!({"when": "rule"}), Holds::Errs),
        (json!({"when": "size(rule) > 1"}), Holds::Yes),
        (json!({"when": "size(fields['x']) > 1", "sources": "k8s_audit"}), Holds::No),
        (json!({"when": "size(fields['x']) > 1", "rules": "Other"}), Holds::No),
    ] {
        let matcher = Matcher::new(vec![playbook("p", matching.clone())]);
        let text = event(json!({}));
        let event = Event::decode(text.as_bytes()).expect("an event");
        let explained = Holds::all(&matcher.playbooks()[0].explain(&event));
        assert_eq!(explained, expected, "{matching}");
        let found = matcher.candidates(&event).expect("fields");
        let found = match found.as_slice() {
            [] => Holds::No,
            [one, ..] if one.when_error.is_some() => Holds::Errs,
            _ => Holds::Yes,
        };
        assert_eq!(explained, found, "the worker would do something else: {matching}");
    }
}

#[test]
fn a_file_may_hold_many_playbooks_and_a_matcher_all_of_them() {
    let documents: Vec<String> = (0..3)
        .map(|n| {
            format!(
                "apiVersion: stoop.dev/v1alpha1\nkind: ClusterPlaybook\nmetadata: {{name: p{n}}}\nspec:\n  match: {{rules: R{n}}}\n  actions: [notify]\n"
            )
        })
        .collect();
    let playbooks =
        read_text("all.yaml", &documents.join("---\n")).unwrap_or_else(|errors| panic!("{errors}"));
    assert_eq!(Matcher::new(playbooks).playbooks().len(), 3);
}
