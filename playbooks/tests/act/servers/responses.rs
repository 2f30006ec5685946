//! Response objects on a real API server: the definition, the races for one object, crashes anywhere, taking back.

use std::sync::{
    Arc,
    atomic::{AtomicUsize, Ordering},
};

use http::{Request, header::ACCEPT};
use k8s_openapi::{
    api::{core::v1::Pod, networking::v1::NetworkPolicy},
    apiextensions_apiserver::pkg::apis::apiextensions::v1::CustomResourceDefinition,
};
use kube::{
    ResourceExt as _,
    api::{ListParams, Patch, PatchParams, PostParams},
    client::Body,
};
use playbooks::act::{
    Api, Decision, Permission, Phase, Records, Retention, Reverter, Shelf, StoredResponse, Which,
};
use serde_json::{Value, json};
use testbed::cluster::Access;
use tokio::sync::OnceCell;

use super::{
    api_server, connect, container_id, event_about, namespace, pod, pods, roles::connect_with,
};
use crate::{
    fixtures::{Bench, Setup, words},
    responses::ACTION,
    wire::DEADLINE,
};

const LABEL: &str =
    "mode: enforce\nactions: [label: {key: a.example/x, value: 'yes', expireAfter: 1h}]";
const DELETE: &str = "mode: enforce\nactions: [delete: {owners: [Standalone]}]";

async fn client(access: &Access) -> kube::Client {
    access.client().await.map_err(|error| error.to_string()).expect("a client")
}

/// An API server with the definition that `stoop crds` prints.
async fn defined() -> &'static Access {
    static DEFINED: OnceCell<()> = OnceCell::const_new();
    let access = api_server().await;
    DEFINED
        .get_or_init(async || {
            let all = kube::Api::<CustomResourceDefinition>::all(client(access).await);
            let definition = StoredResponse::definition();
            let name = "responses.stoop.dev";
            let params = PatchParams::apply("test").force();
            all.patch(name, &params, &Patch::Apply(&definition)).await.expect("accepted");
            let is_established = async || {
                let definition = all.get(name).await.expect("the definition");
                let conditions = definition.status.and_then(|it| it.conditions).unwrap_or_default();
                conditions.iter().any(|it| it.type_ == "Established" && it.status == "True")
            };
            let served = Shelf::new(connect(access).await, "default");
            while !is_established().await || served.list(None).await.is_err() {
                tokio::task::yield_now().await;
            }
        })
        .await;
    access
}

fn recording(api: Api, namespace: &str, name: &str) -> Bench {
    let mut bench = Setup::new(api.clone()).build();
    bench.engine = bench.engine.recording(Records::new(api, namespace, name, ACTION));
    bench
}

fn records(bench: &Bench) -> &Records {
    bench.engine.records().expect("records")
}

async fn objects(access: &Access, namespace: &str) -> kube::Api<StoredResponse> {
    kube::Api::namespaced(client(access).await, namespace)
}

async fn only(objects: &kube::Api<StoredResponse>) -> StoredResponse {
    let mut all = objects.list(&ListParams::default()).await.expect("a list").items;
    assert_eq!(all.len(), 1, "{all:?}");
    all.remove(0)
}

/// Changes the spec as somebody else would.
async fn change(objects: &kube::Api<StoredResponse>, spec: Value) -> kube::Result<StoredResponse> {
    let name = only(objects).await.name_any();
    objects.patch(&name, &PatchParams::default(), &Patch::Merge(json!({"spec": spec}))).await
}

/// Moves the expiry of every change to now.
async fn expire(objects: &kube::Api<StoredResponse>) {
    let mut stored = only(objects).await;
    for change in &mut stored.spec.changes {
        change.expires_at = change.expires_at.map(|_| jiff::Timestamp::now());
    }
    let name = stored.name_any();
    objects.replace(&name, &PostParams::default(), &stored).await.expect("expired");
}

/// Without what every write changes.
fn as_made(mut pod: Pod) -> Pod {
    pod.metadata.resource_version = None;
    pod.metadata.managed_fields = None;
    pod
}

