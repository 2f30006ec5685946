//! `stoop check`, and how faults of what is configured are told.

use crate::stage::{Stage, times};

#[test]
fn it_shows_what_a_worker_would_run_with() {
    let stage = Stage::with_playbooks(&[
        ("b", "{match: {rules: R}, actions: [{notify: {to: [log]}}]}"),
        ("a", "{mode: enforce, match: {rules: R}, actions: [delete, {notify: {to: [log]}}]}"),
    ]);
    let ran = stage.run(&["check"]);
    assert_eq!((ran.code, ran.err.as_str()), (Some(0), ""), "{ran:?}");
    let lines: Vec<_> = ran.out.lines().collect();
    let place = |start: &str| {
        let found = lines.iter().position(|line| line.trim_start().starts_with(start));
        found.unwrap_or_else(|| panic!("no `{start}` in {}", ran.out))
    };
    let (a, b) = (place("a (enforce): "), place("b (observe): "));
    assert!(place("subscriptions") < place("playbooks") && place("playbooks") < a && a < b);
    assert!(lines[a].contains(", then "), "{}", lines[a]);
}

#[test]
fn no_playbooks_at_all_is_said() {
    let ran = Stage::empty().run(&["check"]);
    assert_eq!(ran.code, Some(0), "{ran:?}");
    assert!(ran.out.contains("none: every event would be acknowledged"), "{}", ran.out);
}

#[test]
fn an_unknown_key_is_told_once_with_its_place_and_the_fix() {
    let stage = Stage::empty().file("stoop.yaml", "limits:\n  memroy: 64MiB\n");
    for command in ["check", "run", "setup"] {
        let ran = stage.run(&[command]);
        assert_eq!((ran.code, ran.out.as_str()), (Some(2), ""), "{ran:?}");
        assert_eq!(times("stoop.yaml:2:3: limits", &ran.err), 1, "{}", ran.err);
        assert_eq!(times("did you mean `memory`?", &ran.err), 1, "{}", ran.err);
    }
}

#[test]
fn a_fault_of_a_playbook_is_told_once_with_its_place_and_the_fix() {
    let stage = Stage::with_playbooks(&[("p", "{match: {rulse: R}, actions: [delete]}")]);
    for command in ["check", "run"] {
        let ran = stage.run(&[command]);
        assert_eq!((ran.code, ran.out.as_str()), (Some(2), ""), "{ran:?}");
        assert_eq!(times("playbooks.yaml:4:", &ran.err), 1, "{}", ran.err);
        assert_eq!(times("`rules`", &ran.err), 1, "{}", ran.err);
    }
}

#[test]
fn a_file_that_is_not_there_is_told_with_its_name() {
    let ran = Stage::empty().run(&["check", "-c", "none.yaml"]);
    assert_eq!(ran.code, Some(2), "{ran:?}");
    assert!(ran.err.contains("none.yaml") && ran.err.contains("-c FILE"), "{}", ran.err);
}

#[test]
fn permissions_and_pods_need_a_cluster_and_say_how_to_name_one() {
    let stage = Stage::empty();
    for arguments in [&["check", "--cluster"][..], &["event", "--rule", "R", "--pod", "a/b"]] {
        let ran = stage.run(arguments);
        assert_eq!(ran.code, Some(2), "{ran:?}");
        assert!(ran.err.contains("KUBECONFIG"), "no fix in: {}", ran.err);
    }
}

#[test]
fn a_probe_wants_a_cluster_and_an_image_by_name() {
    for arguments in [&["check", "--probe"][..], &["check", "--cluster", "--probe"]] {
        let ran = Stage::empty().run(arguments);
        assert_eq!((ran.code, ran.out.as_str()), (Some(2), ""), "{ran:?}");
        assert!(ran.err.contains("--probe-image"), "{}", ran.err);
    }
}

macro_rules! examples {
    ($stage:expr, $($name:literal),+) => {
        $stage$(.file($name, include_str!(concat!("../../examples/playbooks/", $name))))+
    };
}

/// The examples beside this configuration.
fn examples(config: &str) -> Stage {
    examples!(
        Stage::empty().file("stoop.yaml", config),
        "cryptominer.yaml",
        "delete-by-priority.yaml",
        "exec-audit.yaml",
        "shell-in-a-container.yaml",
        "unexpected-connection.yaml"
    )
}

#[test]
fn the_examples_can_be_run_on_each_broker() {
    let evidence = tempfile::tempdir().expect("a folder");
    let config = include_str!("../../examples/playbooks/stoop.yaml")
        .replace("{env: SLACK_WEBHOOK}", "\"https://hooks.example/services/x\"")
        .replace("/var/lib/stoop/evidence", evidence.path().to_str().expect("UTF-8"));
    let chosen = config.lines().find(|line| line.starts_with("  falco: ")).expect("a subscription");
    for broker in ["kafka", "nats", "pubsub"] {
        let wanted = format!("falco: {{{broker}: ");
        let line = config.lines().find(|line| line.contains(&wanted)).expect("a line for it");
        let config = config.replace(chosen, &line.replace("# ", ""));
        let ran = examples(&config).run(&["check"]);
        assert_eq!(ran.code, Some(0), "{ran:?}");
        assert!(ran.out.contains(&format!("falco: {broker}, ")), "{}", ran.out);
    }
    let stage = examples(&config);
    let ran = stage.run(&["check"]);
    assert_eq!(ran.code, Some(0), "{ran:?}");
    for name in [
        "cryptominer",
        "delete-by-priority",
        "exec-audit",
        "exec-audit-mark",
        "exec-audit-sensitive",
        "shell-in-a-container",
        "unexpected-connection",
    ] {
        assert!(ran.out.contains(&format!("{name} (observe): ")), "{name}: {}", ran.out);
    }
}
