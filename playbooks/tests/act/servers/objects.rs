//! Playbooks as objects on a real API server: what it refuses, what it keeps, how they are seen, and what is told of them.

use std::time::Duration;

use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::CustomResourceDefinition;
use kube::{
    Api as Objects,
    api::{
        ApiResource, DeleteParams, DynamicObject, GroupVersionKind, Patch, PatchParams,
        ValidationDirective,
    },
};
use playbooks::act::{
    Condition, ConditionStatus, Key, Permission, PlaybookKind, PlaybookObject, PlaybookStatus,
    Seen, StoredResponse, tell_status, watch_playbooks,
};
use serde_json::{Value, json};
use testbed::cluster::Access;
use tokio::sync::{OnceCell, mpsc};

use super::{api_server, connect, namespace, roles::connect_with};
use crate::fixtures::Setup;

const PATIENCE: Duration = Duration::from_secs(60);

async fn client(access: &Access) -> kube::Client {
    access.client().await.map_err(|error| error.to_string()).expect("a client")
}

/// As `kubectl apply --server-side --validate=strict`.
fn strictly() -> PatchParams {
    PatchParams {
        field_validation: Some(ValidationDirective::Strict),
        ..PatchParams::apply("test").force()
    }
}

/// An API server with the definitions that `stoop crds` prints.
async fn defined() -> &'static Access {
    static DEFINED: OnceCell<()> = OnceCell::const_new();
    let access = api_server().await;
    DEFINED
        .get_or_init(async || {
            let all = Objects::<CustomResourceDefinition>::all(client(access).await);
            for definition in PlaybookKind::ALL.map(PlaybookKind::definition) {
                let name = definition["metadata"]["name"].as_str().expect("a name");
                all.patch(name, &strictly(), &Patch::Apply(&definition)).await.expect("accepted");
                served(&all, name).await;
            }
        })
        .await;
    access
}

async fn served(all: &Objects<CustomResourceDefinition>, name: &str) {
    let is_served = async || {
        let live = all.get(name).await.map_err(|error| error.to_string())?;
        let conditions = live.status.and_then(|status| status.conditions).unwrap_or_default();
        for condition in &conditions {
            // What is wrong with a schema is told here, and nowhere else.
            assert!(condition.type_ != "NonStructuralSchema", "{condition:?}");
        }
        let is = conditions.iter().any(|it| it.type_ == "Established" && it.status == "True");
        is.then_some(()).ok_or_else(|| format!("{conditions:?}"))
    };
    testbed::until(name, PATIENCE, is_served)
        .await
        .map_err(|error| error.to_string())
        .expect("served");
}

fn objects(client: kube::Client, kind: PlaybookKind, namespace: &str) -> Objects<DynamicObject> {
    let of = GroupVersionKind::gvk("stoop.dev", "v1alpha1", kind.as_str());
    match kind {
        PlaybookKind::ClusterPlaybook => Objects::all_with(client, &ApiResource::from_gvk(&of)),
        PlaybookKind::Playbook => {
            Objects::namespaced_with(client, namespace, &ApiResource::from_gvk(&of))
        }
    }
}

fn written(kind: PlaybookKind, name: &str, spec: Value) -> Value {
    json!({"apiVersion": "stoop.dev/v1alpha1", "kind": kind.as_str(), "metadata": {"name": name}, "spec": spec})
}

async fn apply(
    access: &Access,
    kind: PlaybookKind,
    namespace: &str,
    name: &str,
    spec: Value,
) -> kube::Result<DynamicObject> {
    let objects = objects(client(access).await, kind, namespace);
    let answer = testbed::until("the objects are taken", PATIENCE, async || {
        let object = written(kind, name, spec.clone());
        match objects.patch(name, &strictly(), &Patch::Apply(object)).await {
            // A definition is established a moment before.
            Err(kube::Error::Api(status)) if status.code == 404 => Err(status.message),
            answer => Ok(answer),
        }
    });
    answer.await.expect("they are defined")
}

fn spec(actions: Value) -> Value {
    json!({"match": {"rules": ["Terminal shell in container"]}, "actions": actions})
}

/// What the API server says to an object that it does not take.
async fn refusal(access: &Access, kind: PlaybookKind, namespace: &str, spec: Value) -> String {
    match apply(access, kind, namespace, "refused", spec.clone()).await {
        Err(kube::Error::Api(status)) => status.message.clone(),
        other => panic!("{kind} {spec}: {other:?}"),
    }
}

/// Next what is seen that `wanted` wants.
async fn next<T>(seen: &mut mpsc::Receiver<Seen>, wanted: impl Fn(&Seen) -> Option<T>) -> T {
    let look = async {
        loop {
            let seen = seen.recv().await.expect("it goes on");
            if let Some(found) = wanted(&seen) {
                return found;
            }
        }
    };
    tokio::time::timeout(PATIENCE, look).await.expect("it is seen in time")
}

