//! `scale`: only the verified pod's own Deployment, only down, and back to what it was.

use playbooks::act::{Advance, Holder, ObjectRef, Outcome, Uid, revert};
use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};

use crate::{
    fixtures::{POD, Setup, UID, event, pod, words},
    store::{Store, losing, pinned, without_version},
    wire::error,
};

const SCALE: &str = "mode: enforce\nactions: [scale]";
const SET: &str = "/apis/apps/v1/namespaces/shop/replicasets/web-5d";
const DEPLOYMENT: &str = "/apis/apps/v1/namespaces/shop/deployments/web";
const AUTOSCALER: &str = "/apis/autoscaling/v2/namespaces/shop/horizontalpodautoscalers/web";

fn deployment() -> Value {
    json!({
        "apiVersion": "apps/v1", "kind": "Deployment",
        "metadata": {"name": "web", "namespace": "shop", "uid": "deployment-uid"},
        "spec": {"replicas": 3, "selector": {}, "template": {}}
    })
}

fn store() -> Store {
    let set = json!({
        "metadata": {
            "name": "web-5d", "namespace": "shop", "uid": "rs-uid",
            "ownerReferences": [{
                "apiVersion": "apps/v1", "kind": "Deployment", "name": "web", "uid": "deployment-uid",
                "controller": true
            }]
        },
        "spec": {"selector": {}}
    });
    Store::of([
        (POD.to_owned(), pod()),
        (SET.to_owned(), set),
        (DEPLOYMENT.to_owned(), deployment()),
    ])
}

async fn run(store: &Store, spec: &str) -> Vec<String> {
    words(&store.run_as("test", spec, &event()).await)
}

async fn take_back(store: &Store, playbook: &str) -> Vec<&'static str> {
    let holder = Holder::new(playbook, &Uid::new(UID));
    let object = ObjectRef::deployment("shop", "web");
    let done = revert(&store.serve().0, &object, &holder, false).await;
    done.expect("reverted").iter().map(Outcome::as_str).collect()
}

fn replicas(store: &Store) -> Value {
    store.get(DEPLOYMENT)["spec"]["replicas"].clone()
}

fn plain(deployment: Value) -> Value {
    let mut plain = without_version(deployment);
    plain["metadata"].as_object_mut().expect("metadata").retain(|_, value| *value != json!({}));
    plain
}

#[tokio::test]
async fn the_pods_deployment_is_scaled_once_and_gets_its_number_back() {
    let store = store();
    assert_eq!(run(&store, SCALE).await, ["scale applied"]);
    assert_eq!(replicas(&store), json!(0));
    let scaled = store.get(DEPLOYMENT);
    assert_eq!(run(&store, SCALE).await, ["scale already-done"]);
    assert_eq!(store.get(DEPLOYMENT), scaled);

    assert_eq!(take_back(&store, "another").await, ["already-done"]);
    assert_eq!(take_back(&store, "test").await, ["applied"]);
    assert_eq!(plain(store.get(DEPLOYMENT)), deployment());
    assert_eq!(take_back(&store, "test").await, ["already-done"]);
}

#[tokio::test]
async fn the_number_goes_through_the_scale_and_every_write_is_pinned() {
    let (api, wire) = store().serve();
    Setup::new(api).build().run(SCALE, &event()).await;
    let [notes, scale] = &wire.writes()[..] else { panic!("{:?}", wire.writes()) };
    assert_eq!(
        (notes.path.as_str(), scale.path.clone()),
        (DEPLOYMENT, format!("{DEPLOYMENT}/scale"))
    );
    for operation in pinned(notes, "deployment-uid") {
        assert!(
            operation["path"]
                .as_str()
                .is_some_and(|path| path.starts_with("/metadata/annotations"))
        );
    }
    let number = json!([{"op": "add", "path": "/spec/replicas", "value": 0}]);
    assert_eq!(json!(pinned(scale, "deployment-uid")), number);
    assert_ne!(notes.body[1], scale.body[1], "the second is pinned to what the first one made");
}

