//! Splunk SOAR, once Phantom: each message is a container with one artifact.
//!
//! Both are created by one [`POST /rest/container`](https://docs.splunk.com/Documentation/SOARonprem/5.4.0/PlatformAPI/RESTContainers),
//! so that there is no container without its artifact; automation runs after it by itself. A container of a
//! `source_data_identifier` that is there already is answered with `existing_container_id`.

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
use crate::act::{config::ConfigError, outcome::Failure, text::clean};

/// The longest answer: it names the container and says what became of the artifact.
const ANSWER: usize = 16 << 10;

/// `splunkSoar: {url, token, label}`.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct SplunkSoarConfig {
    /// The server.
    pub url: Secret,
    /// The token of an automation user.
    pub token: Secret,
    /// The label of the containers, which has to be there: `events` if left out.
    #[serde(default = "label")]
    pub label: String,
}

fn label() -> String {
    "events".to_owned()
}

#[derive(Debug)]
pub(super) struct SplunkSoar {
    endpoint: Endpoint,
    label: String,
}

impl SplunkSoar {
    pub(super) fn new(
        config: &SplunkSoarConfig,
        timeout: Duration,
    ) -> Result<SplunkSoar, ConfigError> {
        let mut headers = http::headers(&BTreeMap::new())?;
        let token = http::sensitive(&config.token).map_err(|error| error.at("token"))?;
        headers.insert("ph-auth-token", token);
        let endpoint = Endpoint::new(&config.url, "/rest/container", headers, timeout)?;
        Ok(SplunkSoar { endpoint, label: config.label.clone() })
    }

    fn render(&self, message: &Notification<'_>) -> Value {
        let severity = severity(message.priority);
        let mut cef = json!({
            "deviceEventClassId": summary::inert(&message.rule),
            "message": summary::inert(&message.output),
            "deviceAction": summary::inert(&message.done()),
            "stoopPlaybook": message.playbook,
            "stoopResult": message.result(),
            "stoopEventId": message.event_id,
            "kubernetesVerified": message.verified,
        });
        for (name, value) in [
            ("kubernetesPod", &message.target),
            ("kubernetesCluster", &message.cluster),
            ("deviceHostName", &message.hostname),
        ] {
            if let Some(value) = value {
                cef[name] = json!(summary::inert(value));
            }
        }
        if let Some(link) = &message.link {
            cef["stoopLink"] = json!(link);
        }
        if !message.more.is_empty() {
            cef["stoopMore"] = json!(summary::more(message).join("; "));
        }
        let delivery = message.delivery();
        json!({
            "label": self.label,
            "name": summary::title(message),
            "description": summary::text(message),
            "severity": severity,
            "source_data_identifier": delivery,
            "start_time": message.time,
            "artifacts": [{
                "name": "Falco event",
                "label": "event",
                "severity": severity,
                "source_data_identifier": delivery,
                "start_time": message.time,
                "cef": cef,
            }],
        })
    }
}

fn severity(priority: &str) -> &'static str {
    match priority {
        "Emergency" | "Alert" | "Critical" | "Error" => "high",
        "Warning" | "Notice" => "medium",
        _ => "low",
    }
}

#[async_trait]
impl Sink for SplunkSoar {
    async fn send(&self, message: &Notification<'_>) -> Result<(), Failure> {
        let answer = http::answered(self.endpoint.post(&self.render(message)).send().await)?;
        // A copy is told by the body, with a status that differs by version.
        if !(answer.status().is_success() || answer.status().as_u16() == 400) {
            return Err(http::refused(answer).await.into());
        }
        let status = answer.status();
        let body = serde_json::from_slice(&http::beginning(answer, ANSWER).await);
        let body: Value = match body {
            Ok(body) => body,
            // It may have been made, and a copy is told from it.
            Err(error) if status.is_success() && error.is_eof() => {
                return Err(Failure::transient(format!("answered {status}, and broke off")));
            }
            Err(_) => Value::Null,
        };
        if body.get("existing_container_id").is_some() || body["success"] == true {
            return Ok(());
        }
        let why = clean(body["message"].as_str().unwrap_or("no word of a container"), 100);
        Err(Failure::permanent(format!("answered {status}: {why}")))
    }

    fn preview(&self, message: &Notification<'_>) -> Value {
        self.render(message)
    }

    /// Each is a container that people, or playbooks of its own, look at.
    fn pace(&self) -> Option<Pace> {
        Some(Pace::apart(Duration::from_secs(1)))
    }
}