/// The answer to the request of this number never arrives, though it was carried out.
async fn losing(access: &Access, lost: usize) -> Api {
    let (inner, asked) = (client(access).await, Arc::new(AtomicUsize::new(0)));
    let service = tower::service_fn(move |request: Request<Body>| {
        let (inner, asked) = (inner.clone(), Arc::clone(&asked));
        async move {
            let answer = inner.send(request).await?;
            match asked.fetch_add(1, Ordering::Relaxed) == lost {
                true => Err(tower::BoxError::from("connection reset by peer")),
                false => Ok(answer),
            }
        }
    });
    Api::from_client(kube::Client::new(service, "default"), DEADLINE)
}

#[tokio::test]
async fn a_new_object_reads_well_and_its_status_is_its_own() {
    let access = defined().await;
    let namespace = namespace(access).await;
    let pod = pod(access, &namespace, "web", &container_id("web")).await;
    let bench = recording(connect(access).await, &namespace, "a");
    // Written down, and not ended: the pod can't be labelled so.
    let spec = "mode: enforce\nactions: [label: {key: a.example/x, value: b, expireAfter: 1h}]";
    bench.run(spec, &event_about(&pod, None)).await;
    let objects = objects(access, &namespace).await;
    let made = only(&objects).await;
    let fresh = json!({
        "apiVersion": "stoop.dev/v1alpha1", "kind": "Response", "metadata": {"name": "fresh"},
        "spec": made.spec, "status": {"phase": "Succeeded", "run": 1},
    });
    let fresh: StoredResponse = serde_json::from_value(fresh).expect("a response");
    objects.create(&PostParams::default(), &fresh).await.expect("created");
    assert_eq!(objects.get("fresh").await.expect("fresh").phase(), Phase::Running);

    let path = format!("/apis/stoop.dev/v1alpha1/namespaces/{namespace}/responses");
    let request = Request::get(path)
        .header(ACCEPT, "application/json;as=Table;v=v1;g=meta.k8s.io")
        .body(Vec::new())
        .expect("a request");
    let table: Value = client(access).await.request(request).await.expect("a table");
    let columns = table["columnDefinitions"].as_array().expect("columns");
    let at = |name: &str| columns.iter().position(|it| it["name"] == name).expect("a column");
    let rows = table["rows"].as_array().expect("rows");
    let cell = |row: &str, column: &str| {
        let row = rows.iter().find(|it| it["cells"][0] == row).expect("a row");
        row["cells"][at(column)].clone()
    };
    let name = made.name_any();
    assert_eq!(cell(&name, "Phase"), "Succeeded");
    assert_eq!(cell(&name, "Done"), "label");
    assert_eq!((cell(&name, "Of"), cell(&name, "Target")), (json!(namespace), json!("web")));
    assert_eq!(cell("fresh", "Phase"), "Running");
}

#[tokio::test]
async fn the_rules_hold_whoever_writes() {
    let access = defined().await;
    let namespace = namespace(access).await;
    let pod = pod(access, &namespace, "web", &container_id("web")).await;
    recording(connect(access).await, &namespace, "a").run(LABEL, &event_about(&pod, None)).await;
    let objects = objects(access, &namespace).await;
    for spec in [
        json!({"playbook": "another"}),
        json!({"target": {"uid": "another"}}),
        json!({"target": null}),
        json!({"run": 0}),
        json!({"event": {"id": "another"}}),
        json!({"held": {"payload": "{}", "until": "2030-01-01T00:00:00Z"}}),
        json!({"claim": {"until": "soon"}}),
        json!({"decision": "Perhaps"}),
        json!({"changes": [{"action": "x"}]}),
    ] {
        let refused = change(&objects, spec.clone()).await.expect_err(&spec.to_string());
        assert!(matches!(refused, kube::Error::Api(status) if status.code == 422), "{spec}");
    }
    change(&objects, json!({"decision": "Denied"})).await.expect("decided");
    for spec in [json!({"decision": "Approved"}), json!({"decision": null})] {
        change(&objects, spec.clone()).await.expect_err(&spec.to_string());
    }
    let next = json!({"run": 2, "decision": null, "event": {"id": "another"}});
    change(&objects, next).await.expect("another run");
    change(&objects, json!({"run": 1})).await.expect_err("never back");
}