#[tokio::test]
async fn a_number_that_somebody_has_set_since_is_theirs() {
    let store = store();
    run(&store, SCALE).await;
    store.lock().change(DEPLOYMENT, |deployment| deployment["spec"]["replicas"] = json!(5));
    take_back(&store, "test").await;
    assert_eq!(replicas(&store), json!(5));
    assert_eq!(take_back(&store, "test").await, ["already-done"]);
}

#[tokio::test]
async fn one_that_was_scaled_down_before_is_not_ours_to_scale_up() {
    let store = store();
    store.lock().change(DEPLOYMENT, |deployment| deployment["spec"]["replicas"] = json!(0));
    let before = store.get(DEPLOYMENT);
    assert_eq!(run(&store, SCALE).await, ["scale already-done"]);
    // Never up.
    let one = "mode: enforce\nactions: [scale: {replicas: 1}]";
    assert_eq!(run(&store, one).await, ["scale already-done"]);
    assert_eq!(take_back(&store, "test").await, ["already-done"]);
    assert_eq!(store.get(DEPLOYMENT), before);
}

#[tokio::test]
async fn two_that_scale_further_and_further_give_back_what_was_there_first() {
    let store = store();
    let one = "mode: enforce\nactions: [scale: {replicas: 1}]";
    store.run_as("first", one, &event()).await;
    store.run_as("second", SCALE, &event()).await;
    assert_eq!(replicas(&store), json!(0));
    take_back(&store, "first").await;
    assert_eq!(replicas(&store), json!(0), "the second still holds it");
    take_back(&store, "second").await;
    assert_eq!(plain(store.get(DEPLOYMENT)), deployment());
}

#[tokio::test]
async fn a_number_that_changes_between_note_and_scale_is_the_one_that_comes_back() {
    let store = store();
    store.outrun(DEPLOYMENT, |_| {});
    store.outrun(DEPLOYMENT, |deployment| deployment["spec"]["replicas"] = json!(7));
    assert_eq!(run(&store, SCALE).await, ["scale applied"]);
    assert_eq!(replicas(&store), json!(0));
    take_back(&store, "test").await;
    assert_eq!(replicas(&store), json!(7));
}

#[tokio::test]
async fn whoever_may_patch_one_pod_cannot_have_anothers_deployment_scaled() {
    let store = store();
    // The mark and the annotation of an isolation, as anybody can compute them, in a pod that has no owner.
    let id: String = Sha256::digest(UID).iter().take(8).map(|byte| format!("{byte:02x}")).collect();
    store.lock().change(POD, |pod| {
        let owner = pod["metadata"]["ownerReferences"].take()[0].clone();
        pod["metadata"]["labels"]["stoop.dev/quarantine"] = json!(id);
        let kept = json!({"id": id, "labels": {}, "owner": owner}).to_string();
        pod["metadata"]["annotations"] = json!({"stoop.dev/quarantine-kept": kept});
    });
    assert_eq!(run(&store, SCALE).await, ["scale refused (owner-kind)"]);
    assert_eq!(replicas(&store), json!(3));
}

#[tokio::test]
async fn only_the_chain_of_owners_by_uid_leads_to_a_deployment() {
    type Change = fn(&mut Value);
    let table: [(&str, &str, Change, &str); 6] = [
        (
            "another kind",
            POD,
            |pod| pod["metadata"]["ownerReferences"][0]["kind"] = json!("StatefulSet"),
            "refused (owner-kind)",
        ),
        (
            "another group",
            POD,
            |pod| pod["metadata"]["ownerReferences"][0]["apiVersion"] = json!("evil.example/v1"),
            "refused (owner-kind)",
        ),
        (
            "nobody's pod",
            POD,
            |pod| pod["metadata"]["ownerReferences"] = json!([]),
            "refused (owner-kind)",
        ),
        (
            "a ReplicaSet of its own",
            SET,
            |set| set["metadata"]["ownerReferences"] = json!([]),
            "refused (owner-kind)",
        ),
        (
            "another ReplicaSet of the name",
            SET,
            |set| set["metadata"]["uid"] = json!("another"),
            "skipped (gone)",
        ),
        (
            "another Deployment of the name",
            DEPLOYMENT,
            |deployment| deployment["metadata"]["uid"] = json!("another"),
            "skipped (gone)",
        ),
    ];
    for (what, path, change, expected) in table {
        let store = store();
        store.lock().change(path, change);
        assert_eq!(run(&store, SCALE).await, [format!("scale {expected}")], "{what}");
        assert_eq!(replicas(&store), json!(3));
    }
}

