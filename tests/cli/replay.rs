//! `stoop replay` tells what would have been done, from a file, and does nothing.

use serde_json::{Value, json};

use crate::stage::{Ran, Stage};

const UID: &str = "6f0e7a52-0000-4000-8000-000000000001";

/// An event of a rule about a pod, `second` seconds after noon.
fn event(rule: &str, pod: &str, second: u32, fields: Value) -> String {
    let mut all =
        json!({"k8s.ns.name": "shop", "k8s.pod.name": pod, "container.id": "6ac7d190134e"});
    if let (Some(all), Value::Object(fields)) = (all.as_object_mut(), fields) {
        all.extend(fields);
    }
    let time = format!("2026-11-20T12:{:02}:{:02}Z", second / 60, second % 60);
    json!({"rule": rule, "priority": "Notice", "source": "syscall", "time": time, "output_fields": all})
        .to_string()
}

fn replay(playbooks: &[(&str, &str)], lines: &[String]) -> Value {
    let stage = Stage::with_playbooks(playbooks).file("events.jsonl", &lines.join("\n"));
    let ran = stage.run(&["replay", "--file", "events.jsonl", "--dry-run", "--output", "json"]);
    assert_eq!((ran.code, ran.err.as_str()), (Some(0), ""), "{ran:?}");
    serde_json::from_str(&ran.out).expect("a report")
}

fn held<'a>(playbook: &'a Value, by: &str) -> Option<&'a Value> {
    playbook["held"].as_array()?.iter().find(|held| held["by"] == by).map(|held| &held["events"])
}

#[test]
fn a_burst_is_one_answer_and_each_target_day_and_namespace_is_counted() {
    let spec = "{match: {rules: R}, actions: [delete], limits: {cooldown: 1m}}";
    // Not in order of time, as partitions are read.
    let seconds = [61, 0, 30, 60, 122];
    let mut lines: Vec<_> = seconds.map(|second| event("R", "web", second, json!({}))).into();
    lines.push(event("R", "api", 5, json!({"k8s.ns.name": "pay"})));
    let report = replay(&[("p", spec)], &lines);
    let p = &report["playbooks"][0];
    assert_eq!((&p["answers"], &p["joined"], &p["targets"]), (&4.into(), &2.into(), &2.into()));
    assert_eq!(p["toWhom"][0]["target"], "shop/web");
    assert_eq!((&p["toWhom"][0]["answers"], &p["toWhom"][0]["events"]), (&3.into(), &5.into()));
    assert_eq!(p["days"], json!([{"day": "2026-11-20", "answers": 4, "events": 6}]));
    let namespaces = p["namespaces"].as_array().unwrap();
    assert_eq!(namespaces[1]["namespace"], "pay");
    assert_eq!(report["from"], "2026-11-20T12:00:00Z");
}

#[test]
fn what_would_be_held_back_is_said_by_guardrail() {
    let spec = "{match: {rules: R}, actions: [delete], limits: {budget: 1 per 5m}}";
    let lines = [
        event("R", "coredns", 0, json!({"k8s.ns.name": "kube-system"})),
        event("R", "web", 1, json!({"container.id": null})),
        event("R", "web", 2, json!({"container.id": "host"})),
        event("R", "web", 3, json!({"k8s.pod.uid": UID})),
        event("R", "api", 4, json!({})),
        event("R", "api", 304, json!({})),
    ];
    let report = replay(&[("p", spec)], &lines);
    let p = &report["playbooks"][0];
    assert_eq!(held(p, "protected-namespace"), Some(&1.into()));
    assert_eq!(held(p, "identity"), Some(&2.into()));
    assert_eq!(held(p, "budget"), Some(&1.into()));
    assert_eq!(p["answers"], 2, "{p}");
}

