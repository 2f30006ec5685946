//! `label` and `annotate`: what goes on the pod, what is refused, and what taking it back leaves.

use playbooks::act::{Advance, FailureKind, Holder, ObjectRef, Outcome, Uid, revert};
use serde_json::{Value, json};

use crate::{
    fixtures::{OTHER_UID, POD, Setup, UID, event, pod, pod_with, words},
    store::{Store, losing, pinned, without_version},
    wire::{Answer, error},
};

const LABEL: &str = "mode: enforce\nactions: [label: {key: acme.example/suspect, value: 'yes'}]";
const ANNOTATE: &str =
    "mode: enforce\nactions: [annotate: {key: acme.example/why, value: 'see room 5'}]";
const OWNER: &str = "/apis/apps/v1/namespaces/shop/replicasets/web-5d";

fn owner() -> Value {
    json!({
        "metadata": {"name": "web-5d", "namespace": "shop", "uid": "rs-uid"},
        "spec": {"selector": {
            "matchLabels": {"app": "web"},
            "matchExpressions": [{"key": "acme.example/released", "operator": "DoesNotExist"}]
        }}
    })
}

fn store(pod: Value) -> Store {
    Store::of([(POD.to_owned(), pod), (OWNER.to_owned(), owner())])
}

async fn run(store: &Store, spec: &str) -> Vec<String> {
    words(&Setup::new(store.serve().0).build().run(spec, &event()).await)
}

async fn take_back(store: &Store, playbook: &str, uid: &str) -> Vec<&'static str> {
    let holder = Holder::new(playbook, &Uid::new(uid));
    let done = revert(&store.serve().0, &ObjectRef::pod("shop", "web"), &holder, false).await;
    done.expect("reverted").iter().map(Outcome::as_str).collect()
}

#[tokio::test]
async fn the_verified_pod_is_marked_once_and_revert_leaves_it_as_it_was() {
    let annotated = pod_with(|pod| pod["metadata"]["annotations"] = json!({"theirs": "1"}));
    for (spec, mapping, key, value) in [
        (LABEL, "labels", "acme.example/suspect", "yes"),
        (ANNOTATE, "annotations", "acme.example/why", "see room 5"),
    ] {
        let store = store(annotated.clone());
        let action = if mapping == "labels" { "label" } else { "annotate" };
        assert_eq!(run(&store, spec).await, [format!("{action} applied")]);
        assert_eq!(store.get(POD)["metadata"][mapping][key], value);
        let marked = store.get(POD);
        assert_eq!(run(&store, spec).await, [format!("{action} already-done")]);
        assert_eq!(store.get(POD), marked, "a redelivery writes nothing");

        assert!(take_back(&store, "test", UID).await.contains(&"applied"));
        assert_eq!(without_version(store.get(POD)), without_version(annotated.clone()));
        assert_eq!(take_back(&store, "test", UID).await, ["already-done", "already-done"]);
    }
}

#[tokio::test]
async fn every_write_is_pinned_to_the_uid_and_the_version_that_were_read() {
    for spec in [LABEL, ANNOTATE] {
        let (api, wire) = store(pod()).serve();
        Setup::new(api).build().run(spec, &event()).await;
        let [write] = &wire.writes()[..] else { panic!("{:?}", wire.writes()) };
        for operation in pinned(write, UID) {
            let path = operation["path"].as_str().expect("a path");
            let ours = path.starts_with("/metadata/labels/acme.example~1")
                || path.starts_with("/metadata/annotations");
            assert!(ours, "{path}");
        }
        assert!(!write.query.contains("dryRun"));
    }
}

