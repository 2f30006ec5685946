//! Playbooks that are objects: each in force as it is written, beside the files, and none outside of its namespace.

use std::{fs, iter::repeat_with, sync::Arc, time::Duration};

use axum::http::StatusCode;
use jiff::Timestamp;
use playbooks::act::{Key, PlaybookKind, PlaybookObject, Seen};
use serde_json::{Value, json};
use stoop::{
    demo::kubernetes::Fault,
    worker::{objects::Sight, readiness::Readiness},
};
use tokio::{
    sync::{Notify, mpsc, oneshot},
    task::JoinHandle,
};

use super::{
    rig::{Rig, a_while_passes, delete, event, header, play, play_on_pod, playbook, until},
    stage::Cue,
    storms::{settle, storm},
};

/// What a cluster shows to the worker that follows it.
struct Shown {
    tell: mpsc::Sender<Seen>,
    again: Arc<Notify>,
    readiness: Arc<Readiness>,
    all: oneshot::Receiver<()>,
    following: JoinHandle<()>,
}

impl Shown {
    fn to(rig: &Rig) -> Shown {
        let (tell, seen) = mpsc::channel(16);
        let (told, all) = oneshot::channel();
        let readiness = Arc::<Readiness>::default();
        let worker = rig.worker.clone();
        let again = Arc::new(Notify::new());
        let sight = Sight { seen, again: again.clone() };
        let following = worker.follow_objects(sight, readiness.clone(), told, Default::default());
        Shown { tell, again, readiness, all, following: tokio::spawn(following) }
    }

    /// How many a scrape tells of that are refused.
    fn refused(&self, rig: &Rig, kind: &str, reason: &str) -> u64 {
        let text = String::from_utf8(rig.worker.scrape(&self.readiness).unwrap()).unwrap();
        let series =
            format!("stoop_playbook_objects_refused{{kind=\"{kind}\",reason=\"{reason}\"}} ");
        let value = text.lines().find_map(|line| line.strip_prefix(&series)).expect(&text);
        value.parse().unwrap()
    }

    async fn show(&self, seen: Seen) {
        self.tell.send(seen).await.unwrap();
    }

    /// Shows an object, and waits until these are in force.
    async fn now(&self, rig: &Rig, object: PlaybookObject, names: &[&str]) {
        self.show(Seen::Now(object)).await;
        are_in_force(rig, names).await;
    }
}

impl Drop for Shown {
    fn drop(&mut self) {
        self.following.abort();
    }
}

fn key(namespace: Option<&str>, name: &str) -> Key {
    let kind = match namespace {
        Some(_) => PlaybookKind::Playbook,
        None => PlaybookKind::ClusterPlaybook,
    };
    Key { kind, namespace: namespace.map(str::to_owned), name: name.to_owned() }
}

/// An object as the API server gives it, with this uid and generation.
fn object(
    namespace: Option<&str>,
    name: &str,
    (uid, generation): (&str, i64),
    spec: Value,
) -> PlaybookObject {
    let object = written(namespace, name, (uid, generation), spec);
    let kind = key(namespace, name).kind;
    PlaybookObject::of(kind, serde_json::from_value(object).unwrap()).unwrap()
}

fn written(
    namespace: Option<&str>,
    name: &str,
    (uid, generation): (&str, i64),
    spec: Value,
) -> Value {
    let mut whole = json!({"mode": "enforce", "match": {"rules": ["*"]}});
    let Value::Object(spec) = spec else { panic!("a spec has keys") };
    spec.into_iter().for_each(|(key, value)| whole[key] = value);
    json!({
        "metadata": {"name": name, "namespace": namespace, "uid": uid, "generation": generation, "resourceVersion": "1"},
        "spec": whole,
    })
}

fn playing(namespace: Option<&str>, name: &str, which: (&str, i64), part: &str) -> PlaybookObject {
    let spec = json!({"actions": [play(part)], "limits": {"cooldown": "1s"}});
    object(namespace, name, which, spec)
}

fn names(rig: &Rig) -> Vec<String> {
    let rules = rig.worker.rules.now();
    rules.plans().iter().map(|plan| plan.playbook.name.clone()).collect()
}

