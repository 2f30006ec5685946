//! Taking it back: what is still ours, once, and nothing of anybody else.

use std::sync::Arc;

use http::Method;
use playbooks::act::{
    Advance, Isolated, Response, Reverted, Reverter, Standing, StoredResponse, Uid, Which,
    revert_isolation,
};
use serde_json::{Value, json};

use super::{Cluster, ISOLATE, enforcing, isolate, quarantine};
use crate::{
    fixtures::{OTHER_UID, POD, Setup, UID, event, occurrence},
    responses::{ACTION, recording, shelf::Responses},
    wire::Answer,
};

fn web(uid: &str) -> Isolated {
    Isolated { namespace: "shop".into(), name: "web".into(), uid: Uid::new(uid) }
}

async fn isolated(config: &str) -> Cluster {
    let cluster = Cluster::new().with_policy("theirs", json!({"podSelector": {}}));
    enforcing(cluster.serve().0).run(&isolate(config), &event()).await;
    cluster
}

async fn revert(cluster: &Cluster) -> Reverted {
    revert_isolation(&cluster.serve().0, &web(UID)).await.expect("reverted")
}

fn without_version(mut pod: Value) -> Value {
    pod["metadata"]["resourceVersion"] = json!(null);
    pod
}

#[tokio::test]
async fn all_is_as_it_was_and_a_second_time_changes_nothing() {
    for config in ["{}", "{egressOnly: true}", "{denyEgressByLabel: app}"] {
        let before =
            Cluster::new().with_policy("theirs", json!({"podSelector": {}})).state().clone();
        let cluster = isolated(config).await;
        assert!(revert(&cluster).await.changed);
        let after = cluster.state().clone();
        assert_eq!(
            after.pod.clone().map(without_version),
            before.pod.map(without_version),
            "{config}"
        );
        assert_eq!(after.policies, before.policies, "{config}");
        assert_eq!(revert(&cluster).await, Reverted::default());
        assert_eq!(*cluster.state(), after);
    }
}

#[tokio::test]
async fn an_isolation_goes_with_the_last_playbook_that_wants_it() {
    let (cluster, responses) = (Cluster::new(), Responses::default());
    let (kept, before) = (responses.clone(), cluster.labels());
    let (api, _) = cluster.serve_with(move |_, request| kept.answer(request));
    let mut setup = Setup::new(api.clone());
    setup.enforces_policies = true;
    let bench = recording("a", setup, api);
    for name in ["one", "two"] {
        let plan = bench.plan_named(name, &isolate("{expireAfter: 1h}"));
        let standing = Standing::of(bench.verify(&event()).await).expect("ours");
        let event = Arc::new(occurrence(&event()).1);
        let ended = bench.advance(&mut Response::new(plan, standing, event)).await;
        assert!(matches!(ended, Advance::Finished(_)), "{ended:?}");
    }
    let shelf = bench.engine.records().expect("records").shelf();
    let reverter = Reverter { shelf, name: "r", lease: ACTION };
    let revert = async |stored: &StoredResponse, dry_run: bool| {
        let done = reverter.revert(stored, Which::All, dry_run).await.expect("reverted");
        done.undone[0].detail.clone()
    };
    let isolated = cluster.state().clone();
    let [one, two] = &responses.all()[..] else { panic!("two responses") };
    assert!(revert(one, false).await.contains("still wants it isolated"));
    assert!(revert(two, true).await.contains("would give"));
    assert_eq!(*cluster.state(), isolated);
    assert!(revert(two, false).await.contains("policies deleted"));
    assert_eq!(cluster.labels(), before);
    assert!(cluster.state().policies.is_empty());
}

#[tokio::test]
async fn what_others_have_changed_since_stays() {
    let cluster = isolated("{}").await;
    cluster.state().label("app", "rescued");
    cluster.state().label("new", "theirs");
    let done = revert(&cluster).await;
    assert_eq!((done.restored, done.kept), (vec!["hash".to_owned()], vec!["app".to_owned()]));
    assert_eq!(
        cluster.labels(),
        json!({"app": "rescued", "hash": "5d", "note": "x", "new": "theirs"})
    );

    // Somebody put the pod in another quarantine.
    let cluster = isolated("{}").await;
    cluster.state().label("stoop.dev/quarantine", "theirs");
    revert(&cluster).await;
    assert_eq!(cluster.labels()["stoop.dev/quarantine"], "theirs");
}

#[tokio::test]
async fn a_policy_that_others_have_changed_is_left_and_named() {
    let cluster = isolated("{}").await;
    let entry = |manager: &str, field: &str| json!({"manager": manager, "operation": "Update", "fieldsV1": {field: {}}});
    let set = |entries: Value| {
        cluster.state().policies.get_mut(&quarantine()).expect("ours")["metadata"]["managedFields"] =
            entries;
    };
    set(json!([entry("stoop-isolate", "f:spec"), entry("kubectl-edit", "f:spec")]));
    let done = revert(&cluster).await;
    assert_eq!((done.deleted, done.left), (vec![], vec![quarantine()]));
    assert!(cluster.state().policies.contains_key(&quarantine()));
    set(json!([entry("stoop-isolate", "f:spec"), entry("kubectl-annotate", "f:metadata")]));
    assert_eq!(revert(&cluster).await.deleted, [quarantine()]);
}

#[tokio::test]
async fn a_successor_that_wears_the_same_marks_is_not_touched() {
    let cluster = isolated("{}").await.with_pod(|pod| pod["metadata"]["uid"] = json!(OTHER_UID));
    let before = cluster.state().pod.clone();
    let done = revert(&cluster).await;
    assert_eq!(cluster.state().pod, before);
    assert_eq!(done.deleted, [quarantine()], "our policy for the one that is gone goes");
    // And its own isolation was never made.
    let again = revert_isolation(&cluster.serve().0, &web(OTHER_UID)).await.expect("reverted");
    assert_eq!(again, Reverted::default());
}

#[tokio::test]
async fn a_change_between_look_and_write_is_looked_at_again() {
    let cluster = isolated("{}").await;
    let mut times = 0;
    let (api, _) = cluster.serve_with(move |state, request| {
        if request.is(&Method::PATCH, POD) && times == 0 {
            times += 1;
            state.label("app", "rescued");
        }
        None
    });
    revert_isolation(&api, &web(UID)).await.expect("reverted");
    assert_eq!(cluster.labels()["app"], "rescued");
}

#[tokio::test]
async fn a_crash_anywhere_is_finished_by_the_next_try() {
    for lost_answer in 0..5 {
        let cluster = isolated("{}").await;
        let mut asked = 0;
        let (api, _) = cluster.serve_with(move |state, request| {
            asked += 1;
            (asked - 1 == lost_answer).then(|| {
                state.answer(request);
                Answer::Broken
            })
        });
        revert_isolation(&api, &web(UID)).await.expect_err("an answer was lost");
        revert_isolation(&api, &web(UID)).await.expect("reverted");
        assert_eq!(
            cluster.labels(),
            json!({"app": "web", "hash": "5d", "note": "x"}),
            "{lost_answer}"
        );
        assert_eq!(cluster.state().policies.len(), 1, "theirs alone");
    }
}

#[tokio::test]
async fn it_can_be_isolated_again() {
    let cluster = isolated("{}").await;
    let marked = cluster.labels();
    revert(&cluster).await;
    enforcing(cluster.serve().0).run(ISOLATE, &event()).await;
    assert_eq!(cluster.labels(), marked);
}