#[test]
fn a_namespace_that_a_playbook_leaves_out_is_none_of_its() {
    let spec = "{match: {rules: R, namespaces: {exclude: ['ci-*']}}, actions: [delete]}";
    let lines =
        [event("R", "job", 0, json!({"k8s.ns.name": "ci-1"})), event("R", "web", 1, json!({}))];
    let report = replay(&[("p", spec)], &lines);
    assert_eq!(report["playbooks"][0]["events"], 1);
    assert_eq!(report["unanswered"], json!([{"rule": "R", "events": 1, "answered": 1}]));
}

#[test]
fn a_playbook_that_was_never_asked_learns_why() {
    let playbooks = [
        ("misspelt", "{match: {rules: Terminal shel in container}, actions: [delete]}"),
        ("quiet", "{match: {rules: 'Terminal*', priority: '>= Error'}, actions: [delete]}"),
    ];
    let lines = [event("Terminal shell in container", "web", 0, json!({}))];
    let report = replay(&playbooks, &lines);
    let why = |n: usize| report["playbooks"][n]["never"].to_string();
    assert!(why(0).contains("is `Terminal shell in container` meant?"), "{}", why(0));
    assert!(why(1).contains("priority asks for >= Error, the priority is Notice"), "{}", why(1));
    assert_eq!(report["unanswered"][0]["rule"], "Terminal shell in container");
}

#[test]
fn what_is_no_event_or_nobodys_is_counted() {
    let lines = [
        "no json".to_owned(),
        json!({"rule": "Falco internal: drop", "priority": "Debug", "time": "2026-11-20T12:00:00Z"}).to_string(),
        event("R", "web", 0, json!({})),
        String::new(),
    ];
    let report = replay(&[("p", "{match: {rules: S}, actions: [delete]}")], &lines);
    let messages = &report["messages"];
    assert_eq!(messages["malformed"], json!({"not-json": 1}));
    assert_eq!(
        (&messages["internal"], &messages["unmatched"], &messages["read"]),
        (&1.into(), &1.into(), &3.into())
    );
}

#[test]
fn events_from_before_since_are_left_out_of_a_file() {
    let lines = [event("R", "web", 0, json!({})), event("R", "api", 90, json!({}))].join("\n");
    let stage = Stage::with_playbooks(&[("p", "{match: {rules: R}, actions: [delete]}")]);
    let arguments = ["replay", "--file", "-", "--dry-run", "--since", "2026-11-20T12:01:00Z"];
    let Ran { code, out, .. } = stage.run_with_input(&arguments, &lines);
    assert_eq!(code, Some(0));
    assert!(
        out.contains("-: 1 message,") && out.contains("shop/api") && !out.contains("shop/web"),
        "{out}"
    );
}

#[test]
fn nothing_an_event_says_moves_the_terminals_cursor() {
    let rule = "R\u{1b}[2J";
    let ran = Stage::with_playbooks(&[("p", "{match: {rules: S}, actions: [delete]}")])
        .run_with_input(&["replay", "--file", "-", "--dry-run"], &event(rule, "web", 0, json!({})));
    assert!(ran.out.contains("R\\u{1b}[2J") && !ran.out.contains('\u{1b}'), "{ran:?}");
}

#[test]
fn it_has_to_be_said_whether_it_is_for_real_and_is_asked_before() {
    let stage = Stage::with_playbooks(&[]).file("events.jsonl", "");
    let neither = stage.run(&["replay", "--file", "events.jsonl"]);
    assert_eq!(neither.code, Some(2));
    assert!(neither.err.contains("--dry-run") && neither.err.contains("--to"), "{}", neither.err);
    let unasked = stage.run(&["replay", "--file", "events.jsonl", "--to", "intake"]);
    assert_eq!(unasked.code, Some(2));
    assert!(unasked.err.contains("--yes"), "{}", unasked.err);
    let unknown = stage.run(&["replay", "--file", "events.jsonl", "--to", "falco", "--yes"]);
    assert!(unknown.err.contains("known: intake"), "{}", unknown.err);
}
