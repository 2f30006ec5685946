//! CloudEvents, in structured mode over HTTP: Knative, Argo Events, Azure Event Grid, Eventarc.
//!
//! `source` and `id` together tell a copy from another event:
//! <https://github.com/cloudevents/spec/blob/v1.0.2/cloudevents/spec.md#id>. The envelope is that of
//! <https://github.com/cloudevents/spec/blob/v1.0.2/cloudevents/formats/json-format.md>.

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
    Notification, Sink,
    http::{self, Endpoint},
};
use crate::act::{config::ConfigError, outcome::Failure};

/// `cloudEvents: {url, source, headers}`.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct CloudEventsConfig {
    /// Where to POST.
    pub url: Secret,
    /// Who sends it, a URI: another for each cluster.
    #[serde(default = "source")]
    pub source: String,
    /// Headers to send along, such as `Authorization`.
    #[serde(default)]
    pub headers: BTreeMap<String, Secret>,
}

fn source() -> String {
    "urn:stoop".to_owned()
}

#[derive(Debug)]
pub(super) struct CloudEvents {
    endpoint: Endpoint,
    source: String,
}

impl CloudEvents {
    pub(super) fn new(
        config: &CloudEventsConfig,
        timeout: Duration,
    ) -> Result<CloudEvents, ConfigError> {
        let source = config.source.clone();
        if source.is_empty() || source.contains(|c: char| c.is_whitespace() || c.is_control()) {
            return Err(ConfigError::new("no URI").at("source").help("such as `urn:stoop:prod-1`"));
        }
        let headers = http::headers(&config.headers)?;
        Ok(CloudEvents { endpoint: Endpoint::new(&config.url, "", headers, timeout)?, source })
    }

    fn render(&self, message: &Notification<'_>) -> Value {
        let mut event = json!({
            "specversion": "1.0",
            "id": message.delivery(),
            "source": self.source,
            "type": "dev.stoop.response.v1",
            "time": message.time,
            "datacontenttype": "application/json",
            "data": message,
        });
        if let Some(target) = &message.target {
            event["subject"] = json!(target);
        }
        if let Some(trace) = &message.trace {
            event["traceparent"] = json!(trace);
        }
        event
    }
}

#[async_trait]
impl Sink for CloudEvents {
    async fn send(&self, message: &Notification<'_>) -> Result<(), Failure> {
        let body = self.render(message).to_string().into_bytes();
        let request = self.endpoint.post_as("application/cloudevents+json; charset=UTF-8", body);
        http::settle(request.send().await).await
    }

    fn preview(&self, message: &Notification<'_>) -> Value {
        self.render(message)
    }
}
