//! What commands make of playbooks that are objects, by an API server that has only those.

use axum::{
    Json, Router,
    http::{Method, StatusCode, Uri},
    response::{IntoResponse, Response},
};
use serde_json::{Value, json};

use crate::stage::{Ran, Stage};

const CONFIG: &str = "playbooks: [playbooks.yaml]\nplaybookObjects: true\n";
const FILE: &str = "\
apiVersion: stoop.dev/v1alpha1
kind: Playbook
metadata: {name: file}
spec: {match: {rules: R}, actions: [{notify: {to: [log]}}]}
";

/// An object as the API server lists it, which tells of every event of the rule `R`.
fn object(namespace: Option<&str>, name: &str, spec: Value) -> Value {
    let mut whole = json!({"match": {"rules": ["R"]}, "actions": [{"notify": {"to": ["log"]}}]});
    let keys = spec.as_object().expect("a spec has keys").clone();
    keys.into_iter().for_each(|(key, value)| whole[key] = value);
    let metadata = json!({
        "name": name, "namespace": namespace, "uid": name, "generation": 1, "resourceVersion": "1",
        "creationTimestamp": "2026-11-21T05:24:10Z",
    });
    json!({"metadata": metadata, "spec": whole})
}

/// What an API server answers that has these kinds, and objects of them.
fn answer(method: &Method, path: &str, kinds: &[(&str, Vec<Value>)]) -> Response {
    let own = json!({"groupVersion": "stoop.dev/v1alpha1", "version": "v1alpha1"});
    let found = match path {
        "/apis/authorization.k8s.io/v1/selfsubjectaccessreviews" if method == Method::POST => {
            json!({"spec": {}, "status": {"allowed": true}})
        }
        "/apis" => json!({
            "kind": "APIGroupList",
            "groups": [{"name": "stoop.dev", "versions": [own], "preferredVersion": own}],
        }),
        "/apis/stoop.dev/v1alpha1" => {
            let resource = |plural: &str| json!({"name": plural, "singularName": "", "kind": "", "namespaced": true, "verbs": ["list"]});
            let all: Vec<_> = kinds.iter().map(|(plural, _)| resource(plural)).collect();
            json!({"kind": "APIResourceList", "groupVersion": "stoop.dev/v1alpha1", "resources": all})
        }
        _ => {
            let of = path.strip_prefix("/apis/stoop.dev/v1alpha1/");
            match kinds.iter().find(|(plural, _)| Some(*plural) == of) {
                Some((_, items)) => json!({"kind": "List", "metadata": {}, "items": items}),
                None => {
                    let status = json!({
                        "kind": "Status", "apiVersion": "v1", "status": "Failure", "reason": "NotFound",
                        "message": "there is no such", "code": 404,
                    });
                    return (StatusCode::NOT_FOUND, Json(status)).into_response();
                }
            }
        }
    };
    Json(found).into_response()
}

/// A run beside a cluster with these kinds.
async fn run(arguments: &'static [&'static str], kinds: Vec<(&'static str, Vec<Value>)>) -> Ran {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let address = listener.local_addr().expect("bound");
    let app = Router::new().fallback(move |method: Method, uri: Uri| {
        let answer = answer(&method, uri.path(), &kinds);
        async move { answer }
    });
    let serving = tokio::spawn(async move { axum::serve(listener, app).await });
    let kubeconfig = json!({
        "apiVersion": "v1", "kind": "Config", "current-context": "c",
        "clusters": [{"name": "c", "cluster": {"server": format!("http://{address}")}}],
        "users": [{"name": "u", "user": {}}],
        "contexts": [{"name": "c", "context": {"cluster": "c", "user": "u"}}],
    });
    let event = json!({
        "output": "text", "priority": "Notice", "rule": "R", "source": "syscall",
        "time": "2026-11-21T05:24:10.361728219Z",
        "output_fields": {"k8s.ns.name": "shop", "k8s.pod.name": "web-0"},
    });
    let stage = Stage::empty()
        .file("stoop.yaml", CONFIG)
        .file("playbooks.yaml", FILE)
        .file("event.json", &event.to_string())
        .file("kubeconfig", &kubeconfig.to_string());
    let command = move || {
        let mut command = stage.command(arguments);
        command.env("KUBECONFIG", stage.path().join("kubeconfig"));
        Ran::from(command.output().expect("it starts"))
    };
    let ran = tokio::task::spawn_blocking(command).await.expect("it ran");
    serving.abort();
    ran
}

