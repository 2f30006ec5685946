//! Playbooks applied to a cluster: in force without a restart, each as it is written, and none beyond its namespace.

use k8s_openapi::{
    api::rbac::v1::PolicyRule,
    apiextensions_apiserver::pkg::apis::apiextensions::v1::CustomResourceDefinition,
};
use kube::{
    Api, ResourceExt as _,
    api::{ApiResource, DeleteParams, DynamicObject, GroupVersionKind, Patch, PatchParams},
};
use serde_json::{Value, json};
use testbed::{
    cluster::{Access, Cluster, Size},
    kafka::Kafka,
};
use tokio::sync::Mutex;

use crate::{
    promise::RULE,
    topic::Topic,
    worker::{Desk, PATIENCE, Worker},
};

/// Held by each test on the shared cluster: a worker tells of all objects there, those of another test's too.
static ALONE: Mutex<()> = Mutex::const_new(());

/// A cluster with the definitions that `stoop crds` prints of playbooks: that of Responses would bind every other test's
/// worker to write some.
async fn defined(desk: &Desk, cluster: &Access) {
    let all = Api::<CustomResourceDefinition>::all(cluster.client().await.unwrap());
    let printed = desk.must(&["crds"]).await;
    for definition in serde_saphyr::from_multiple::<Value>(&printed).unwrap() {
        let name = definition["metadata"]["name"].as_str().unwrap();
        if !name.contains("playbooks") {
            continue;
        }
        let params = PatchParams::apply("test").force();
        all.patch(name, &params, &Patch::Apply(&definition)).await.unwrap();
    }
}

/// The objects of a namespace, or those without.
async fn objects(cluster: &Access, namespace: Option<&str>) -> Api<DynamicObject> {
    let client = cluster.client().await.unwrap();
    let of = |kind| ApiResource::from_gvk(&GroupVersionKind::gvk("stoop.dev", "v1alpha1", kind));
    match namespace {
        Some(namespace) => Api::namespaced_with(client, namespace, &of("Playbook")),
        None => Api::all_with(client, &of("ClusterPlaybook")),
    }
}

async fn apply(objects: &Api<DynamicObject>, name: &str, spec: Value) -> DynamicObject {
    let kind = match objects.resource_url().contains("clusterplaybooks") {
        true => "ClusterPlaybook",
        false => "Playbook",
    };
    let object = json!({
        "apiVersion": "stoop.dev/v1alpha1", "kind": kind, "metadata": {"name": name}, "spec": spec,
    });
    let params = PatchParams::apply("test").force();
    let applied = testbed::until("it is taken", PATIENCE, async || {
        // A definition is established a moment before its objects are taken.
        let taken = objects.patch(name, &params, &Patch::Apply(&object)).await;
        taken.map_err(|error| error.to_string())
    });
    applied.await.unwrap()
}

fn deleting() -> Value {
    json!({
        "mode": "enforce", "match": {"rules": [RULE]},
        "actions": [{"delete": {"gracePeriod": "1s", "owners": ["Standalone"]}}],
    })
}

/// Waits until a condition of the object's present generation is this, and gives its message.
async fn told(
    worker: &Worker,
    objects: &Api<DynamicObject>,
    name: &str,
    (what, wanted): (&str, &str),
) -> String {
    let look = async || {
        let object = objects.get(name).await.map_err(|error| error.to_string())?;
        let status = &object.data["status"];
        let conditions = status["conditions"].as_array().cloned().unwrap_or_default();
        let found = conditions.iter().find(|it| it["type"] == what && it["status"] == wanted);
        let is_current = status["observedGeneration"] == json!(object.metadata.generation);
        let found = found.filter(|_| is_current).ok_or_else(|| status.to_string())?;
        Ok(found["message"].as_str().unwrap_or_default().to_owned())
    };
    worker.wait(&format!("{name} is {what}: {wanted}"), look).await
}

/// A pod whose container nobody has had before.
async fn pod(cluster: &Access, namespace: &str, name: &str) -> String {
    let id = format!("containerd://{:064x}", fastrand::u128(..));
    cluster.create_pod_with_status(namespace, name, &[&id]).await.unwrap().uid().unwrap()
}

async fn tell(desk: &Desk, namespace: &str, name: &str) {
    let target = format!("{namespace}/{name}");
    desk.must(&["event", "--rule", RULE, "--pod", &target, "--to", "falco"]).await;
}