/// The object of this name, once it is seen at a generation.
async fn at(seen: &mut mpsc::Receiver<Seen>, name: &str, generation: i64) -> PlaybookObject {
    next(seen, |seen| {
        let all: &[PlaybookObject] = match seen {
            Seen::All(_, all) => all,
            Seen::Now(object) => std::slice::from_ref(object),
            _ => &[],
        };
        all.iter().find(|it| it.key.name == name && it.generation == generation).cloned()
    })
    .await
}

#[tokio::test]
async fn what_the_api_server_can_judge_it_refuses_with_words_that_say_why() {
    let access = defined().await;
    let namespace = namespace(access).await;
    let both = PlaybookKind::ALL;
    let cases = [
        (json!({"mode": "enforced"}), "supported values: \"observe\", \"dryRun\", \"enforce\""),
        (json!({"actions": []}), "spec.actions"),
        (json!({"match": {}}), "spec.match"),
        (json!({"actions": [{"delete": {}, "notify": {}, "label": {}}]}), "must have at most 2"),
        (json!({"actions": ["delete"]}), "spec.actions[0]"),
        (json!({"limits": {"attempts": "many"}}), "spec.limits.attempts"),
    ];
    for (change, why) in cases {
        for kind in both {
            let mut whole = spec(json!([{"delete": {}}]));
            let Value::Object(change) = change.clone() else { unreachable!() };
            change.into_iter().for_each(|(key, value)| whole[key] = value);
            let refusal = refusal(access, kind, &namespace, whole).await;
            assert!(refusal.contains(why), "{refusal}");
        }
    }
    for (action, why) in [
        ("taint", "cordon, drain, taint act on nodes"),
        ("cordon", "only a ClusterPlaybook may"),
        ("drain", "only a ClusterPlaybook may"),
        ("run", "run starts what runs beyond the target: only a ClusterPlaybook may"),
        ("capture", "only a ClusterPlaybook may"),
        ("forward", "only a ClusterPlaybook may"),
        ("call", "only a ClusterPlaybook may"),
    ] {
        for config in [json!({}), json!({"key": "value"})] {
            let spec = spec(json!([{"delete": {}}, {action: config}]));
            let refusal = refusal(access, PlaybookKind::Playbook, &namespace, spec.clone()).await;
            assert!(refusal.contains("spec.actions[1]") && refusal.contains(why), "{refusal}");
            apply(access, PlaybookKind::ClusterPlaybook, &namespace, action, spec)
                .await
                .expect("a ClusterPlaybook may");
        }
    }
    for (limits, why) in [
        (json!({"attempts": 6}), "limits.attempts: at most 5"),
        (
            json!({"budget": "9 per 1m per cluster"}),
            "may not use up the budget that the whole cluster shares",
        ),
    ] {
        let mut spec = spec(json!([{"delete": {}}]));
        spec["limits"] = limits;
        let refusal = refusal(access, PlaybookKind::Playbook, &namespace, spec).await;
        assert!(refusal.contains(why), "{refusal}");
    }
}

#[tokio::test]
async fn a_misspelt_guardrail_is_kept_to_be_refused_with_its_place_and_the_fix() {
    let access = defined().await;
    let namespace = namespace(access).await;
    let (tell, mut seen) = mpsc::channel(64);
    tokio::spawn(watch_playbooks(
        connect(access).await,
        PlaybookKind::Playbook,
        tell,
        Default::default(),
    ));
    let misspelt = [
        (
            "limits",
            json!({"budgt": "1 per 1h"}),
            "spec.limits.budgt: unknown",
            "did you mean `budget`?",
        ),
        ("approvl", json!("required"), "spec.approvl: unknown", "did you mean `approval`?"),
        (
            "match",
            json!({"rules": ["R"], "namespces": []}),
            "spec.match.namespces: unknown",
            "`namespaces`",
        ),
    ];
    for (name, (key, value, place, fix)) in ["a", "b", "c"].into_iter().zip(misspelt) {
        let mut spec = spec(json!([{"delete": {}}]));
        spec[key] = value;
        apply(access, PlaybookKind::Playbook, &namespace, name, spec).await.expect("kept");
        let refusal = at(&mut seen, name, 1).await.read().expect_err("refused").to_string();
        let whose = format!("Playbook {namespace}/{name}");
        assert!(
            [whose.as_str(), place, fix].iter().all(|part| refusal.contains(part)),
            "{refusal}"
        );
    }
    // What only the actions themselves know is refused when it is bound.
    let bench = Setup::new(connect(access).await).build();
    for (name, actions, place, fix) in [
        (
            "d",
            json!([{"delete": {"minHealty": "50%"}}]),
            "spec.actions[0].delete.minHealty",
            "minHealthy",
        ),
        (
            "e",
            json!([{"delete": {}, "onFailure": [{"taint": {}}]}]),
            "spec.actions[0].onFailure[0].taint",
            "ClusterPlaybook",
        ),
    ] {
        apply(access, PlaybookKind::Playbook, &namespace, name, spec(actions)).await.expect("kept");
        let playbook = at(&mut seen, name, 1).await.read().expect("it reads well");
        let refusal = bench.bind(playbook).err().expect("refused");
        assert!(refusal.contains(place) && refusal.contains(fix), "{refusal}");
    }
}

