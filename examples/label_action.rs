//! An action from outside: `label` marks the verified pod, without a change to any crate of stoop.
//!
//! `cargo run --example label_action` runs a worker's engine with it against the demo's in-memory Kubernetes API, twice: for the
//! pod that the event is about, and for a successor that only has its name.

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use async_trait::async_trait;
use k8s_openapi::api::core::v1::Pod;
use kube::{
    api::{Api as Pods, DeleteParams, Patch, PatchParams},
    core::Status,
};
use playbooks::{
    act::{
        Action, Advance, Api, Class, ClusterPolicy, ConfigError, Context, Engine, EngineParts,
        GuardrailOptions, Guardrails, Notifiers, Occurrence, Outcome, Permission, Registry,
        Resources, Response, Scene, SkipReason, Standing, Subject, read_config,
    },
    decide::{Event, Mode, Priority, read_text},
};
use serde::Deserialize;
use serde_json::{Value, json};
use stoop::demo::kubernetes::Server;
use tokio_util::sync::CancellationToken;

/// `- label: {key: quarantine, value: "yes"}`
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Label {
    key: String,
    value: String,
}

#[async_trait]
impl Action for Label {
    fn name(&self) -> &'static str {
        "label"
    }

    fn describe(&self) -> String {
        format!("label the pod {}={}", self.key, self.value)
    }

    fn needs_target(&self) -> bool {
        true
    }

    fn changes_cluster(&self) -> bool {
        true
    }

    fn permissions(&self) -> Vec<Permission> {
        vec![Permission::new("", "pods", "patch")]
    }

    async fn apply(&self, cx: &Context<'_>, subject: Subject<'_>) -> Outcome {
        let Subject::Target(target) = subject else {
            return Outcome::Skipped(SkipReason::Gone, "there is no pod to label".into());
        };
        let api = match cx.api() {
            Ok(api) => api,
            Err(failure) => return failure.into(),
        };
        // The uid in the patch makes the API server refuse a successor of the same name.
        let patch =
            json!({"metadata": {"uid": target.uid().as_str(), "labels": {&self.key: self.value}}});
        let (namespace, name) = (target.namespace(), target.name());
        let patched = api.call(|client| async move {
            let pods = Pods::<Pod>::namespaced(client, namespace);
            pods.patch(name, &PatchParams::default(), &Patch::Merge(patch)).await
        });
        match patched.await {
            Ok(_) => Outcome::Applied(format!("labelled {}={}", self.key, self.value)),
            Err(error) if matches!(error.class(), Class::NotFound) => {
                Outcome::Skipped(SkipReason::Gone, "the pod is gone".into())
            }
            Err(error) => Outcome::Failed(error.into()),
        }
    }
}

fn configure(config: &Value) -> Result<Arc<dyn Action>, ConfigError> {
    Ok(Arc::new(read_config::<Label>(config)?))
}

const PLAYBOOK: &str = r#"
apiVersion: stoop.dev/v1alpha1
kind: Playbook
metadata: {name: mark-shells}
spec:
  mode: enforce
  match: {rules: ["Terminal shell in container"]}
  actions:
    - label: {key: quarantine, value: "yes"}
"#;

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let Answers { permissions, pod, successor } = run().await?;
    println!("it takes: {permissions}");
    println!("the pod of the event:         {pod}");
    println!("a successor of the same name: {successor}");
    Ok(())
}

/// What came of it.
struct Answers {
    permissions: String,
    pod: String,
    successor: String,
}

async fn run() -> Result<Answers, Box<dyn std::error::Error>> {
    if rustls::crypto::ring::default_provider().install_default().is_err() {
        unreachable!("nothing else installs a provider");
    }
    let server = Server::start().await?;
    let api = Api::from_config(server.config(), Duration::from_secs(5))?;
    let registry = Registry::standard().with("label", |config, _| configure(config));
    let playbook = read_text("mark-shells.yaml", PLAYBOOK)?.remove(0);
    let plan = Arc::new(registry.bind(&playbook, &Resources::default())?);
    let engine = Engine::new(EngineParts {
        api: Some(api.clone()),
        cluster: ClusterPolicy::default(),
        guardrails: Guardrails::new(GuardrailOptions::default())?,
        notifiers: Arc::new(Notifiers::default()),
        mode_cap: Mode::Enforce,
        action_timeout: Duration::from_secs(5),
    });
    let permissions = plan.permissions().iter().map(ToString::to_string).collect::<Vec<_>>();

    let created = server
        .create(json!({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "shop"}}));
    created.map_err(|status| status.message)?;
    create(&server).map_err(|status| status.message)?;
    let scene = Scene {
        rule: "Terminal shell in container".into(),
        priority: Priority::Notice,
        container: None,
        fields: BTreeMap::new(),
    };
    let payload = serde_json::to_vec(&api.testify("shop", "web-0", &scene).await?)?;
    let pod = answer(&engine, &plan, &payload).await?;

    let deleted = api.call(|client| async move {
        let pods = Pods::<Pod>::namespaced(client, "shop");
        pods.delete("web-0", &DeleteParams::default()).await
    });
    deleted.await?;
    create(&server).map_err(|status| status.message)?;
    let successor = answer(&engine, &plan, &payload).await?;
    Ok(Answers { permissions: permissions.join(", "), pod, successor })
}

/// A pod that no scheduler takes, so that it is gone at once when it is deleted.
fn create(server: &Server) -> Result<Value, Box<Status>> {
    server.create(json!({
        "apiVersion": "v1", "kind": "Pod", "metadata": {"namespace": "shop", "name": "web-0"},
        "spec": {"schedulerName": "none", "containers": [{"name": "app", "image": "app"}]},
    }))
}

/// What the worker does with an event, without the broker.
async fn answer(
    engine: &Engine,
    plan: &Arc<playbooks::act::Plan>,
    payload: &[u8],
) -> Result<String, Box<dyn std::error::Error>> {
    let event = Event::decode(payload)?;
    let occurrence =
        Arc::new(Occurrence::new(&event, event.id(None)?, None, payload.to_vec().into(), None)?);
    let verified = engine.verify(&event.claim()?, &occurrence, plan.needs()).await?;
    let standing = Standing::of(verified).ok_or("another cluster's event")?;
    let mut response = Response::new(plan.clone(), standing, occurrence);
    Ok(match engine.advance(&mut response, &CancellationToken::new()).await {
        Advance::Finished(report) => report.overall.to_string(),
        Advance::Retry(failure) => format!("to be tried again: {failure}"),
        Advance::Lost => "lost".to_owned(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn the_pod_of_the_event_is_labelled_and_its_successor_is_not() {
        let Answers { permissions, pod, successor } = run().await.expect("it runs");
        assert!(permissions.contains("patch pods"), "{permissions}");
        assert_eq!(pod, "applied: labelled quarantine=yes");
        assert!(successor.starts_with("skipped (gone)"), "{successor}");
    }
}
