//! What one response asks of the API server, by playbook.

use std::collections::BTreeMap;

use super::{attack::Attacked, fleet::Fleet, on, topic};

/// Responses to take the mean of: what is asked once for all of them is a small part of it.
const RESPONSES: usize = 200;

/// Playbooks by what they do.
const PLAYBOOKS: [(&str, &str, &str); 6] = [
    ("observe", "observe", "actions: [{delete: {owners: [Standalone]}}]"),
    ("notify", "enforce", "actions: [{notify: {to: [log]}}]"),
    ("delete", "enforce", "actions: [{delete: {owners: [Standalone]}}]"),
    (
        "delete, budget",
        "enforce",
        "actions: [{delete: {owners: [Standalone]}}]\n  limits: {budget: 100000 per 5m}",
    ),
    ("label", "enforce", "actions: [{label: {key: acme.example/suspect, value: shell}}]"),
    ("isolate", "enforce", "actions: [{isolate: {accept: [Unproven]}}]"),
];

/// Prints it, with what etcd has to write: one for each object that is created, changed or deleted.
pub async fn table(bootstrap: &str) {
    println!("requests a response ({RESPONSES} pods, each attacked once, Responses kept)");
    println!("{:<16} {:>6} {:>6}   by kind", "playbook", "all", "writes");
    for (name, mode, spec) in PLAYBOOKS {
        let attacked = Attacked::start(RESPONSES).await;
        let topic = topic::create(bootstrap, "requests").await;
        let playbook = format!(
            "apiVersion: stoop.dev/v1alpha1\nkind: Playbook\nmetadata: {{name: measured}}\nspec:\n  mode: {mode}\n  \
             match: {{rules: [\"Terminal shell in container\"]}}\n  {spec}\n"
        );
        let subscription = on(bootstrap, &topic, &topic::fresh("requests"));
        let cluster = attacked.server.kubeconfig();
        let mut fleet = Fleet::start(1, &subscription, &playbook, Some(&cluster)).await;
        let before = attacked.server.requests().len();
        topic::publish(bootstrap, &topic, attacked.events()).await;
        fleet.done(RESPONSES).await;
        let mut kinds = BTreeMap::<String, usize>::new();
        for request in &attacked.server.requests()[before..] {
            let kind = format!("{} {}", request.method, resource(&request.path));
            *kinds.entry(kind).or_default() += 1;
        }
        let mean = |count: usize| count as f64 / RESPONSES as f64;
        let writes = kinds.iter().filter(|(kind, _)| !kind.starts_with("GET"));
        let writes = writes.map(|(_, count)| count).sum();
        let told: Vec<String> =
            kinds.iter().map(|(kind, count)| format!("{kind} {:.2}", mean(*count))).collect();
        println!(
            "{name:<16} {:>6.2} {:>6.2}   {}",
            mean(kinds.values().sum()),
            mean(writes),
            told.join(", ")
        );
    }
}

/// The resource that a path leads to, and the subresource.
fn resource(path: &str) -> String {
    let parts: Vec<&str> =
        path.split('/').skip_while(|part| !part.starts_with('v')).skip(1).collect();
    match parts.as_slice() {
        ["namespaces", _, resource, _, sub] => format!("{resource}/{sub}"),
        ["namespaces", _, resource, ..] | [resource, ..] => (*resource).to_owned(),
        [] => path.to_owned(),
    }
}