#[tokio::test]
async fn a_successor_of_the_same_name_is_left_alone() {
    for replaced_at_the_patch in [false, true] {
        let store = store(pod());
        let bench = Setup::new(store.serve().0).build();
        let mut response = bench.begin(LABEL, &event()).await;
        let successor = pod_with(|pod| pod["metadata"]["uid"] = json!(OTHER_UID));
        match replaced_at_the_patch {
            true => store.outrun(POD, {
                let successor = successor.clone();
                |pod| *pod = successor
            }),
            false => store.lock().put(POD, successor.clone()),
        }
        let Advance::Finished(report) = bench.advance(&mut response).await else {
            panic!("not finished")
        };
        assert_eq!(words(&report), ["label skipped (gone)"]);
        assert_eq!(without_version(store.get(POD)), without_version(successor));
    }
}

#[tokio::test]
async fn a_pod_that_others_change_meanwhile_is_read_again() {
    let store = store(pod());
    for n in 0..3 {
        store.outrun(POD, move |pod| pod["status"]["phase"] = json!(n.to_string()));
    }
    assert_eq!(run(&store, LABEL).await, ["label applied"]);
    assert_eq!(store.get(POD)["status"]["phase"], "2");

    for n in 0..10 {
        store.outrun(POD, move |pod| {
            pod["metadata"]["labels"] = json!({"app": "web"});
            pod["status"]["phase"] = json!(n.to_string());
        });
    }
    let bench = Setup::new(store.serve().0).build();
    store.lock().change(POD, |pod| pod["metadata"]["labels"] = json!({"app": "web"}));
    let mut response = bench.begin(LABEL, &event()).await;
    assert!(matches!(bench.advance(&mut response).await, Advance::Retry(_)), "bounded");
}

#[tokio::test]
async fn what_somebody_else_has_set_is_replaced_only_where_the_playbook_says_so() {
    let theirs =
        pod_with(|pod| pod["metadata"]["labels"]["acme.example/suspect"] = json!("theirs"));
    let store = store(theirs.clone());
    assert_eq!(run(&store, LABEL).await, ["label refused (foreign-value)"]);
    let overwrite = "mode: enforce\nactions: [label: {key: acme.example/suspect, value: 'yes', overwrite: true}]";
    assert_eq!(run(&store, overwrite).await, ["label applied"]);
    take_back(&store, "test", UID).await;
    assert_eq!(store.get(POD)["metadata"]["labels"]["acme.example/suspect"], "theirs");
}

#[tokio::test]
async fn what_somebody_has_changed_since_is_not_taken_back() {
    for changed in [json!("changed"), json!(null)] {
        let store = store(pod());
        run(&store, LABEL).await;
        store.lock().change(POD, |pod| {
            let labels = pod["metadata"]["labels"].as_object_mut().expect("labels");
            match changed.is_null() {
                true => labels.remove("acme.example/suspect"),
                false => labels.insert("acme.example/suspect".into(), changed.clone()),
            };
        });
        let before = store.get(POD)["metadata"]["labels"].clone();
        take_back(&store, "test", UID).await;
        assert_eq!(store.get(POD)["metadata"]["labels"], before);
    }
}

#[tokio::test]
async fn a_label_that_was_there_before_is_not_ours_to_take() {
    let theirs = pod_with(|pod| pod["metadata"]["labels"]["acme.example/suspect"] = json!("yes"));
    let store = store(theirs);
    let before = store.get(POD);
    assert_eq!(run(&store, LABEL).await, ["label already-done"]);
    assert_eq!(take_back(&store, "test", UID).await, ["already-done", "already-done"]);
    assert_eq!(store.get(POD), before);
}

#[tokio::test]
async fn only_the_response_that_holds_it_lets_go_and_the_last_one_takes_it_back() {
    let store = store(pod());
    run(&store, LABEL).await;
    assert_eq!(words(&store.run_as("second", LABEL, &event()).await), ["label applied"]);

    assert_eq!(take_back(&store, "third", UID).await, ["already-done", "already-done"]);
    take_back(&store, "test", UID).await;
    assert_eq!(store.get(POD)["metadata"]["labels"]["acme.example/suspect"], "yes", "still held");
    take_back(&store, "second", UID).await;
    assert_eq!(store.get(POD)["metadata"]["labels"], json!({"app": "web"}));
}