fn of(kinds: [Vec<Value>; 2]) -> Vec<(&'static str, Vec<Value>)> {
    let [cluster, namespaced] = kinds;
    vec![("clusterplaybooks", cluster), ("playbooks", namespaced)]
}

#[tokio::test]
async fn a_check_fails_where_a_kind_that_workers_wait_for_is_not_defined() {
    let ran = run(&["check", "--cluster"], vec![("clusterplaybooks", Vec::new())]).await;
    assert_eq!((ran.code, ran.err.as_str()), (Some(1), ""), "{ran:?}");
    let why = "Playbook: NOT defined, and no worker takes anything in before it is: `stoop crds | kubectl apply -f -`";
    assert!(ran.out.contains(why), "{}", ran.out);
    assert!(!ran.out.contains("ClusterPlaybook: NOT"), "{}", ran.out);
    let ran = run(&["check", "--cluster"], of([Vec::new(), Vec::new()])).await;
    assert_eq!(ran.code, Some(0), "{ran:?}");
}

#[tokio::test]
async fn a_check_judges_each_object_as_a_worker_would() {
    let good = vec![object(None, "all", json!({})), object(None, "file", json!({}))];
    let spoilt = vec![object(Some("shop"), "p", json!({"limits": {"budgt": "1 per 1h"}}))];
    let asks = json!({"mode": "enforce", "approval": "required", "actions": [{"delete": {}}]});
    let needy = object(Some("shop"), "needy", asks);
    let spoilt = spoilt.into_iter().chain([needy]).collect();
    let ran = run(&["check", "--cluster"], of([good, spoilt])).await;
    assert_eq!((ran.code, ran.err.as_str()), (Some(1), ""), "{ran:?}");
    for line in [
        "ClusterPlaybook all (observe): notify",
        "NOT in force: ClusterPlaybook file: a file's playbook has its name",
        "NOT in force: Playbook shop/p: spec.limits.budgt",
        "expireAfter and approval need the Response objects",
    ] {
        assert!(ran.out.contains(line), "{line}: {}", ran.out);
    }
    let ran = run(&["check"], of([Vec::new(), Vec::new()])).await;
    assert_eq!(ran.code, Some(0), "{ran:?}");
    assert!(ran.out.contains("those that are objects: --cluster looks at them"), "{}", ran.out);
}

#[tokio::test]
async fn an_event_is_explained_by_objects_too_once_the_cluster_is_asked() {
    let objects =
        || of([vec![object(None, "all", json!({}))], vec![object(Some("shop"), "p", json!({}))]]);
    let ran = run(&["explain", "event.json", "--cluster"], objects()).await;
    assert_eq!((ran.code, ran.err.as_str()), (Some(0), ""), "{ran:?}");
    for line in ["\nall: matches", "\nfile: matches", "\nshop/p: does not match"] {
        assert!(ran.out.contains(line), "{line}: {}", ran.out);
    }
    let ran = run(&["explain", "event.json", "--cluster", "--playbook", "all"], objects()).await;
    assert!(ran.out.contains("\nall: matches") && !ran.out.contains("file:"), "{}", ran.out);

    let spoilt = of([Vec::new(), vec![object(Some("shop"), "p", json!({"actions": []}))]]);
    let ran = run(&["explain", "event.json", "--cluster"], spoilt).await;
    assert!(ran.out.contains("not all playbooks that are objects are in force"), "{}", ran.out);
    let ran = run(&["explain", "event.json"], objects()).await;
    assert!(ran.out.contains("objects were not looked at: --cluster does"), "{}", ran.out);
    assert!(!ran.out.contains("all:"), "{}", ran.out);
}
