//! The chart's objects on a real API server, in a namespace that enforces the restricted Pod Security profile.

use std::{path::Path, time::Duration};

use kube::{
    Api, Client,
    api::{DynamicObject, ListParams, Patch, PatchParams, PostParams},
    core::{ApiResource, GroupVersionKind},
};
use serde_json::{Value, json};
use testbed::{
    cluster::{Access, Cluster, definitions},
    until,
};

use crate::chart::{NAMESPACE, VALUES, Worker, documents, folder, helm, of_kind, rendered, values};

/// The kinds of KEDA and of the Prometheus operator, as their projects define them.
const FOREIGN: [&str; 3] = [
    "keda.sh_scaledobjects.yaml",
    "monitoring.coreos.com_prometheusrules.yaml",
    "monitoring.coreos.com_servicemonitors.yaml",
];

async fn cluster() -> (&'static Access, Client) {
    let access = Cluster::shared_api_server().await.expect("a cluster");
    let client = access.client().await.expect("a client");
    let restricted = json!({
        "apiVersion": "v1", "kind": "Namespace",
        "metadata": {"name": NAMESPACE, "labels": {"pod-security.kubernetes.io/enforce": "restricted"}},
    });
    apply(&client, &restricted).await;
    (access, client)
}

pub(crate) fn api(client: &Client, object: &Value) -> Api<DynamicObject> {
    let text = |key: &str| object[key].as_str().expect(key);
    let (group, version) = text("apiVersion").rsplit_once('/').unwrap_or(("", text("apiVersion")));
    let kind = GroupVersionKind::gvk(group, version, text("kind"));
    let plural = match text("kind") {
        "NetworkPolicy" => "networkpolicies".to_owned(),
        kind => format!("{}s", kind.to_lowercase()),
    };
    let resource = ApiResource::from_gvk_with_plural(&kind, &plural);
    match object["metadata"]["namespace"].as_str() {
        Some(namespace) => Api::namespaced_with(client.clone(), namespace, &resource),
        None => Api::all_with(client.clone(), &resource),
    }
}

/// As `kubectl apply --server-side` with strict validation.
pub(crate) async fn apply(client: &Client, object: &Value) {
    let name = object["metadata"]["name"].as_str().expect("a name");
    let params = PatchParams {
        field_validation: Some(kube::api::ValidationDirective::Strict),
        ..PatchParams::apply("helm").force()
    };
    let applied = api(client, object).patch(name, &params, &Patch::Apply(object)).await;
    applied.unwrap_or_else(|error| panic!("{object}: {error}"));
}

/// Has the cluster serve these kinds too.
async fn define(client: &Client) {
    let folder = tokio::task::spawn_blocking(definitions).await.expect("no panic");
    let folder = folder.expect("the definitions");
    for file in FOREIGN {
        let text = std::fs::read_to_string(folder.join(file)).expect(file);
        for definition in documents(&text) {
            apply(client, &definition).await;
            let name = definition["metadata"]["name"].as_str().expect("a name");
            let (definitions, spec) = (api(client, &definition), &definition["spec"]);
            let text = |value: &Value| value.as_str().expect("text").to_owned();
            let version =
                format!("{}/{}", text(&spec["group"]), text(&spec["versions"][0]["name"]));
            let one = json!({"apiVersion": version, "kind": spec["names"]["kind"], "metadata": {}});
            let served = until("the kind is served", Duration::from_secs(30), async || {
                let found = definitions.get(name).await.map_err(|error| error.to_string())?;
                let conditions = found.data["status"]["conditions"].as_array().cloned();
                let is_served = |it: &Value| it["type"] == "Established" && it["status"] == "True";
                let conditions = conditions.unwrap_or_default();
                conditions.iter().any(is_served).then_some(()).ok_or(format!("{conditions:?}"))?;
                // A large one is established a moment before it answers.
                let asked = api(client, &one).list(&ListParams::default().limit(1)).await;
                asked.map(drop).map_err(|error| error.to_string())
            });
            served.await.expect(name);
        }
    }
}

#[tokio::test]
async fn every_object_is_taken_and_every_pod_is_admitted_under_the_restricted_profile() {
    let (_, client) = cluster().await;
    define(&client).await;
    let mut foreign = 0;
    for name in VALUES {
        let objects = rendered(&values(name));
        for object in &objects {
            let kinds = ["ScaledObject", "ServiceMonitor", "PrometheusRule"];
            foreign += usize::from(kinds.iter().any(|kind| object["kind"] == *kind));
            // A role's place has to be there, as Helm says too.
            if let Some(namespace) = object["metadata"]["namespace"].as_str() {
                ensure(&client, namespace).await;
            }
            apply(&client, object).await;
        }
        let workload =
            objects.iter().find(|it| it["spec"]["template"].is_object()).expect("a workload");
        let template = &workload["spec"]["template"];
        let mut template = template.clone();
        // As the controller does for a StatefulSet.
        for claim in workload["spec"]["volumeClaimTemplates"].as_array().into_iter().flatten() {
            let name = &claim["metadata"]["name"];
            let volume = json!({"name": name, "persistentVolumeClaim": {"claimName": name}});
            template["spec"]["volumes"].as_array_mut().expect("volumes").push(volume);
        }
        let created = create_pod(&client, name, &template).await;
        created.unwrap_or_else(|error| panic!("{name}: {error}"));
    }
    assert_eq!(foreign, 3, "each of their kinds was applied");
}

