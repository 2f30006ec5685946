//! A worker as the chart runs it: its configuration, its playbooks, its ServiceAccount with its roles, and a real cluster.

use std::{fs, process::Stdio, time::Duration};

use kube::ResourceExt as _;
use serde_json::json;
use testbed::{Port, cluster::Cluster, kafka::Kafka, leashed, until};

use crate::{
    chart::{NAMESPACE, Worker, documents, folder, rendered},
    cluster::{api, apply},
    compose::Running,
};

#[tokio::test]
async fn it_deletes_the_pods_that_its_playbooks_are_about_with_the_rights_of_the_charts_account() {
    let (kafka, cluster) = (Kafka::shared().await.expect("Kafka"), Cluster::shared().await);
    let cluster = cluster.expect("a cluster");
    let client = cluster.client().await.expect("a client");
    let shop = cluster.create_namespace("chart").await.expect("a namespace");
    let kafka = json!({
        "brokers": [kafka.bootstrap()], "topic": shop, "group": shop, "deadLetters": format!("{shop}.dead"),
    });
    let values = json!({
        "config": {"subscriptions": {"falco": {"kafka": kafka}}, "playbookObjects": true},
        "playbooks": {"shell": {"spec": {
            "mode": "enforce", "match": {"rules": ["R"], "namespaces": [shop]},
            "actions": [{"isolate": {"accept": ["Unproven"]}}, {"delete": {"gracePeriod": "1s", "minHealthy": 1}}],
            "limits": {"budget": "1 per 5m per namespace"},
        }}},
        // What docs/deploy.md says of an object that deletes.
        "rbac": {"objects": {
            "cluster": [
                {"apiGroups": [""], "resources": ["pods"], "verbs": ["get", "list"]},
                {"apiGroups": [""], "resources": ["namespaces"], "verbs": ["get"]},
            ],
            "namespaces": {(&shop): [{"apiGroups": [""], "resources": ["pods"], "verbs": ["delete"]}]},
        }},
    });
    let objects = rendered(&values.to_string());
    let definitions = fs::read_to_string(folder().join("crds/stoop.yaml")).expect("definitions");
    let namespace =
        json!({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": NAMESPACE}});
    apply(&client, &namespace).await;
    for object in documents(&definitions).iter().chain(&objects) {
        apply(&client, object).await;
    }
    let account = cluster.kubeconfig_of(NAMESPACE, "stoop").await.expect("a token");
    let pods = cluster.create_deployment(&shop, "web", 2).await.expect("pods");
    let (name, uid) = (pods[0].name_any(), pods[0].uid().expect("a uid"));

    let worker = Worker::of(&objects);
    worker.prints(&["setup"]);
    let health = Port::reserve().expect("a port");
    let mut run = worker.around(leashed(env!("CARGO_BIN_EXE_stoop")), &["run"]);
    run.env("PATH", std::env::var_os("PATH").unwrap_or_default()).env("KUBECONFIG", account);
    run.env("STOOP_HEALTH__LISTEN", health.address().to_string());
    let log = fs::File::create(worker.path().join("log")).expect("a file");
    run.stdout(Stdio::null()).stderr(log);
    let _running = Running::of(run.spawn().expect("it starts"));

    let tell = |rule: &str, name: &str| {
        let mut event = worker.command(&["event", "--rule", rule, "--to", "falco", "--pod"]);
        event.arg(format!("{shop}/{name}")).env("KUBECONFIG", cluster.kubeconfig());
        assert!(event.status().expect("it starts").success());
    };
    let gone = async |name: &str, uid: &str| {
        let gone = cluster.pod_gone(&shop, name, uid).await;
        let log = fs::read_to_string(worker.path().join("log")).unwrap_or_default();
        gone.unwrap_or_else(|error| panic!("{error}\n{log}"));
    };
    tell("R", &name);
    gone(&name, &uid).await;

    // One that is applied while it runs.
    let object = json!({
        "apiVersion": "stoop.dev/v1alpha1", "kind": "Playbook",
        "metadata": {"name": "later", "namespace": shop},
        "spec": {
            "mode": "enforce", "match": {"rules": ["Later"]}, "actions": [{"delete": {"gracePeriod": "1s"}}],
        },
    });
    apply(&client, &object).await;
    let objects = api(&client, &object);
    let authorized = until("it may do what it says", Duration::from_secs(60), async || {
        let object = objects.get("later").await.map_err(|error| error.to_string())?;
        let status = &object.data["status"];
        let is = |what: &str| {
            let conditions = status["conditions"].as_array().into_iter().flatten();
            conditions.clone().any(|it| it["type"] == what && it["status"] == "True")
        };
        (is("Ready") && is("Authorized")).then_some(()).ok_or_else(|| status.to_string())
    });
    authorized.await.expect("the object is in force");
    let left = cluster.running_pods(&shop, "web", 2).await.expect("pods");
    let (name, uid) = (left[0].name_any(), left[0].uid().expect("a uid"));
    tell("Later", &name);
    gone(&name, &uid).await;
}