#[tokio::test]
async fn what_is_too_large_or_looked_after_by_an_autoscaler_is_refused() {
    let store = store();
    let small = "mode: enforce\nactions: [scale: {largest: 2}]";
    assert_eq!(run(&store, small).await, ["scale refused (too-large)"]);

    let autoscaler = |kind: &str, name: &str| {
        json!({"metadata": {"name": "web"}, "spec": {
            "maxReplicas": 5, "scaleTargetRef": {"apiVersion": "apps/v1", "kind": kind, "name": name}
        }})
    };
    store.lock().put(AUTOSCALER, autoscaler("Deployment", "web"));
    assert_eq!(run(&store, SCALE).await, ["scale refused (autoscaler)"]);
    for (kind, name) in [("Deployment", "db"), ("StatefulSet", "web")] {
        store.lock().put(AUTOSCALER, autoscaler(kind, name));
        let dry = SCALE.replace("enforce", "dryRun");
        assert_eq!(run(&store, &dry).await, ["scale skipped (dry-run)"]);
    }
    store.lock().put(AUTOSCALER, autoscaler("Deployment", "web"));
    assert_eq!(replicas(&store), json!(3));
    let all_the_same = "mode: enforce\nactions: [scale: {autoscaled: true}]";
    assert_eq!(run(&store, all_the_same).await, ["scale applied"]);
}

#[tokio::test]
async fn autoscalers_that_cannot_be_read_are_no_yes() {
    let (api, wire) = store().serve_but(|request, carry_out| {
        match request.path.ends_with("horizontalpodautoscalers") {
            true => error(403, "Forbidden", "horizontalpodautoscalers is forbidden"),
            false => carry_out(),
        }
    });
    let report = Setup::new(api).build().run(SCALE, &event()).await;
    assert_eq!(words(&report), ["scale failed (permanent)"]);
    assert!(wire.writes().is_empty());
}

#[tokio::test]
async fn a_dry_run_says_so_and_changes_nothing() {
    let store = store();
    let before = store.get(DEPLOYMENT);
    let (api, wire) = store.serve();
    let report = Setup::new(api).build().run(&SCALE.replace("enforce", "dryRun"), &event()).await;
    assert_eq!(report.overall.reason(), Some("dry-run"));
    assert!(wire.writes().iter().all(|write| write.query.contains("dryRun=All")));
    assert_eq!((wire.writes().len(), store.get(DEPLOYMENT)), (2, before));
}

#[tokio::test]
async fn a_crash_anywhere_ends_in_the_same_state_on_the_way_down_and_back() {
    for number in 0..9 {
        let store = store();
        let bench = Setup::new(store.serve_but(losing(number)).0).build();
        let report = loop {
            let Some(mut response) = bench.try_begin(SCALE, &event()).await else { continue };
            if let Advance::Finished(report) = bench.advance(&mut response).await {
                break report;
            }
        };
        assert!(report.overall.ended_well(), "{number}: {:?}", words(&report));
        assert_eq!(replicas(&store), json!(0));
        let (api, _) = store.serve_but(losing(number));
        let (object, holder) =
            (ObjectRef::deployment("shop", "web"), Holder::new("test", &Uid::new(UID)));
        while revert(&api, &object, &holder, false).await.is_err() {}
        assert_eq!(plain(store.get(DEPLOYMENT)), deployment(), "{number}");
    }
}