#[tokio::test]
async fn objects_are_seen_as_they_come_change_and_go_and_their_status_is_no_change() {
    let access = defined().await;
    let (namespace, api) = (namespace(access).await, connect(access).await);
    let kind = PlaybookKind::Playbook;
    apply(access, kind, &namespace, "first", spec(json!([{"delete": {}}]))).await.expect("taken");
    let (tell, mut seen) = mpsc::channel(64);
    tokio::spawn(watch_playbooks(api.clone(), kind, tell, Default::default()));
    let first = at(&mut seen, "first", 1).await;
    let playbook = first.read().expect("a playbook");
    assert_eq!(playbook.name, format!("{namespace}/first"));

    let condition = Condition {
        what: "Ready".to_owned(),
        status: ConditionStatus::True,
        reason: "InForce".to_owned(),
        message: "it is".to_owned(),
        observed_generation: 1,
        last_transition_time: jiff::Timestamp::now(),
    };
    let status = PlaybookStatus { observed_generation: 1, conditions: vec![condition] };
    tell_status(&api, &first, &status).await.expect("told");
    let told = next(&mut seen, |seen| match seen {
        Seen::Now(object) if object.key == first.key => Some(object.clone()),
        _ => None,
    });
    let told = told.await;
    assert_eq!(told.generation, 1);
    assert!(told.status.as_ref().is_some_and(|seen| status.says_as(seen)), "{told:?}");
    let objects = objects(client(access).await, kind, &namespace);
    let version = async || objects.get("first").await.expect("there").metadata.resource_version;
    let before = version().await;
    tell_status(&api, &told, &status).await.expect("told");
    assert_eq!(version().await, before, "the same words are no write");
    let late = tell_status(&api, &first, &PlaybookStatus::default()).await;
    assert_eq!(late.expect_err("another has told since").code(), Some(409));

    let labels = spec(json!([{"label": {"key": "a", "value": "b"}}]));
    apply(access, kind, &namespace, "first", labels).await.expect("taken");
    let second = at(&mut seen, "first", 2).await;
    assert_eq!(second.read().expect("a playbook").actions[0].action, "label");

    objects.delete("first", &DeleteParams::default()).await.expect("deleted");
    let gone = Key { kind, namespace: Some(namespace.clone()), name: "first".to_owned() };
    next(&mut seen, |seen| (*seen == Seen::Gone(gone.clone())).then_some(())).await;
    apply(access, kind, &namespace, "first", spec(json!([{"delete": {}}]))).await.expect("taken");
    let successor = tell_status(&api, &second, &status).await;
    assert_eq!(successor.expect_err("it is another's").code(), Some(409));
}

#[tokio::test]
async fn a_missing_right_is_told_with_its_verb_and_resource_and_ends_when_it_is_granted() {
    let access = defined().await;
    let namespace = namespace(access).await;
    let user = format!("{namespace}-blind");
    let api = connect_with(access, &user, &[]).await;
    let (tell, mut seen) = mpsc::channel(64);
    tokio::spawn(watch_playbooks(api, PlaybookKind::ClusterPlaybook, tell, Default::default()));
    let why = next(&mut seen, |seen| match seen {
        Seen::Hidden(_, why) => Some(why.clone()),
        _ => None,
    });
    let why = why.await;
    assert!(why.contains("may not list clusterplaybooks.stoop.dev"), "{why}");
    assert!(why.contains("`stoop rbac`"), "{why}");
    let rights: Vec<Permission> =
        PlaybookKind::rights().into_iter().map(|right| right.permission).collect();
    connect_with(access, &user, &rights).await;
    next(&mut seen, |seen| matches!(seen, Seen::All(..)).then_some(())).await;
}

#[tokio::test]
async fn a_kind_that_is_not_defined_is_told_so_and_seen_once_it_is() {
    // Of its own: in the shared one the definitions come and stay.
    let cluster = testbed::cluster::Cluster::start(testbed::cluster::Size::ApiServer).await;
    let cluster = cluster.map_err(|error| error.to_string()).expect("an API server");
    let kind = PlaybookKind::Playbook;
    let (tell, mut seen) = mpsc::channel(64);
    tokio::spawn(watch_playbooks(connect(&cluster).await, kind, tell, Default::default()));
    let first = tokio::time::timeout(PATIENCE, seen.recv()).await.expect("in time");
    assert_eq!(first, Some(Seen::Undefined(kind)));
    let all = Objects::<CustomResourceDefinition>::all(client(&cluster).await);
    for (name, definition) in [
        ("responses.stoop.dev", StoredResponse::definition()),
        ("playbooks.stoop.dev", kind.definition()),
    ] {
        all.patch(name, &strictly(), &Patch::Apply(&definition)).await.expect("accepted strictly");
        served(&all, name).await;
    }
    let found = next(&mut seen, |seen| match seen {
        Seen::All(of, objects) => Some((*of, objects.len())),
        _ => None,
    });
    assert_eq!(found.await, (kind, 0));
}