#[tokio::test]
async fn the_profile_would_refuse_a_pod_that_is_not_what_it_should_be() {
    let (_, client) = cluster().await;
    let objects = rendered(&values("kafka"));
    for object in objects.iter().filter(|it| it["kind"] == "ServiceAccount") {
        apply(&client, object).await;
    }
    let mut template = of_kind(&objects, "Deployment")["spec"]["template"].clone();
    template["spec"]["securityContext"]["runAsNonRoot"] = json!(false);
    let error = create_pod(&client, "root", &template).await.expect_err("it is no such pod");
    assert!(error.to_string().contains("violates PodSecurity"), "{error}");
}

#[tokio::test]
async fn helm_installs_it_and_says_how_to_publish_safely_and_whom_falco_is_to_except() {
    let (access, _) = cluster().await;
    let kubeconfig = access.kubeconfig().to_string_lossy().into_owned();
    let installed = |name: &'static str| {
        let flags = ["--create-namespace", "--kubeconfig", &kubeconfig];
        let scratch = tempfile::tempdir().expect("a folder");
        let file = scratch.path().join("values.yaml");
        // The namespace of captures is another test's.
        let values = values(name).replace("stoop-captures", "captures-of-helm");
        std::fs::write(&file, values).expect("a file");
        let (folder, file) = (folder(), file.to_string_lossy().into_owned());
        let (chart, namespace) = (folder.to_string_lossy(), format!("of-helm-{name}"));
        let ran = helm(
            &[&["install", "stoop", &chart, "-n", &namespace, "-f", &file], &flags[..]].concat(),
        );
        assert!(ran.ok, "{}", ran.err);
        ran.out
    };
    let kafka = installed("kafka");
    assert!(kafka.contains(r#"hostport: "kafka-0.kafka:9093,kafka-1.kafka:9093""#), "{kafka}");
    assert!(kafka.contains("requiredacks: ALL"), "{kafka}");
    assert!(!kafka.contains("exceptions"), "{kafka}");
    let pubsub = installed("pubsub");
    assert!(pubsub.contains(r#"projectid: "acme""#), "{pubsub}");
    let nats = installed("nats");
    assert!(nats.contains(r#"hostport: "nats://nats:4222""#), "{nats}");
    let everything = installed("everything");
    let excepted = r#"values: [["registry.example:5000/capture", "captures-of-helm"]]"#;
    assert!(everything.contains(excepted), "{everything}");
    assert!(everything.contains("http://falcon.of-helm-everything:2805/"), "{everything}");
}

/// What a controller would make; a dry run that goes through all of admission.
async fn create_pod(client: &Client, name: &str, template: &Value) -> Result<(), kube::Error> {
    let mut pod = template.clone();
    pod["apiVersion"] = json!("v1");
    pod["kind"] = json!("Pod");
    pod["metadata"]["name"] = json!(format!("of-{name}"));
    pod["metadata"]["namespace"] = json!(NAMESPACE);
    // Of a priority class that isn't there.
    pod["spec"].as_object_mut().expect("a spec").remove("priorityClassName");
    let object: DynamicObject = serde_json::from_value(pod.clone()).expect("an object");
    let params = PostParams { dry_run: true, ..PostParams::default() };
    api(client, &pod).create(&params, &object).await.map(drop)
}

async fn ensure(client: &Client, namespace: &str) {
    if namespace != NAMESPACE {
        apply(
            client,
            &json!({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": namespace}}),
        )
        .await;
    }
}

#[tokio::test]
async fn the_charts_own_account_may_do_all_that_its_worker_asks_for() {
    let (access, client) = cluster().await;
    let definitions =
        std::fs::read_to_string(folder().join("crds/stoop.yaml")).expect("definitions");
    for definition in documents(&definitions) {
        apply(&client, &definition).await;
    }
    let objects =
        rendered(&values("nats").replace("label: {spec: {", "label: {spec: {mode: enforce, "));
    for object in &objects {
        apply(&client, object).await;
    }
    let kubeconfig = access.kubeconfig_of(NAMESPACE, "stoop").await.expect("a token");
    let checked = check(&objects, &kubeconfig);
    assert!(checked.0, "{}", checked.1);
    // Without its binding it may not, or this would prove nothing.
    let binding = of_kind(&objects, "ClusterRoleBinding");
    let name = binding["metadata"]["name"].as_str().expect("a name");
    api(&client, binding).delete(name, &Default::default()).await.expect("deleted");
    let checked = check(&objects, &kubeconfig);
    assert!(!checked.0 && checked.1.contains("pods"), "{}", checked.1);
}

fn check(objects: &[Value], kubeconfig: &Path) -> (bool, String) {
    let worker = Worker::of(objects);
    let mut command = worker.command(&["check", "--cluster"]);
    let ran = command.env("KUBECONFIG", kubeconfig).output().expect("it starts");
    (
        ran.status.success(),
        format!("{}{}", String::from_utf8_lossy(&ran.stdout), String::from_utf8_lossy(&ran.stderr)),
    )
}
