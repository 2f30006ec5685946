use serde_json::{Value, json};

use super::*;

const BOUND: Bound<'static> = Bound { role: "stoop-worker", namespace: "stoop", account: "worker" };

fn right(permission: Permission, by: &str) -> Right {
    Right::new(permission, by)
}

fn pods(verb: &str, by: &str) -> Right {
    right(Permission::new("", "pods", verb), by)
}

fn read(roles: &Roles) -> Vec<Value> {
    serde_saphyr::from_multiple(&roles.to_yaml(&BOUND)).expect("YAML")
}

#[test]
fn each_rule_says_who_needs_it_and_verbs_of_the_same_ones_stand_together() {
    let roles = Roles::granting([
        pods("list", "a: its target"),
        pods("get", "a: its target"),
        pods("get", "a: its target"),
        pods("delete", "a: delete"),
        right(Permission::new("", "pods/eviction", "create"), "b: drain"),
        right(Permission::new("", "configmaps", "get").on("stoop", "switch"), "the kill switch"),
    ]);
    assert_eq!(
        roles.to_yaml(&BOUND),
        r##"apiVersion: rbac.authorization.k8s.io/v1
kind: ClusterRole
metadata:
  name: "stoop-worker"
rules:
  # for: a: delete
  - apiGroups: [""]
    resources: ["pods"]
    verbs: ["delete"]
  # for: a: its target
  - apiGroups: [""]
    resources: ["pods"]
    verbs: ["get", "list"]
  # for: b: drain
  - apiGroups: [""]
    resources: ["pods/eviction"]
    verbs: ["create"]
---
apiVersion: rbac.authorization.k8s.io/v1
kind: ClusterRoleBinding
metadata:
  name: "stoop-worker"
roleRef:
  apiGroup: rbac.authorization.k8s.io
  kind: ClusterRole
  name: "stoop-worker"
subjects:
  - kind: ServiceAccount
    name: "worker"
    namespace: "stoop"
---
apiVersion: rbac.authorization.k8s.io/v1
kind: Role
metadata:
  name: "stoop-worker"
  namespace: "stoop"
rules:
  # for: the kill switch
  - apiGroups: [""]
    resources: ["configmaps"]
    resourceNames: ["switch"]
    verbs: ["get"]
---
apiVersion: rbac.authorization.k8s.io/v1
kind: RoleBinding
metadata:
  name: "stoop-worker"
  namespace: "stoop"
roleRef:
  apiGroup: rbac.authorization.k8s.io
  kind: Role
  name: "stoop-worker"
subjects:
  - kind: ServiceAccount
    name: "worker"
    namespace: "stoop"
"##
    );
}

#[test]
fn the_order_of_playbooks_changes_nothing() {
    let rights = [pods("get", "a"), pods("delete", "b"), pods("list", "b"), pods("get", "c")];
    let forth = Roles::granting(rights.clone());
    let back = Roles::granting(rights.into_iter().rev());
    assert_eq!(forth.to_yaml(&BOUND), back.to_yaml(&BOUND));
}

#[test]
fn no_name_changes_what_the_text_means() {
    for name in ["a\nrules: []", "on", "1e3", "#x", "\"", "a: b", "-"] {
        let permission = Permission::new("", "configmaps", "get").on(name, name);
        let roles = Roles::granting([right(permission, &format!("p\n{name}"))]);
        let bound = Bound { role: name, namespace: name, account: name };
        let read: Vec<Value> = serde_saphyr::from_multiple(&roles.to_yaml(&bound)).expect("YAML");
        assert_eq!(read.len(), 2, "{name:?}");
        assert_eq!(read[0]["metadata"], json!({"name": name, "namespace": name}));
        assert_eq!(read[0]["rules"][0]["resourceNames"], json!([name]));
        assert_eq!(read[1]["subjects"][0]["name"], json!(name));
    }
}

#[test]
fn who_needs_nothing_gets_no_role() {
    assert!(Roles::granting([]).to_yaml(&BOUND).starts_with("# Nothing is needed"));
    let only_ours = Permission::new("", "configmaps", "get").on("stoop", "switch");
    let kinds: Vec<_> = read(&Roles::granting([right(only_ours, "x")]))
        .iter()
        .map(|document| document["kind"].as_str().unwrap_or_default().to_owned())
        .collect();
    assert_eq!(kinds, ["Role", "RoleBinding"]);
}

#[test]
fn of_many_who_need_a_rule_some_are_named() {
    let rights = (0..9).map(|n| pods("get", &format!("p{n}: delete")));
    let text = Roles::granting(rights).to_yaml(&BOUND);
    let named = "  # for: p0: delete, p1: delete, p2: delete, p3: delete and 5 more\n";
    assert!(text.contains(named), "{text}");
}