async fn are_in_force(rig: &Rig, wanted: &[&str]) {
    until(&format!("{wanted:?} are in force"), || names(rig) == wanted).await;
}

async fn answer(rig: &Rig) {
    rig.subscribe([event(json!({}))]).is_settled().await;
}

fn changes(rig: &Rig, result: &str) -> u64 {
    rig.worker.metrics.playbook_changes.with_label_values(&[result]).get()
}

#[tokio::test(start_paused = true)]
async fn an_object_takes_effect_beside_the_files_and_goes_when_it_is_deleted() {
    let rig = Rig::new(&[playbook("file", json!({"actions": [play("file")]}))]).await;
    let shown = Shown::to(&rig);
    shown.now(&rig, playing(None, "all", ("u", 1), "old"), &["all", "file"]).await;
    answer(&rig).await;
    shown.show(Seen::Now(playing(None, "all", ("u", 2), "new"))).await;
    until("the new one is in force", || changes(&rig, "taken") == 2).await;
    answer(&rig).await;
    let played = |part| rig.stage.played(part);
    assert_eq!((played("file"), played("old"), played("new")), (2, 1, 1));
    // Its status alone, or an older look at it.
    for generation in [2, 1] {
        shown.show(Seen::Now(playing(None, "all", ("u", generation), "older"))).await;
    }
    shown.now(&rig, playing(None, "beside", ("v", 1), "beside"), &["all", "beside", "file"]).await;
    answer(&rig).await;
    assert_eq!((played("new"), played("older")), (2, 0));
    shown.show(Seen::Gone(key(None, "all"))).await;
    are_in_force(&rig, &["beside", "file"]).await;
    answer(&rig).await;
    assert_eq!((played("new"), played("beside"), played("file")), (2, 2, 4));
}

#[tokio::test(start_paused = true)]
async fn a_bad_one_leaves_its_own_last_good_one_in_force_and_no_other_is_touched() {
    let rig = Rig::new(&[]).await;
    let shown = Shown::to(&rig);
    shown.now(&rig, playing(None, "a", ("u", 1), "good"), &["a"]).await;
    let bad = |uid, generation| {
        let spec = json!({"actions": [play("bad")], "limits": {"budgt": "1 per 1h"}});
        object(None, "a", (uid, generation), spec)
    };
    shown.show(Seen::Now(bad("u", 2))).await;
    shown.now(&rig, playing(None, "b", ("v", 1), "other"), &["a", "b"]).await;
    assert_eq!(changes(&rig, "refused"), 1);
    assert_eq!(shown.refused(&rig, "ClusterPlaybook", "refused"), 1);
    let warnings = shown.readiness.warnings().join("\n");
    assert!(
        warnings.contains("not in force as they are written: ClusterPlaybook a;"),
        "{warnings}"
    );
    answer(&rig).await;
    assert_eq!(
        (rig.stage.played("good"), rig.stage.played("other"), rig.stage.played("bad")),
        (1, 1, 0)
    );
    // Another one of the same name: of that none was good.
    shown.show(Seen::Now(bad("w", 1))).await;
    are_in_force(&rig, &["b"]).await;
    shown.now(&rig, playing(None, "a", ("w", 2), "mended"), &["a", "b"]).await;
    shown.show(Seen::All(PlaybookKind::ClusterPlaybook, vec![bad("w", 3)])).await;
    are_in_force(&rig, &["a"]).await;
    answer(&rig).await;
    assert_eq!((rig.stage.played("mended"), rig.stage.played("other")), (1, 1));
    shown.show(Seen::Gone(key(None, "a"))).await;
    until("what is gone is not refused", || shown.readiness.warnings().is_empty()).await;
    assert_eq!(shown.refused(&rig, "ClusterPlaybook", "refused"), 0);
}