#[tokio::test]
async fn a_label_that_the_owner_selects_by_is_refused() {
    let table = [
        ("{key: app, value: quarantined, overwrite: true}", "label refused (selected-label)"),
        ("{key: acme.example/released, value: 'yes'}", "label refused (selected-label)"),
        ("{key: other, value: 'yes'}", "label applied"),
    ];
    for (config, expected) in table {
        let store = store(pod());
        let spec = format!("mode: enforce\nactions: [label: {config}]");
        assert_eq!(run(&store, &spec).await, [expected], "{config}");
    }
    // What the owner's name stands for now holds nothing of this pod.
    let store = store(pod());
    store.lock().change(OWNER, |owner| owner["metadata"]["uid"] = json!("another"));
    let spec = "mode: enforce\nactions: [label: {key: acme.example/released, value: 'yes'}]";
    assert_eq!(run(&store, spec).await, ["label applied"]);
}

#[tokio::test]
async fn an_owner_that_cannot_be_read_keeps_the_labels_that_there_are() {
    let owned = pod_with(|pod| {
        pod["metadata"]["ownerReferences"][0]["apiVersion"] = json!("apps.kruise.io/v1alpha1");
        pod["metadata"]["ownerReferences"][0]["kind"] = json!("CloneSet");
    });
    let store = store(owned);
    let change = "mode: enforce\nactions: [label: {key: app, value: x, overwrite: true}]";
    assert_eq!(run(&store, change).await, ["label refused (selected-label)"]);
    assert_eq!(run(&store, LABEL).await, ["label applied"]);
}

#[tokio::test]
async fn a_dry_run_says_so_and_changes_nothing() {
    for spec in [LABEL, ANNOTATE] {
        let store = store(pod());
        let before = store.get(POD);
        let (api, wire) = store.serve();
        let spec = spec.replace("enforce", "dryRun");
        let report = Setup::new(api).build().run(&spec, &event()).await;
        assert_eq!(report.overall.reason(), Some("dry-run"));
        assert!(wire.writes().iter().all(|write| write.query.contains("dryRun=All")));
        assert_eq!((wire.writes().len(), store.get(POD)), (1, before));
    }
}

#[tokio::test]
async fn an_answer_that_is_lost_anywhere_is_found_done() {
    for spec in [LABEL, ANNOTATE] {
        for number in 0..6 {
            let store = store(pod());
            let bench = Setup::new(store.serve_but(losing(number)).0).build();
            let report = loop {
                let Some(mut response) = bench.try_begin(spec, &event()).await else { continue };
                if let Advance::Finished(report) = bench.advance(&mut response).await {
                    break report;
                }
            };
            assert!(report.overall.ended_well(), "{number}: {:?}", words(&report));
            take_back(&store, "test", UID).await;
            assert_eq!(store.get(POD)["metadata"]["labels"], pod()["metadata"]["labels"]);
        }
    }
}

#[tokio::test]
async fn a_patch_that_the_server_refuses_for_good_is_sent_once() {
    let (api, wire) = store(pod()).serve_but(|request, carry_out| match request.is_write() {
        true => error(422, "Invalid", "Pod \"web\" is invalid"),
        false => carry_out(),
    });
    let report = Setup::new(api).build().run(LABEL, &event()).await;
    assert_eq!(words(&report), ["label failed (permanent)"]);
    assert_eq!(wire.writes().len(), 1);
}

#[tokio::test(start_paused = true)]
async fn a_write_that_hangs_by_itself_is_no_outage() {
    let (api, _) = store(pod()).serve_but(|request, carry_out| match request.is_write() {
        true => Answer::Never,
        false => carry_out(),
    });
    let bench = Setup::new(api).build();
    let mut response = bench.begin(LABEL, &event()).await;
    let Advance::Retry(failure) = bench.advance(&mut response).await else {
        panic!("not to be retried")
    };
    assert_eq!(failure.kind, FailureKind::Transient);
    assert!(failure.why.contains("admission webhook"), "{failure}");
}
