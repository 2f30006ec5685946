//! What Falco would say now about a live pod: for trying playbooks out without an attack.

use std::collections::BTreeMap;

use jiff::Timestamp;
use k8s_openapi::api::core::v1::{ContainerStatus, Pod};
use serde_json::{Map, Value, json};

use super::{api::Api, outcome::Failure};
use crate::decide::Priority;

/// What is made up; everything about the pod is real.
#[derive(Debug, Clone)]
pub struct Scene {
    /// The rule's name.
    pub rule: String,
    /// How severe it is.
    pub priority: Priority,
    /// Which container; the pod's first without it.
    pub container: Option<String>,
    /// Output fields beside those about the pod; they come last, and win.
    pub fields: BTreeMap<String, String>,
}

impl Api {
    /// The event, as Falcosidekick would publish it: the pod's real uid, container id, image and node, and the time of now.
    ///
    /// # Errors
    /// There is no such pod or container, or it can't be read.
    pub async fn testify(
        &self,
        namespace: &str,
        name: &str,
        scene: &Scene,
    ) -> Result<Value, Failure> {
        let pod = self.pod(namespace, name).await.map_err(Failure::from)?;
        let pod = pod.ok_or_else(|| {
            Failure::permanent(format!(
                "there is no pod {namespace}/{name}: `kubectl get pods -A` lists them"
            ))
        })?;
        event(&pod, scene, Timestamp::now())
    }
}

fn event(pod: &Pod, scene: &Scene, now: Timestamp) -> Result<Value, Failure> {
    let statuses = pod.status.as_ref().and_then(|status| status.container_statuses.as_deref());
    let container = container(statuses.unwrap_or_default(), scene.container.as_deref())?;
    let node = pod.spec.as_ref().and_then(|spec| spec.node_name.as_deref());
    let mut fields = Map::new();
    let mut set = |key: &str, value: Option<&str>| {
        if let Some(value) = value {
            fields.insert(key.to_owned(), json!(value));
        }
    };
    if let Some(container) = container {
        let (repository, tag) = image(&container.image);
        set("container.id", container.container_id.as_deref().map(short_id));
        set("container.name", Some(&container.name));
        set("container.image.repository", Some(repository));
        set("container.image.tag", tag);
    }
    set("k8s.ns.name", pod.metadata.namespace.as_deref());
    set("k8s.pod.name", pod.metadata.name.as_deref());
    set("k8s.pod.uid", pod.metadata.uid.as_deref());
    set("proc.name", Some("sh"));
    set("proc.cmdline", Some("sh"));
    set("user.name", Some("root"));
    for (key, value) in &scene.fields {
        set(key, Some(value));
    }
    fields.insert(
        "evt.time".to_owned(),
        json!(i64::try_from(now.as_nanosecond()).unwrap_or(i64::MAX)),
    );
    let mut event = json!({
        "output": format!("{now}: {} {} (sent by stoop event)", scene.priority.as_str(), scene.rule),
        "priority": scene.priority.as_str(),
        "rule": scene.rule,
        "time": now.to_string(),
        "output_fields": fields,
        "source": "syscall",
        "tags": ["stoop-event"],
        "hostname": node,
    });
    if let (None, Some(event)) = (node, event.as_object_mut()) {
        event.remove("hostname");
    }
    Ok(event)
}

fn container<'a>(
    statuses: &'a [ContainerStatus],
    wanted: Option<&str>,
) -> Result<Option<&'a ContainerStatus>, Failure> {
    let Some(wanted) = wanted else { return Ok(statuses.first()) };
    let found = statuses.iter().find(|status| status.name == wanted);
    found.map(Some).ok_or_else(|| {
        let known: Vec<_> = statuses.iter().map(|status| status.name.as_str()).collect();
        Failure::permanent(format!(
            "no container `{wanted}` has a status; known: {}",
            known.join(", ")
        ))
    })
}

/// Falco's form: the first 12 characters after the runtime's scheme.
fn short_id(id: &str) -> &str {
    let id = id.split_once("://").map_or(id, |(_, id)| id);
    id.get(..12).unwrap_or(id)
}

fn image(image: &str) -> (&str, Option<&str>) {
    let name = image.split_once('@').map_or(image, |(name, _)| name);
    match name.rsplit_once(':') {
        // A colon before the last slash is a registry's port.
        Some((repository, tag)) if !tag.contains('/') => (repository, Some(tag)),
        _ => (name, None),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::decide::Event;

    fn scene(container: Option<&str>) -> Scene {
        Scene {
            rule: "Terminal shell in container".into(),
            priority: Priority::Notice,
            container: container.map(Into::into),
            fields: BTreeMap::from([("proc.cmdline".into(), "sh -i".into())]),
        }
    }

    fn pod() -> Pod {
        serde_json::from_value(json!({
            "metadata": {"namespace": "shop", "name": "web", "uid": "0b8e1c1e-0000-4000-8000-000000000001"},
            "spec": {"nodeName": "node-a", "containers": []},
            "status": {"containerStatuses": [{
                "name": "app", "image": "registry.local:5000/shop/web:1.2@sha256:00", "imageID": "x", "ready": true, "restartCount": 0,
                "containerID": format!("containerd://{}", "6ac7d190134e".repeat(5)),
            }]},
        }))
        .unwrap()
    }

    #[test]
    fn the_event_is_one_that_claims_this_very_pod() {
        let bytes =
            serde_json::to_vec(&event(&pod(), &scene(None), Timestamp::UNIX_EPOCH).unwrap())
                .unwrap();
        let event = Event::decode(&bytes).unwrap();
        let claim = event.claim().unwrap();
        assert_eq!(claim.pod.as_deref(), Some("web"));
        assert_eq!(claim.namespace.as_deref(), Some("shop"));
        assert_eq!(claim.pod_uid.as_deref(), Some("0b8e1c1e-0000-4000-8000-000000000001"));
        assert_eq!(claim.container_id.as_deref(), Some("6ac7d190134e"));
        assert_eq!(claim.node.as_deref(), Some("node-a"));
        let fields = event.fields().unwrap();
        assert_eq!(
            fields.text("container.image.repository").as_deref(),
            Some("registry.local:5000/shop/web")
        );
        assert_eq!(fields.text("container.image.tag").as_deref(), Some("1.2"));
        assert_eq!(fields.text("proc.cmdline").as_deref(), Some("sh -i"));
    }

    #[test]
    fn a_container_that_is_not_there_is_refused_with_those_that_are() {
        let error = event(&pod(), &scene(Some("sidecar")), Timestamp::UNIX_EPOCH).unwrap_err();
        assert!(error.why.contains("known: app"), "{error}");
    }
}