#[tokio::test(start_paused = true)]
async fn a_file_stands_where_an_object_has_its_name() {
    let says = |name: &str, part: &str| playbook(name, json!({"actions": [play(part)]}));
    let rig = Rig::new(&[says("p", "file")]).await;
    let shown = Shown::to(&rig);
    let follow = rig.worker.clone().follow_playbooks(shown.readiness.clone(), Default::default());
    let follow = tokio::spawn(follow);
    shown.show(Seen::Now(playing(None, "p", ("u", 1), "object"))).await;
    // One of a namespace has another name.
    shown.now(&rig, playing(Some("shop"), "p", ("v", 1), "shop"), &["p", "shop/p"]).await;
    answer(&rig).await;
    assert_eq!((rig.stage.played("file"), rig.stage.played("object")), (1, 0));
    let taken = || shown.refused(&rig, "ClusterPlaybook", "name-taken");
    assert_eq!(taken(), 1);
    fs::write(rig.playbooks(), says("q", "file")).unwrap();
    are_in_force(&rig, &["p", "q", "shop/p"]).await;
    answer(&rig).await;
    assert_eq!((rig.stage.played("file"), rig.stage.played("object")), (2, 1));
    assert_eq!(taken(), 0);
    fs::write(rig.playbooks(), says("p", "file")).unwrap();
    are_in_force(&rig, &["p", "shop/p"]).await;
    answer(&rig).await;
    assert_eq!((rig.stage.played("file"), rig.stage.played("object")), (3, 1));
    assert_eq!(taken(), 1);
    follow.abort();
}

#[tokio::test]
async fn a_playbook_of_a_namespace_answers_only_events_whose_pod_was_verified_to_be_there() {
    let rig = Rig::new(&[]).await;
    rig.create_pod();
    let shown = Shown::to(&rig);
    let both = |namespace: &str| {
        let (tells, acts) = (format!("{namespace}-tells"), format!("{namespace}-acts"));
        let spec = json!({"actions": [play(&tells), play_on_pod(&acts)]});
        object(Some(namespace), "p", (namespace, 1), spec)
    };
    let fails = object(
        Some("other"),
        "fails",
        ("f", 1),
        json!({"actions": [play("fails")], "match": {"when": "int(fields['k8s.ns.name']) > 1"}}),
    );
    let all = vec![both("shop"), both("other"), fails];
    shown.show(Seen::All(PlaybookKind::Playbook, all)).await;
    are_in_force(&rig, &["other/fails", "other/p", "shop/p"]).await;
    let about_pod = rig.event_about_pod(Timestamp::now()).await;
    // What it claims is not what it is about.
    let mut liar = about_pod.clone();
    liar["output_fields"]["k8s.ns.name"] = json!("other");
    let mut gone = about_pod.clone();
    gone["output_fields"]["k8s.pod.uid"] = json!("ffffffff-7e58-4c0e-9a41-3d2f7c1b5a90");
    let mut of_host = event(json!({"container.id": "host", "k8s.ns.name": "other"}));
    of_host["hostname"] = json!("node-1");
    let nobody = event(json!({"k8s.ns.name": "other"}));
    let subscription = rig.subscribe([about_pod, liar, gone, of_host, nobody]);
    subscription.is_settled().await;
    let played = |part: &str| rig.stage.played(part);
    assert_eq!((played("shop-tells"), played("shop-acts")), (1, 1));
    assert_eq!((played("other-tells"), played("other-acts"), played("fails")), (0, 0, 0));
    let about: Vec<_> = rig.audit.lines().iter().map(|line| line["playbook"].clone()).collect();
    assert_eq!(about, ["shop/p"], "of another's events it isn't even said that it fails");
    assert!(subscription.ended().await.dead_letters().is_empty());
}

#[tokio::test]
async fn a_message_that_breaks_the_worker_is_not_told_of_as_a_failure_of_a_namespaces_playbook() {
    let rig = Rig::new(&[playbook("one", json!({"actions": [play("breaks")]}))]).await;
    rig.create_pod();
    let shown = Shown::to(&rig);
    let bound = object(Some("shop"), "p", ("p", 1), json!({"actions": [play_on_pod("acts")]}));
    shown.show(Seen::All(PlaybookKind::Playbook, vec![bound])).await;
    are_in_force(&rig, &["one", "shop/p"]).await;
    rig.stage.cue("breaks", repeat_with(|| Cue::Crash).take(100));
    let subscription = rig.subscribe([rig.event_about_pod(Timestamp::now()).await]);
    subscription.is_settled().await;
    assert_eq!(header(&subscription.broker.dead_letters()[0], "stoop-reason"), "crashed");
    assert_eq!(rig.pager.told(), ["one"]);
    let lines = rig.audit.lines();
    assert!(lines.iter().all(|line| line["playbook"] == "one"), "{lines:?}");
}

