//! `stoop rbac`: what it prints for some playbooks.

use crate::stage::{Stage, times};

const DELETES: (&str, &str) =
    ("b-deletes", "{mode: enforce, match: {rules: R}, actions: [delete]}");
const WATCHES: (&str, &str) = ("a-watches", "{match: {rules: R}, actions: [delete]}");
const TELLS: (&str, &str) =
    ("tells", "{mode: enforce, match: {rules: R}, actions: [{notify: {to: [log]}}]}");

#[test]
fn each_playbook_gets_what_its_mode_takes_and_the_rules_say_for_whom() {
    let ran = Stage::with_playbooks(&[DELETES, WATCHES, TELLS]).run(&["rbac"]);
    assert_eq!((ran.code, ran.err.as_str()), (Some(0), ""), "{ran:?}");
    let deleting = "# for: b-deletes: delete\n  - apiGroups: [\"\"]\n    resources: [\"pods\"]\n    verbs: [\"delete\"]\n";
    assert_eq!(times(deleting, &ran.out), 1, "{}", ran.out);
    assert!(
        ran.out.contains("# for: a-watches: its target, b-deletes: its target\n"),
        "{}",
        ran.out
    );
    assert!(!ran.out.contains("tells"), "{}", ran.out);
    assert!(ran.out.contains("    name: \"stoop\"\n    namespace: \"stoop\"\n"), "{}", ran.out);
}

#[test]
fn names_are_as_the_flags_say() {
    let arguments = ["rbac", "--service-account", "security/worker", "--name", "stoop-prod"];
    let ran = Stage::with_playbooks(&[DELETES]).run(&arguments);
    assert_eq!(ran.code, Some(0), "{ran:?}");
    assert!(ran.out.contains("    name: \"worker\"\n    namespace: \"security\"\n"), "{}", ran.out);
    // A role for the cluster and one for our own namespace, each with its binding.
    assert_eq!(times("\n  name: \"stoop-prod\"\n", &ran.out), 6, "{}", ran.out);
    let ran = Stage::empty().run(&["rbac", "--service-account", "worker"]);
    assert_eq!(ran.code, Some(2), "{ran:?}");
    assert!(ran.err.contains("NAMESPACE/NAME"), "{}", ran.err);
}

#[test]
fn the_kill_switchs_map_is_readable_in_our_namespace_alone() {
    let stage = Stage::with_playbooks(&[TELLS]).file(
        "stoop.yaml",
        "playbooks: [playbooks.yaml]\nnamespace: ours\nkillSwitch: {configMap: the-switch}\n",
    );
    let ran = stage.run(&["rbac"]);
    assert_eq!(ran.code, Some(0), "{ran:?}");
    assert_eq!(times("ClusterRole", &ran.out), 0, "{}", ran.out);
    assert!(
        ran.out.contains("kind: Role\nmetadata:\n  name: \"stoop\"\n  namespace: \"ours\"\n"),
        "{}",
        ran.out
    );
    assert!(ran.out.contains("    resourceNames: [\"the-switch\"]\n"), "{}", ran.out);
}

#[test]
fn where_nothing_is_needed_it_says_so() {
    let ran = Stage::with_playbooks(&[TELLS]).run(&["rbac"]);
    assert_eq!(ran.code, Some(0), "{ran:?}");
    assert!(ran.out.starts_with("# Nothing is needed"), "{}", ran.out);
}

#[test]
fn objects_take_rights_in_their_namespace_and_the_fleet_what_it_takes_to_see_them() {
    let object = "apiVersion: stoop.dev/v1alpha1\nkind: Playbook\nmetadata: {name: shell, namespace: shop}\n\
                  spec: {mode: enforce, match: {rules: R}, actions: [{delete: {}}]}\n";
    let stage = Stage::with_playbooks(&[TELLS])
        .file("object.yaml", object)
        .file("stoop.yaml", "playbooks: [playbooks.yaml]\nplaybookObjects: true\n");
    let ran = stage.run(&["rbac", "--objects", "object.yaml"]);
    assert_eq!((ran.code, ran.err.as_str()), (Some(0), ""), "{ran:?}");
    let (cluster, shop) = ran.out.split_once("  namespace: \"shop\"\n").expect("a Role there");
    let deleting = "# for: shop/shell: delete\n  - apiGroups: [\"\"]\n    resources: [\"pods\"]\n    verbs: [\"delete\"]\n";
    assert!(shop.contains(deleting) && !cluster.contains(deleting), "{}", ran.out);
    for kind in ["playbooks", "clusterplaybooks"] {
        let seeing = format!("    resources: [\"{kind}\"]\n    verbs: [\"list\", \"watch\"]\n");
        let telling = format!("    resources: [\"{kind}/status\"]\n    verbs: [\"patch\"]\n");
        assert!(cluster.contains(&seeing) && cluster.contains(&telling), "{}", ran.out);
    }
    let beyond = object.replace("{delete: {}}", "{taint: {}}");
    let ran = stage.file("object.yaml", &beyond).run(&["rbac", "--objects", "object.yaml"]);
    assert_eq!(ran.code, Some(2), "{ran:?}");
    assert!(ran.err.contains("`taint` reaches beyond the playbook's own namespace"), "{}", ran.err);
}