#[tokio::test]
async fn workers_that_race_for_one_pod_delete_it_once_and_agree() {
    let access = defined().await;
    let namespace = namespace(access).await;
    let pod = pod(access, &namespace, "web", &container_id("web")).await;
    let event = event_about(&pod, None);
    let workers = async |name: &str| recording(connect(access).await, &namespace, name);
    let (a, b, c) = (workers("a").await, workers("b").await, workers("c").await);
    let race = async |bench: &Bench| {
        let mut response = bench.begin(DELETE, &event).await;
        crate::engine::to_the_end(bench, &mut response).await.0
    };
    let (a, b, c) = tokio::join!(race(&a), race(&b), race(&c));
    let mut all: Vec<_> = [a, b, c].iter().flat_map(words).collect();
    all.sort();
    assert_eq!(all[0], "delete applied");
    assert!(
        all[1..].iter().all(|it| it.starts_with("delete skipped") || it == "delete already-done"),
        "{all:?}"
    );
    let stored = only(&objects(access, &namespace).await).await;
    assert_eq!((stored.phase(), stored.spec.run), (Phase::Succeeded, 1));
}

#[tokio::test]
async fn a_crash_anywhere_and_a_redelivery_end_in_the_same_state_and_it_is_taken_back() {
    let access = defined().await;
    let namespace = namespace(access).await;
    let pods = pods(access, &namespace).await;
    for lost in 0..9 {
        let name = format!("web-{lost}");
        let made = pod(access, &namespace, &name, &container_id(&name)).await;
        let event = event_about(&made, None);
        // Dead with whatever it has not been told.
        let dying = recording(losing(access, lost).await, &namespace, "a");
        if let Some(mut response) = dying.try_begin(LABEL, &event).await {
            dying.advance(&mut response).await;
        }
        let bench = recording(connect(access).await, &namespace, "a");
        let report = bench.run(LABEL, &event).await;
        assert!(report.overall.ended_well(), "{lost}: {}", report.overall);
        let live = pods.get(&name).await.expect("the pod");
        assert_eq!(live.labels().get("a.example/x").map(String::as_str), Some("yes"), "{lost}");
        let uid = made.uid().expect("a uid");
        let shelf = records(&bench).shelf();
        let label = format!("stoop.dev/target-uid={uid}");
        let [stored] = &shelf.list(Some(&label)).await.expect("a list")[..] else {
            panic!("{lost}")
        };
        assert_eq!((stored.phase(), stored.spec.run), (Phase::Succeeded, 1), "{lost}");

        let reverter = Reverter { shelf, name: "r", lease: ACTION };
        let done = reverter.revert(stored, Which::All, false).await.expect("reverted");
        assert_eq!(done.undone.len(), 1, "{lost}");
        let back = pods.get(&name).await.expect("the pod");
        assert_eq!(as_made(back.clone()), as_made(made), "{lost}");
        let [stored] = &shelf.list(Some(&label)).await.expect("a list")[..] else {
            panic!("{lost}")
        };
        assert_eq!(stored.phase(), Phase::Reverted);
        let again = reverter.revert(stored, Which::All, false).await.expect("reverted");
        assert!(again.undone.is_empty());
        assert_eq!(pods.get(&name).await.expect("the pod"), back, "twice changes nothing");
    }
}

#[tokio::test]
async fn sweepers_under_their_listed_rights_take_back_what_expired_once() {
    let access = defined().await;
    let namespace = namespace(access).await;
    let made = pod(access, &namespace, "web", &container_id("web")).await;
    let bench = recording(connect(access).await, &namespace, "a");
    let mut rights = bench.plan(LABEL).permissions();
    rights.extend(Records::permissions(&namespace));
    let user = format!("{namespace}-sweeps");
    let api = connect_with(access, &user, &rights).await;
    // The whole way, under no more than that.
    let worker = recording(api.clone(), &namespace, "w");
    assert_eq!(words(&worker.run(LABEL, &event_about(&made, None)).await), ["label applied"]);
    let objects = objects(access, &namespace).await;
    let week = Retention { keep: std::time::Duration::from_secs(604_800), most: 10 };
    assert!(records(&worker).sweep(week).await.expect("swept").reverted.is_empty());
    expire(&objects).await;
    let other = recording(api, &namespace, "v");
    let (one, two) = tokio::join!(records(&worker).sweep(week), records(&other).sweep(week));
    let (one, two) = (one.expect("swept"), two.expect("swept"));
    assert!(one.failed.is_empty() && two.failed.is_empty(), "{one:?} {two:?}");
    assert_eq!(one.reverted.len() + two.reverted.len(), 1, "{one:?} {two:?}");
    let back = pods(access, &namespace).await.get("web").await.expect("the pod");
    assert_eq!(as_made(back), as_made(made));
    let gone = Retention { most: 0, ..week };
    assert_eq!(records(&worker).sweep(gone).await.expect("swept").pruned, 1);
}