fn config(topic: &Topic) -> String {
    format!("{}playbookObjects: true\n", topic.subscription())
}

#[tokio::test]
async fn a_playbook_is_in_force_once_it_is_applied_stays_so_when_it_is_spoilt_and_ends_with_its_object()
 {
    let _alone = ALONE.lock().await;
    let (kafka, cluster) = (Kafka::shared().await.unwrap(), Cluster::shared().await.unwrap());
    let (ours, theirs) = (
        cluster.create_namespace("objects").await.unwrap(),
        cluster.create_namespace("others").await.unwrap(),
    );
    let topic = Topic::new(kafka.bootstrap(), "objects");
    let desk = Desk::new(cluster.kubeconfig(), &config(&topic), &[]);
    desk.must(&["setup"]).await;
    defined(&desk, cluster).await;
    let worker = desk.run().await;

    let objects = objects(cluster, Some(&ours)).await;
    apply(&objects, "shell", deleting()).await;
    told(&worker, &objects, "shell", ("Ready", "True")).await;
    told(&worker, &objects, "shell", ("Authorized", "True")).await;
    let (first, foreign) = (pod(cluster, &ours, "web").await, pod(cluster, &theirs, "web").await);
    tell(&desk, &theirs, "web").await;
    tell(&desk, &ours, "web").await;
    cluster.pod_gone(&ours, "web", &first).await.unwrap();
    topic.all_committed(&worker).await;

    let mut spoilt = deleting();
    spoilt["limits"] = json!({"budgt": "1 per 1h"});
    apply(&objects, "shell", spoilt).await;
    let why = told(&worker, &objects, "shell", ("Ready", "False")).await;
    assert!(why.contains("spec.limits.budgt: unknown"), "{why}");
    assert!(why.contains("did you mean `budget`?"), "{why}");
    let second = pod(cluster, &ours, "web").await;
    tell(&desk, &ours, "web").await;
    cluster.pod_gone(&ours, "web", &second).await.unwrap();

    objects.delete("shell", &DeleteParams::default()).await.unwrap();
    // Seen after it, and in force no earlier.
    apply(&objects, "next", json!({"match": {"rules": ["None"]}, "actions": [{"delete": {}}]}))
        .await;
    told(&worker, &objects, "next", ("Ready", "True")).await;
    let third = pod(cluster, &ours, "web").await;
    tell(&desk, &ours, "web").await;
    topic.all_committed(&worker).await;
    for (namespace, uid) in [(&ours, third), (&theirs, foreign)] {
        let alive = cluster.running_pods(namespace, "web", 1).await.unwrap().remove(0);
        assert_eq!(alive.uid(), Some(uid), "{namespace}");
    }
    let audit = worker.audit();
    let by: Vec<_> = audit.iter().map(|line| line["playbook"].clone()).collect();
    assert_eq!(by, vec![json!(format!("{ours}/shell")); 2], "{audit:?}");
    assert_eq!(worker.terminate().await, 0);
}

#[tokio::test]
async fn before_the_kinds_are_defined_nothing_is_taken_in_and_it_goes_on_by_itself_once_they_are() {
    let kafka = Kafka::shared().await.unwrap();
    let cluster = Cluster::start(Size::ApiServer).await.unwrap();
    let topic = Topic::new(kafka.bootstrap(), "undefined");
    let desk = Desk::new(cluster.kubeconfig(), &config(&topic), &[]);
    desk.must(&["setup"]).await;
    topic.publish(b"{\"rule\": \"R\"}").await;
    let worker = desk.start();
    worker
        .wait("it says what is missing", async || match worker.get("/readyz").await {
            Ok((503, text)) if text.contains("the cluster has no such kind") => Ok(()),
            other => Err(format!("{other:?}")),
        })
        .await;
    assert_eq!(topic.progress().await, (1, 0), "what nobody could judge was acknowledged");
    defined(&desk, &cluster).await;
    worker.ready().await;
    topic.all_committed(&worker).await;
    assert_eq!(worker.terminate().await, 0);
}

