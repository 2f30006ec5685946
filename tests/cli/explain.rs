//! `stoop explain` says what a worker would do, and needs no cluster for it.

use serde_json::json;

use crate::stage::{Ran, Stage};

fn event() -> String {
    json!({
        "output": "text", "priority": "Notice", "rule": "Terminal shell in container", "source": "syscall",
        "time": "2026-11-21T05:24:10.361728219Z",
        "output_fields": {"k8s.ns.name": "shop", "k8s.pod.name": "web-0", "where": "north"},
    })
    .to_string()
}

/// One playbook `p` with this `match`, that deletes.
fn explain(matching: &str) -> Ran {
    let spec = format!("{{mode: enforce, match: {matching}, actions: [delete]}}");
    Stage::with_playbooks(&[("p", &spec)]).run_with_input(&["explain", "-"], &event())
}

#[test]
fn a_match_is_a_0_and_says_what_would_be_done_without_a_cluster() {
    let ran = explain("{rules: 'Terminal*'}");
    assert_eq!((ran.code, ran.err.as_str()), (Some(0), ""), "{ran:?}");
    assert!(ran.out.contains("p: matches"), "{}", ran.out);
    assert!(ran.out.contains("=> in mode enforce: delete"), "{}", ran.out);
    assert!(ran.out.contains("the target was not verified: --cluster does"), "{}", ran.out);
}

#[test]
fn no_match_is_a_1_and_says_which_condition_fails() {
    let ran = explain("{priority: '>= Warning'}");
    assert_eq!(ran.code, Some(1), "{ran:?}");
    let why = "NO  priority: asks for >= Warning, the priority is Notice";
    assert!(ran.out.contains("p: does not match") && ran.out.contains(why), "{}", ran.out);
    assert!(!ran.out.contains("=>"), "{}", ran.out);
}

#[test]
fn a_when_that_fails_goes_to_the_dead_letters() {
    let ran = explain("{when: 'size(fields[\"x\"]) > 1'}");
    assert_eq!(ran.code, Some(0), "{ran:?}");
    assert!(ran.out.contains("ERR when: "), "{}", ran.out);
    assert!(ran.out.contains("=> goes to the dead letters: `when` fails: "), "{}", ran.out);
}

#[test]
fn a_when_that_fails_is_of_no_account_where_something_else_says_no() {
    let ran = explain("{rules: Other, when: 'size(fields[\"x\"]) > 1'}");
    assert_eq!(ran.code, Some(1), "{ran:?}");
    assert!(ran.out.contains("p: does not match") && !ran.out.contains("=>"), "{}", ran.out);
}

#[test]
fn another_clusters_event_matches_nothing() {
    let stage = Stage::with_playbooks(&[("p", "{match: {rules: '*'}, actions: [delete]}")])
        .file("stoop.yaml", "playbooks: [playbooks.yaml]\ncluster: {name: south, field: where}\n");
    let ran = stage.run_with_input(&["explain", "-"], &event());
    assert_eq!(ran.code, Some(1), "{ran:?}");
    assert!(ran.out.contains("NO  cluster: "), "{}", ran.out);
}

#[test]
fn what_cannot_be_told_is_a_2() {
    let stage = Stage::with_playbooks(&[("p", "{match: {rules: '*'}, actions: [delete]}")]);
    for (arguments, input, why) in [
        (&["explain", "-"][..], "no event", "stoop: "),
        (&["explain", "none.json"], "", "none.json"),
        (&["explain", "-", "--playbook", "q"], &event(), "no playbook is called `q`"),
        (&["explain", "-", "--cluster"], &event(), "no cluster can be reached"),
    ] {
        let ran = stage.run_with_input(arguments, input);
        assert_eq!((ran.code, ran.out.contains("=>")), (Some(2), false), "{ran:?}");
        assert!(ran.err.contains(why), "{}", ran.err);
    }
}
