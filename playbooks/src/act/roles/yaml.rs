//! Roles as the YAML that `kubectl apply` takes, with a comment on each rule.

use std::fmt::Write as _;

use super::{Bound, Roles, Rule};

/// How many of those who need a rule are named.
const NAMED: usize = 4;

impl Roles {
    /// The roles and their bindings, one document each; only a comment where nothing is needed.
    pub fn to_yaml(&self, bound: &Bound<'_>) -> String {
        if self.is_empty() {
            return "# Nothing is needed: no playbook asks anything of the cluster.\n".to_owned();
        }
        let mut documents = Vec::new();
        if !self.cluster.is_empty() {
            documents.push(role("ClusterRole", None, bound, &self.cluster));
            documents.push(binding("ClusterRole", None, bound));
        }
        for (namespace, rules) in &self.namespaced {
            documents.push(role("Role", Some(namespace), bound, rules));
            documents.push(binding("Role", Some(namespace), bound));
        }
        documents.join("---\n")
    }
}

fn head(kind: &str, namespace: Option<&str>, bound: &Bound<'_>) -> String {
    let name = scalar(bound.role);
    let mut text = format!(
        "apiVersion: rbac.authorization.k8s.io/v1\nkind: {kind}\nmetadata:\n  name: {name}\n"
    );
    if let Some(namespace) = namespace {
        line(&mut text, "  namespace", &scalar(namespace));
    }
    text
}

fn role(kind: &str, namespace: Option<&str>, bound: &Bound<'_>, rules: &[Rule]) -> String {
    let mut text = head(kind, namespace, bound);
    text.push_str("rules:\n");
    for rule in rules {
        line(&mut text, "  # for", &needed_by(rule));
        line(&mut text, "  - apiGroups", &list([&rule.group]));
        line(&mut text, "    resources", &list([&rule.resource]));
        if let Some(name) = &rule.name {
            line(&mut text, "    resourceNames", &list([name]));
        }
        line(&mut text, "    verbs", &list(&rule.verbs));
    }
    text
}

fn binding(kind: &str, namespace: Option<&str>, bound: &Bound<'_>) -> String {
    let mut text = head(&format!("{kind}Binding"), namespace, bound);
    let (role, account, home) =
        (scalar(bound.role), scalar(bound.account), scalar(bound.namespace));
    text.push_str(&format!(
        "roleRef:\n  apiGroup: rbac.authorization.k8s.io\n  kind: {kind}\n  name: {role}\n\
         subjects:\n  - kind: ServiceAccount\n    name: {account}\n    namespace: {home}\n"
    ));
    text
}

fn line(text: &mut String, key: &str, value: &str) {
    // Writing to a String can't fail.
    let _ = writeln!(text, "{key}: {value}");
}

fn needed_by(rule: &Rule) -> String {
    let named: Vec<_> = rule.needed_by.iter().take(NAMED).map(String::as_str).collect();
    let named = named.join(", ").replace(char::is_control, " ");
    match rule.needed_by.len().saturating_sub(NAMED) {
        0 => named,
        more => format!("{named} and {more} more"),
    }
}

fn list<'a>(texts: impl IntoIterator<Item = &'a String>) -> String {
    let quoted: Vec<_> = texts.into_iter().map(|text| scalar(text)).collect();
    format!("[{}]", quoted.join(", "))
}

/// As JSON, which is YAML: no name can be taken for anything else.
fn scalar(text: &str) -> String {
    serde_json::json!(text).to_string()
}