/// A pod of a ReplicaSet, and what Falco would say about it.
async fn owned_pod(rig: &Rig) -> Value {
    let namespace = json!({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "shop"}});
    rig.server.create(namespace).unwrap();
    let labels = json!({"app": "web"});
    let pod = json!({"schedulerName": "none", "containers": [{"name": "app", "image": "app"}]});
    let template = json!({"metadata": {"labels": labels}, "spec": pod});
    let spec = json!({"replicas": 1, "selector": {"matchLabels": labels}, "template": template});
    let metadata = json!({"namespace": "shop", "name": "web"});
    let set =
        json!({"apiVersion": "apps/v1", "kind": "ReplicaSet", "metadata": metadata, "spec": spec});
    rig.server.create(set).unwrap();
    let name = rig.server.pods("shop")[0]["metadata"]["name"].as_str().unwrap().to_owned();
    rig.event_about(&name, Timestamp::now()).await
}

/// A playbook of shop that asks for the owner, which costs a read that others don't need.
fn nosy() -> PlaybookObject {
    let wanted = json!({"rules": ["*"], "target": {"owners": ["ReplicaSet/web"]}});
    let spec = json!({"match": wanted, "actions": [play_on_pod("nosy")]});
    object(Some("shop"), "nosy", ("n", 1), spec)
}

#[tokio::test]
async fn what_only_one_of_a_namespace_may_not_read_takes_no_other_down() {
    let rig = Rig::new(&[playbook("all", json!({"actions": [play_on_pod("all")]}))]).await;
    let about_pod = owned_pod(&rig).await;
    let shown = Shown::to(&rig);
    let plain = playing(Some("shop"), "plain", ("p", 1), "plain");
    shown.show(Seen::All(PlaybookKind::Playbook, vec![nosy(), plain])).await;
    are_in_force(&rig, &["all", "shop/nosy", "shop/plain"]).await;
    rig.server.authorize(|access| access.resource != "replicasets");
    let subscription = rig.subscribe([about_pod]);
    subscription.is_settled().await;
    let played = |part: &str| rig.stage.played(part);
    assert_eq!((played("all"), played("plain"), played("nosy")), (1, 1, 0));
    let letters = subscription.broker.dead_letters();
    assert_eq!(header(&letters[0], "stoop-failed"), "shop/nosy");
    assert!(header(&letters[0], "stoop-error").contains("replicasets"), "{letters:?}");
}

#[tokio::test]
async fn what_only_one_of_a_namespace_cannot_read_yet_it_alone_waits_for() {
    for status in [StatusCode::INTERNAL_SERVER_ERROR, StatusCode::SERVICE_UNAVAILABLE] {
        let rig = Rig::new(&[playbook("all", json!({"actions": [play_on_pod("all")]}))]).await;
        let about_pod = owned_pod(&rig).await;
        let shown = Shown::to(&rig);
        shown.now(&rig, nosy(), &["all", "shop/nosy"]).await;
        rig.server.disturb(move |request| {
            request.path.contains("/replicasets/").then_some(Fault::Answer(status))
        });
        let subscription = rig.subscribe([about_pod]);
        until("it is played for the cluster", || rig.stage.played("all") == 1).await;
        assert_eq!((rig.stage.played("nosy"), subscription.broker.unsettled()), (0, 1));
        // Gone meanwhile, as if by the cluster's: what was verified holds.
        let client = kube::Client::try_from(rig.server.config()).unwrap();
        let sets = kube::Api::<k8s_openapi::api::core::v1::Pod>::namespaced(client, "shop");
        let name = rig.server.pods("shop")[0]["metadata"]["name"].as_str().unwrap().to_owned();
        sets.delete(&name, &Default::default()).await.unwrap();
        rig.server.heal();
        subscription.is_settled().await;
        assert_eq!((rig.stage.played("all"), rig.stage.played("nosy")), (1, 1), "{status}");
        assert!(subscription.broker.dead_letters().is_empty(), "{status}");
    }
}