#[tokio::test]
async fn a_right_that_is_missing_is_named_until_it_is_granted() {
    let _alone = ALONE.lock().await;
    let (kafka, cluster) = (Kafka::shared().await.unwrap(), Cluster::shared().await.unwrap());
    let namespace = cluster.create_namespace("rights").await.unwrap();
    let topic = Topic::new(kafka.bootstrap(), "rights");
    let mut desk = Desk::new(cluster.kubeconfig(), &config(&topic), &[]);
    desk.must(&["setup"]).await;
    defined(&desk, cluster).await;
    let rule = |group: &str, resources: &[&str], verbs: &[&str]| {
        let texts = |texts: &[&str]| texts.iter().map(ToString::to_string).collect::<Vec<_>>();
        PolicyRule {
            api_groups: Some(vec![group.to_owned()]),
            resources: Some(texts(resources)),
            verbs: texts(verbs),
            ..PolicyRule::default()
        }
    };
    let status = ["playbooks/status", "clusterplaybooks/status"];
    let mut rules = vec![
        rule("stoop.dev", &["playbooks", "clusterplaybooks"], &["list", "watch"]),
        rule("stoop.dev", &status, &["patch"]),
        rule(
            "stoop.dev",
            &["responses", "responses/status"],
            &["get", "list", "create", "update", "delete"],
        ),
        rule("", &["pods"], &["get", "list"]),
        rule("", &["namespaces"], &["get"]),
    ];
    let user = format!("{namespace}-worker");
    desk.act_as(cluster.kubeconfig_for(&user, &rules).await.unwrap());
    let worker = desk.run().await;
    let objects = objects(cluster, Some(&namespace)).await;
    apply(&objects, "shell", deleting()).await;
    let missing = told(&worker, &objects, "shell", ("Authorized", "False")).await;
    assert!(missing.contains(&format!("may not: delete pods in {namespace};")), "{missing}");
    told(&worker, &objects, "shell", ("Ready", "True")).await;
    rules.push(rule("", &["pods"], &["delete"]));
    cluster.kubeconfig_for(&user, &rules).await.unwrap();
    told(&worker, &objects, "shell", ("Authorized", "True")).await;
    assert_eq!(worker.terminate().await, 0);
}

#[tokio::test]
async fn without_the_right_to_see_them_nothing_is_taken_in_and_readyz_says_which_it_is() {
    let _alone = ALONE.lock().await;
    let (kafka, cluster) = (Kafka::shared().await.unwrap(), Cluster::shared().await.unwrap());
    let topic = Topic::new(kafka.bootstrap(), "unseen");
    let mut desk = Desk::new(cluster.kubeconfig(), &config(&topic), &[]);
    desk.must(&["setup"]).await;
    defined(&desk, cluster).await;
    desk.act_as(cluster.kubeconfig_for(topic.name(), &[]).await.unwrap());
    let worker = desk.start();
    let why =
        "may not list clusterplaybooks.stoop.dev in the whole cluster: grant it (`stoop rbac`";
    worker
        .wait("it says what is missing", async || match worker.get("/readyz").await {
            Ok((503, text)) if text.contains(why) => Ok(()),
            other => Err(format!("{other:?}")),
        })
        .await;
    worker.says(why).await;
    topic.publish(b"{\"rule\": \"R\"}").await;
    assert_eq!(worker.terminate().await, 0);
    assert_eq!(topic.progress().await.1, 0, "what nobody could judge was acknowledged");
}

#[tokio::test]
async fn two_workers_tell_the_same_once_and_rest() {
    let _alone = ALONE.lock().await;
    let (kafka, cluster) = (Kafka::shared().await.unwrap(), Cluster::shared().await.unwrap());
    let namespace = cluster.create_namespace("twice").await.unwrap();
    let topic = Topic::new(kafka.bootstrap(), "twice");
    let desks = [(); 2].map(|()| Desk::new(cluster.kubeconfig(), &config(&topic), &[]));
    desks[0].must(&["setup"]).await;
    defined(&desks[0], cluster).await;
    let [first, second] = [desks[0].run().await, desks[1].run().await];
    let objects = objects(cluster, Some(&namespace)).await;
    apply(&objects, "a", deleting()).await;
    told(&first, &objects, "a", ("Authorized", "True")).await;
    let version = async || objects.get("a").await.unwrap().resource_version();
    let before = version().await;
    // Both look at all of them each time: as often as it takes to tell of three more, they have looked at the first.
    for name in ["b", "c", "d"] {
        apply(&objects, name, deleting()).await;
        told(&second, &objects, name, ("Authorized", "True")).await;
    }
    assert_eq!(version().await, before, "it was written again");
    for worker in [first, second] {
        assert_eq!(worker.terminate().await, 0);
    }
}
