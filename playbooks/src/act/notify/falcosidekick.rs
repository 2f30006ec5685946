//! Falcosidekick: the outcome as an event of Falco's, for all of its outputs.
//!
//! Its source is `stoop`, which no playbook ever matches, so that one that comes back by a broker is passed over. Falcosidekick
//! takes what has a rule, a priority, a time and at least one output field, and hands the texts on to chats and pages as they
//! are: <https://github.com/falcosecurity/falcosidekick/blob/master/handlers.go>. It drops no copies: what comes at once
//! becomes one event.

#![allow(
    clippy::indexing_slicing,
    reason = "a `Value` that is indexed by name gives null, or takes it: all of these are objects"
)]

use std::{collections::BTreeMap, time::Duration};

use async_trait::async_trait;
use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::{Value, json};
use settings::Secret;

use super::{
    Notification, Pace, Sink,
    http::{self, Endpoint},
    summary::{self, inert},
};
use crate::{
    act::{config::ConfigError, outcome::Failure},
    decide::OWN_SOURCE,
};

/// `falcosidekick: {url, headers}`.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct FalcosidekickConfig {
    /// Its address, such as `http://falcosidekick.falco:2801/`.
    pub url: Secret,
    /// Headers to send along, where a proxy in front of it wants some.
    #[serde(default)]
    pub headers: BTreeMap<String, Secret>,
}

#[derive(Debug)]
pub(super) struct Falcosidekick(Endpoint);

impl Falcosidekick {
    pub(super) fn new(
        config: &FalcosidekickConfig,
        timeout: Duration,
    ) -> Result<Falcosidekick, ConfigError> {
        let headers = http::headers(&config.headers)?;
        Ok(Falcosidekick(Endpoint::new(&config.url, "", headers, timeout)?))
    }
}

fn render(message: &Notification<'_>) -> Value {
    let mut fields = json!({
        "stoop.key": message.key,
        "stoop.event_id": message.event_id,
        "stoop.playbook": message.playbook,
        "stoop.mode": message.mode,
        "stoop.result": message.result(),
        "stoop.steps": inert(&message.done()),
        "falco.rule": inert(&message.rule),
        "falco.priority": message.priority,
        "falco.output": inert(&message.output),
    });
    // What an event only claims is not passed on as a pod's name.
    if let Some((object, _)) = &message.object
        && let Some(namespace) = &object.namespace
    {
        fields["k8s.ns.name"] = json!(namespace);
        fields["k8s.pod.name"] = json!(object.name);
    }
    if let Some(cluster) = &message.cluster {
        fields["static.cluster"] = json!(inert(cluster));
    }
    if let Some(link) = &message.link {
        fields["stoop.link"] = json!(link);
    }
    if !message.more.is_empty() {
        let more = summary::more(message).join("; ");
        fields["stoop.more"] = json!(format!("{}: {more}", message.more.len()));
    }
    let mut event = json!({
        "output": format!("{}: {}", summary::title(message), summary::done(message)),
        "priority": message.priority,
        // A closed set: outputs group by it.
        "rule": format!("Stoop {}", message.result()),
        "time": message.time,
        "output_fields": fields,
        "source": OWN_SOURCE,
        "tags": ["stoop"],
    });
    if let Some(hostname) = &message.hostname {
        event["hostname"] = json!(inert(hostname));
    }
    event
}

#[async_trait]
impl Sink for Falcosidekick {
    async fn send(&self, message: &Notification<'_>) -> Result<(), Failure> {
        http::settle(self.0.post(&render(message)).send().await).await
    }

    fn preview(&self, message: &Notification<'_>) -> Value {
        render(message)
    }

    fn pace(&self) -> Option<Pace> {
        Some(Pace::apart(Duration::from_millis(100)))
    }
}
