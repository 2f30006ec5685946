//! Cortex XSOAR, once Demisto: each message is an incident.
//!
//! [`/incident`](https://xsoar.pan.dev/docs/reference/api/) of version 6, and
//! [`/xsoar/public/v1/incident`](https://docs-cortex.paloaltonetworks.com/r/Cortex-XSOAR-8-API/Create-or-update-an-incident)
//! of version 8, which wants the key's id too. It drops no copies: what comes at once becomes one incident.

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
    summary,
};
use crate::act::{config::ConfigError, outcome::Failure};

/// `xsoar: {url, apiKey, apiKeyId, incidentType}`.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct XsoarConfig {
    /// The server; of version 8 its API's, `https://api-NAME`.
    pub url: Secret,
    /// The API key.
    pub api_key: Secret,
    /// The key's id, which version 8 wants and version 6 doesn't have.
    #[serde(default)]
    pub api_key_id: Option<Secret>,
    /// The type of the incidents, by which XSOAR chooses its playbook.
    #[serde(default)]
    pub incident_type: Option<String>,
}

#[derive(Debug)]
pub(super) struct Xsoar {
    endpoint: Endpoint,
    incident_type: Option<String>,
}

impl Xsoar {
    pub(super) fn new(config: &XsoarConfig, timeout: Duration) -> Result<Xsoar, ConfigError> {
        let mut headers = http::headers(&BTreeMap::new())?;
        let key = http::sensitive(&config.api_key).map_err(|error| error.at("apiKey"))?;
        headers.insert("authorization", key);
        let path = match &config.api_key_id {
            None => "/incident",
            Some(id) => {
                let id = http::sensitive(id).map_err(|error| error.at("apiKeyId"))?;
                headers.insert("x-xdr-auth-id", id);
                "/xsoar/public/v1/incident"
            }
        };
        Ok(Xsoar {
            endpoint: Endpoint::new(&config.url, path, headers, timeout)?,
            incident_type: config.incident_type.clone(),
        })
    }

    fn render(&self, message: &Notification<'_>) -> Value {
        let label = |name: &str, value: &str| json!({"type": name, "value": summary::inert(value)});
        let mut labels = vec![
            label("stoop.key", &message.key),
            label("rule", &message.rule),
            label("playbook", &message.playbook),
        ];
        labels.extend(message.target.iter().map(|target| label("target", target)));
        labels.extend(message.cluster.iter().map(|cluster| label("cluster", cluster)));
        labels.extend(message.link.iter().map(|link| json!({"type": "stoop.link", "value": link})));
        let mut incident = json!({
            "name": summary::title(message),
            "occurred": message.time,
            "severity": severity(message.priority),
            "details": summary::text(message),
            "labels": labels,
            "rawJSON": json!(message).to_string(),
            "createInvestigation": true,
        });
        if let Some(kind) = &self.incident_type {
            incident["type"] = json!(kind);
        }
        incident
    }
}

/// 1 is low, 4 critical.
fn severity(priority: &str) -> u8 {
    match priority {
        "Emergency" | "Alert" | "Critical" => 4,
        "Error" => 3,
        "Warning" => 2,
        _ => 1,
    }
}

#[async_trait]
impl Sink for Xsoar {
    async fn send(&self, message: &Notification<'_>) -> Result<(), Failure> {
        http::settle(self.endpoint.post(&self.render(message)).send().await).await
    }

    fn preview(&self, message: &Notification<'_>) -> Value {
        self.render(message)
    }

    fn pace(&self) -> Option<Pace> {
        Some(Pace::apart(Duration::from_secs(1)))
    }
}
