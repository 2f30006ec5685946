//! Kubernetes' own events, which `kubectl describe pod` and `kubectl events` show.
//!
//! Named by the message's key: a copy is there already. Texts are bounded as
//! <https://kubernetes.io/docs/reference/kubernetes-api/cluster-resources/event-v1/> says.
//!
//! Never with a link: whoever may view the pod's namespace reads them, and what runs in the pod can be one of those.

use std::{
    sync::{Arc, OnceLock},
    time::Duration,
};

use async_trait::async_trait;
use jiff::Timestamp;
use k8s_openapi::{
    api::{core::v1::ObjectReference, events::v1::Event},
    apimachinery::pkg::apis::meta::v1::{MicroTime, ObjectMeta},
};
use kube::api::PostParams;
use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::{Value, json};

use super::{Notification, Pace, Sink, summary};
use crate::{
    act::{
        api::{Api, Class, Permission},
        config::ConfigError,
        outcome::Failure,
    },
    decide::is_label,
};

/// The longest note, in bytes.
const NOTE: usize = 1024;

/// `kubernetesEvents: {namespace}`.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct KubernetesEventsConfig {
    /// Where what is about no verified pod goes: stoop's own, if left out.
    #[serde(default = "namespace")]
    pub namespace: String,
}

fn namespace() -> String {
    "stoop".to_owned()
}

pub(super) struct KubernetesEvents {
    namespace: String,
    api: Arc<OnceLock<Api>>,
}

impl KubernetesEvents {
    pub(super) fn new(
        config: &KubernetesEventsConfig,
        api: Arc<OnceLock<Api>>,
    ) -> Result<KubernetesEvents, ConfigError> {
        match is_label(&config.namespace) {
            true => Ok(KubernetesEvents { namespace: config.namespace.clone(), api }),
            false => Err(ConfigError::new("no namespace can be called so")
                .at("namespace")
                .help("lower case letters, digits and `-`")),
        }
    }

    fn render(&self, message: &Notification<'_>) -> Event {
        let regarding = match &message.object {
            Some((object, uid)) => ObjectReference {
                api_version: Some("v1".to_owned()),
                kind: Some(object.kind.to_owned()),
                namespace: object.namespace.clone(),
                name: Some(object.name.clone()),
                uid: Some(uid.as_str().to_owned()),
                ..ObjectReference::default()
            },
            None => ObjectReference {
                api_version: Some("v1".to_owned()),
                kind: Some("Namespace".to_owned()),
                namespace: Some(self.namespace.clone()),
                name: Some(self.namespace.clone()),
                ..ObjectReference::default()
            },
        };
        let result = message.result();
        let note = note(message);
        Event {
            metadata: ObjectMeta {
                name: Some(format!("stoop-{}", message.delivery())),
                namespace: regarding.namespace.clone(),
                ..ObjectMeta::default()
            },
            event_time: Some(MicroTime(Timestamp::now())),
            regarding: Some(regarding),
            reason: Some(reason(result).to_owned()),
            action: Some("Respond".to_owned()),
            type_: Some(if result == "answered" { "Normal" } else { "Warning" }.to_owned()),
            note: Some(note.split_at(note.floor_char_boundary(NOTE)).0.to_owned()),
            reporting_controller: Some("stoop.dev/stoop".to_owned()),
            reporting_instance: Some("stoop".to_owned()),
            ..Event::default()
        }
    }
}

/// What has to be read comes first, since the end may be cut.
fn note(message: &Notification<'_>) -> String {
    let count = match message.more.len() {
        0 => String::new(),
        more => format!("1 of {}: ", more + 1),
    };
    let about = format!(
        "{count}{}; {} on {} (playbook {}, event {})",
        message.done(),
        message.rule,
        message.about(),
        message.playbook,
        message.event_id
    );
    let lines = message.more.iter().map(|other| summary::along(other));
    let lines: Vec<_> = std::iter::once(summary::inert(&about)).chain(lines).collect();
    lines.join("; ")
}

fn reason(result: &str) -> &'static str {
    match result {
        "failed" => "ResponseFailed",
        "refused" => "ResponseRefused",
        "observed" => "ResponseObserved",
        _ => "Responded",
    }
}

#[async_trait]
impl Sink for KubernetesEvents {
    async fn send(&self, message: &Notification<'_>) -> Result<(), Failure> {
        let api = self.api.get().ok_or_else(|| {
            Failure::permanent("this worker has no cluster: set KUBECONFIG, or run it in a pod")
        })?;
        let event = self.render(message);
        let namespace = event.metadata.namespace.clone().unwrap_or_default();
        let made = api
            .call(async |client| {
                let events = kube::Api::<Event>::namespaced(client, &namespace);
                events.create(&PostParams::default(), &event).await
            })
            .await;
        match made {
            Ok(_) => Ok(()),
            Err(error) if *error.class() == Class::Conflict => Ok(()),
            Err(error) => Err(error.into()),
        }
    }

    fn preview(&self, message: &Notification<'_>) -> Value {
        json!(self.render(message))
    }

    /// They are objects of the cluster, kept for an hour.
    fn pace(&self) -> Option<Pace> {
        Some(Pace::apart(Duration::from_secs(1)))
    }

    fn permissions(&self) -> Vec<Permission> {
        vec![Permission::new("events.k8s.io", "events", "create")]
    }
}