#[tokio::test]
async fn what_only_one_of_a_namespace_can_never_read_fails_it_once_its_time_is_over() {
    let rig = Rig::new(&[playbook("all", json!({"actions": [play_on_pod("all")]}))]).await;
    let about_pod = owned_pod(&rig).await;
    let shown = Shown::to(&rig);
    let spec = json!({
        "match": {"rules": ["*"], "target": {"owners": ["ReplicaSet/web"]}},
        "actions": [play_on_pod("nosy")], "limits": {"timeout": "1s"},
    });
    shown.now(&rig, object(Some("shop"), "nosy", ("n", 1), spec), &["all", "shop/nosy"]).await;
    rig.server.disturb(|request| {
        let down = Fault::Answer(StatusCode::INTERNAL_SERVER_ERROR);
        request.path.contains("/replicasets/").then_some(down)
    });
    let subscription = rig.subscribe([about_pod]);
    subscription.is_settled().await;
    assert_eq!((rig.stage.played("all"), rig.stage.played("nosy")), (1, 0));
    assert_eq!(header(&subscription.broker.dead_letters()[0], "stoop-failed"), "shop/nosy");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_storm_costs_few_requests_where_one_of_a_namespace_asks_more() {
    let rig = Rig::keeping(&[playbook("storm", json!({"actions": [delete()]}))]).await;
    rig.create_pod();
    let about_pod = rig.event_about_pod(Timestamp::now()).await;
    let shown = Shown::to(&rig);
    let others = playing(Some("other"), "p", ("o", 1), "other");
    shown.show(Seen::All(PlaybookKind::Playbook, vec![nosy(), others])).await;
    are_in_force(&rig, &["other/p", "shop/nosy", "storm"]).await;
    rig.server.answer_after(Duration::from_millis(5));
    let asked = settle(&rig, storm(1_000, about_pod)).await;
    assert_eq!(rig.asked("DELETE"), 1);
    assert!(asked < 20, "{asked} requests");
}

#[tokio::test]
async fn nothing_is_looked_up_for_the_playbooks_of_another_namespace_than_an_event_names() {
    let rig = Rig::new(&[]).await;
    rig.create_pod();
    let shown = Shown::to(&rig);
    shown.now(&rig, playing(Some("other"), "p", ("u", 1), "other"), &["other/p"]).await;
    let about_pod = rig.event_about_pod(Timestamp::now()).await;
    let before = rig.server.requests().len();
    // Whatever may be read: nobody's event is no dead letter of theirs.
    rig.server.authorize(|access| access.resource != "pods");
    let mut of_host = event(json!({"container.id": "host"}));
    of_host["hostname"] = json!("node-1");
    let subscription = rig.subscribe([about_pod, of_host]);
    subscription.is_settled().await;
    assert_eq!((rig.server.requests().len(), rig.stage.played("other")), (before, 0));
    assert!(subscription.broker.dead_letters().is_empty() && rig.audit.lines().is_empty());
}

#[tokio::test(start_paused = true)]
async fn what_was_seen_stays_in_force_while_nothing_can_be_seen() {
    let rig = Rig::new(&[]).await;
    let mut shown = Shown::to(&rig);
    let [cluster, namespaced] = PlaybookKind::ALL;
    shown.show(Seen::Hidden(namespaced, "may not list playbooks.stoop.dev".to_owned())).await;
    let all = vec![playing(None, "a", ("u", 1), "a")];
    shown.show(Seen::All(cluster, all)).await;
    are_in_force(&rig, &["a"]).await;
    assert!(shown.all.try_recv().is_err(), "one of two kinds was never seen");
    let warnings = shown.readiness.warnings().join("\n");
    assert!(warnings.contains("Playbook: may not list playbooks.stoop.dev"), "{warnings}");

    // An API server that has just started doesn't know the kind, though there may be objects of it.
    for _ in 0..2 {
        shown.show(Seen::Undefined(namespaced)).await;
    }
    let warns = |of: &str| shown.readiness.warnings().iter().any(|line| line.contains(of));
    until("how to define it is told", || warns("Playbook: the cluster has no such kind")).await;
    assert!(warns("`stoop crds | kubectl apply -f -`"));
    assert!(shown.all.try_recv().is_err(), "that it isn't defined is no answer");
    shown.show(Seen::All(namespaced, Vec::new())).await;
    tokio::time::timeout(Duration::from_secs(5), &mut shown.all).await.unwrap().unwrap();
    until("nothing is hidden", || shown.readiness.warnings().is_empty()).await;
    for seen in [Seen::Hidden(cluster, "connection refused".to_owned()), Seen::Undefined(cluster)] {
        shown.show(seen).await;
        shown.now(&rig, playing(Some("shop"), "b", ("v", 1), "b"), &["a", "shop/b"]).await;
        shown.show(Seen::Gone(key(Some("shop"), "b"))).await;
        are_in_force(&rig, &["a"]).await;
        assert!(shown.readiness.has_refused_playbooks(), "the warning stays");
    }
}

#[tokio::test]
async fn what_one_playbook_has_answered_counts_though_others_come_change_and_go() {
    let rig = Rig::new(&[]).await;
    rig.create_pod();
    let shown = Shown::to(&rig);
    let spec = json!({"actions": [play_on_pod("steady")], "limits": {"cooldown": "1h"}});
    shown.now(&rig, object(None, "steady", ("s", 1), spec.clone()), &["steady"]).await;
    let about_pod = rig.event_about_pod(Timestamp::now()).await;
    let answered = async || rig.subscribe([about_pod.clone()]).is_settled().await;
    answered().await;
    // Before it in order of name, so that its position is another.
    shown.now(&rig, playing(None, "a", ("u", 1), "a"), &["a", "steady"]).await;
    answered().await;
    assert!(rig.worker.feed.counts().contains_key("a"));
    let reads = rig.asked("GET");
    shown.show(Seen::Gone(key(None, "a"))).await;
    are_in_force(&rig, &["steady"]).await;
    answered().await;
    assert_eq!(rig.stage.played("steady"), 1, "it was answered again within the cooldown");
    assert_eq!(rig.asked("GET"), reads, "the pod was looked for again");
    until("what is gone is forgotten", || !rig.worker.feed.counts().contains_key("a")).await;
    shown.show(Seen::Now(object(None, "steady", ("s", 2), spec))).await;
    until("it is another", || changes(&rig, "taken") == 4).await;
    answered().await;
    assert_eq!(rig.stage.played("steady"), 2, "what it was before has answered for it");
}

#[tokio::test]
async fn one_that_selects_a_pod_now_answers_at_once_though_it_did_not_a_moment_ago() {
    let rig = Rig::new(&[]).await;
    rig.create_pod();
    let shown = Shown::to(&rig);
    let picky = |generation, namespaces: Value| {
        let wanted = json!({"rules": ["*"], "namespaces": namespaces});
        let spec = json!({"match": wanted, "actions": [play_on_pod("a")]});
        object(None, "picky", ("u", generation), spec)
    };
    let about_pod = rig.event_about_pod(Timestamp::now()).await;
    shown.now(&rig, picky(1, json!({"exclude": ["shop"]})), &["picky"]).await;
    rig.subscribe([about_pod.clone()]).is_settled().await;
    assert_eq!(rig.stage.played("a"), 0);
    shown.show(Seen::Now(picky(2, json!(["shop"])))).await;
    until("it is another", || changes(&rig, "taken") == 2).await;
    rig.subscribe([about_pod]).is_settled().await;
    assert_eq!(rig.stage.played("a"), 1);
}

#[tokio::test]
async fn one_that_needs_what_the_cluster_does_not_keep_is_refused() {
    let rig = Rig::recording(&[]).await;
    let shown = Shown::to(&rig);
    let needy = json!({"approval": "required", "actions": [play_on_pod("a")]});
    shown.show(Seen::Now(object(None, "needy", ("u", 1), needy))).await;
    shown.now(&rig, playing(None, "other", ("v", 1), "b"), &["other"]).await;
    assert_eq!(changes(&rig, "refused"), 1);
    rig.server.keep_responses("stoop").unwrap();
    a_while_passes().await;
    are_in_force(&rig, &["needy", "other"]).await;
    assert_eq!(changes(&rig, "refused"), 1, "it was refused once");
    until("none is said to be refused", || shown.readiness.warnings().is_empty()).await;
}

#[tokio::test(start_paused = true)]
async fn whatever_a_tenant_writes_takes_its_namespaces_share_and_keeps_nobody_else_out_of_force() {
    let rig = Rig::new(&[]).await;
    let shown = Shown::to(&rig);
    // Each takes two fifths of what a namespace may have, and was made in this second.
    let large = |name: &str, made: i64| {
        let rules = json!({"rules": ["*", "x".repeat(40 << 10)]});
        let spec = json!({"match": rules, "actions": [play("hostile")]});
        let mut object = written(Some("hostile"), name, (name, 1), spec);
        object["metadata"]["creationTimestamp"] =
            json!(Timestamp::from_second(made).unwrap().to_string());
        PlaybookObject::of(PlaybookKind::Playbook, serde_json::from_value(object).unwrap()).unwrap()
    };
    shown.show(Seen::Now(large("c", 3))).await;
    shown.now(&rig, large("b", 2), &["hostile/b", "hostile/c"]).await;
    shown.show(Seen::Now(playing(None, "all", ("u", 1), "all"))).await;
    shown.show(Seen::Now(playing(Some("shop"), "p", ("v", 1), "shop"))).await;
    // The youngest goes for one that was made before it, whenever that is seen.
    shown.now(&rig, large("a", 1), &["all", "hostile/a", "hostile/b", "shop/p"]).await;
    assert_eq!(shown.refused(&rig, "Playbook", "no-room"), 1);
    let warnings = shown.readiness.warnings().join("\n");
    assert!(
        warnings.contains("not in force as they are written: Playbook hostile/c;"),
        "{warnings}"
    );
    answer(&rig).await;
    assert_eq!(rig.stage.played("all"), 1);

    // Once there is room again it is looked at again, and nothing is made of it before.
    shown.show(Seen::Gone(key(Some("hostile"), "a"))).await;
    are_in_force(&rig, &["all", "hostile/b", "shop/p"]).await;
    tokio::time::timeout(Duration::from_secs(60), shown.again.notified()).await.unwrap();
    let all = vec![large("b", 2), large("c", 3), playing(Some("shop"), "p", ("v", 1), "shop")];
    shown.show(Seen::All(PlaybookKind::Playbook, all)).await;
    are_in_force(&rig, &["all", "hostile/b", "hostile/c", "shop/p"]).await;
    assert_eq!(shown.refused(&rig, "Playbook", "no-room"), 0);
}

#[tokio::test(start_paused = true)]
async fn what_is_in_force_counts_though_it_was_made_shorter_since() {
    let rig = Rig::new(&[]).await;
    let shown = Shown::to(&rig);
    let large = |name: &str| {
        let spec = json!({"match": {"rules": ["*", "x".repeat(60 << 10)]}, "actions": [play("a")]});
        object(Some("hostile"), name, (name, 1), spec)
    };
    shown.now(&rig, large("a"), &["hostile/a"]).await;
    let spoilt = object(Some("hostile"), "a", ("a", 2), json!({"actions": []}));
    shown.show(Seen::Now(spoilt)).await;
    shown.show(Seen::Now(large("b"))).await;
    until("there is no room for it", || shown.refused(&rig, "Playbook", "no-room") == 1).await;
    are_in_force(&rig, &["hostile/a"]).await;
    let mended = playing(Some("hostile"), "a", ("a", 3), "a");
    shown.show(Seen::Now(mended)).await;
    tokio::time::timeout(Duration::from_secs(60), shown.again.notified()).await.unwrap();
}