#[tokio::test]
async fn each_listed_right_is_needed_and_without_it_nothing_is_said_to_be_done() {
    let access = defined().await;
    let namespace = namespace(access).await;
    let bench = recording(connect(access).await, &namespace, "a");
    let listed = Records::permissions(&namespace);
    let is_writing = |it: &&Permission| it.verb == "create" || it.subresource.is_some();
    for (number, missing) in listed.iter().filter(is_writing).enumerate() {
        let name = format!("web-{number}");
        let pod = pod(access, &namespace, &name, &container_id(&name)).await;
        let mut rights = bench.plan(DELETE).permissions();
        rights.extend(listed.iter().filter(|it| *it != missing).cloned());
        let api = connect_with(access, &format!("{namespace}-{number}"), &rights).await;
        assert!(!api.can_i(missing).await.expect("an answer"), "{missing}");
        let report = recording(api, &namespace, "a").run(DELETE, &event_about(&pod, None)).await;
        assert!(report.wants_redrive(), "{missing}: {}", report.overall);
        assert!(report.overall.detail().contains("stoop check --cluster"), "{}", report.overall);
    }
}

#[tokio::test]
async fn an_isolation_stays_while_another_playbook_wants_it() {
    let access = defined().await;
    let namespace = namespace(access).await;
    let made = pod(access, &namespace, "web", &container_id("web")).await;
    let event = event_about(&made, None);
    let api = connect(access).await;
    let bench = recording(api.clone(), &namespace, "a");
    let policies = kube::Api::<NetworkPolicy>::namespaced(client(access).await, &namespace);
    let shelf = records(&bench).shelf();
    let spec = "mode: enforce\nactions: [isolate: {accept: [Unproven], expireAfter: 1h}]";
    for name in ["one", "two"] {
        let plan = bench.plan_named(name, spec);
        let standing = playbooks::act::Standing::of(bench.verify(&event).await).expect("ours");
        let (_, occurrence) = crate::fixtures::occurrence(&event);
        let mut response = playbooks::act::Response::new(plan, standing, Arc::new(occurrence));
        crate::engine::to_the_end(&bench, &mut response).await;
    }
    let reverter = Reverter { shelf, name: "r", lease: ACTION };
    let all = shelf.list(None).await.expect("a list");
    assert_eq!(all.len(), 2);
    let first = reverter.revert(&all[0], Which::All, false).await.expect("reverted");
    assert!(first.undone[0].detail.contains("still wants it isolated"), "{first:?}");
    assert_eq!(policies.list(&ListParams::default()).await.expect("a list").items.len(), 1);
    let second = reverter.revert(&all[1], Which::All, false).await.expect("reverted");
    assert!(second.undone[0].detail.contains("policies deleted"), "{second:?}");
    assert!(policies.list(&ListParams::default()).await.expect("a list").items.is_empty());
    let back = pods(access, &namespace).await.get("web").await.expect("the pod");
    assert_eq!(as_made(back), as_made(made));
}

#[tokio::test]
async fn what_kubectl_patches_is_an_approval() {
    let access = defined().await;
    let namespace = namespace(access).await;
    let made = pod(access, &namespace, "web", &container_id("web")).await;
    let event = event_about(&made, None);
    let bench = recording(connect(access).await, &namespace, "a");
    let spec = "mode: enforce\napproval: required\nactions: [delete: {owners: [Standalone]}]";
    assert_eq!(words(&bench.run(spec, &event).await), ["delete refused (approval)"]);
    let objects = objects(access, &namespace).await;
    assert_eq!(only(&objects).await.phase(), Phase::Pending);
    let before = jiff::Timestamp::now();
    change(&objects, json!({"decision": "Approved"})).await.expect("approved");
    let name = only(&objects).await.name_any();
    let again = records(&bench).shelf().decide(&name, None, Decision::Denied);
    assert!(again.await.is_err());
    let approved = records(&bench).approved().await.expect("a list");
    // Whole seconds, the server's word.
    assert!(approved[0].at.duration_since(before).as_secs().abs() <= 60);
    assert_eq!(words(&bench.run(spec, &event).await), ["delete applied"]);
    assert_eq!(only(&objects).await.phase(), Phase::Succeeded);
}
