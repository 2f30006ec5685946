//! `forward`: sends the event on to another topic or subject, whole or without some of its fields.

mod redact;

use std::{borrow::Cow, sync::Arc};

use async_trait::async_trait;
use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::Value;

use redact::without;

use crate::act::{
    action::{Action, Context, Subject},
    config::{self, ConfigError},
    destination::{Destination, Destinations, Outgoing},
    digest::digest,
    outcome::{Dependency, Failure, FailureKind, Outcome},
};

/// The configured action.
pub(in crate::act) struct Forward {
    to: String,
    remove: Vec<String>,
    destination: Arc<dyn Destination>,
}

/// Publishes the event elsewhere, whole or without some fields.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(rename = "Forward")]
pub(in crate::act) struct Written {
    /// A destination of the configuration, by name.
    to: String,
    /// Output fields to leave out, such as `user.name`.
    #[serde(default)]
    remove: Vec<String>,
}

impl Forward {
    /// Reads the configuration; `to` has to be a destination's name.
    pub(in crate::act) fn configure(
        config: &Value,
        destinations: &Destinations,
    ) -> Result<Forward, ConfigError> {
        let Written { to, remove } = config::read(config)?;
        if let Some(odd) = remove.iter().find(|name| name.trim() != **name || name.is_empty()) {
            return Err(ConfigError::new(format!("`{odd}` is no field's name"))
                .at("remove")
                .help("write names as in output_fields, such as `user.name`"));
        }
        let destination = destinations.get(&to).map_err(|error| error.at("to"))?;
        Ok(Forward { to, remove, destination })
    }

    async fn send(&self, cx: &Context<'_>) -> Result<Outcome, Failure> {
        let event = cx.occurrence;
        let payload = match self.remove.as_slice() {
            [] => Cow::Borrowed(&event.payload[..]),
            names => Cow::Owned(without(&event.payload, names).map_err(|error| {
                // It was read before, or it would not be here.
                Failure::permanent(format!("the event can't be read again: {error}"))
            })?),
        };
        let event_id = event.id.to_string();
        // Two playbooks may send it to one stream, each without other fields: neither is a copy of the other.
        let id = digest(&[&[&event_id, cx.playbook, &self.to][..], &self.names()].concat());
        let mut headers = vec![
            ("stoop-id", id.clone()),
            ("stoop-event-id", event_id),
            ("stoop-playbook", cx.playbook.to_owned()),
        ];
        headers.extend(event.trace.iter().map(|trace| ("traceparent", trace.to_string())));
        let outgoing = Outgoing { id: &id, payload: &payload, headers: &headers };
        let away = || Dependency::Destination(self.to.clone());
        let sent =
            tokio::time::timeout_at(cx.limit.calls, self.destination.publish(&outgoing)).await;
        let sent = sent.unwrap_or_else(|_| Err(Failure::unavailable(away(), "no answer in time")));
        sent.map_err(|failure| {
            let kind = match failure.kind {
                FailureKind::Unavailable(_) => FailureKind::Unavailable(away()),
                kind => kind,
            };
            let why = format!("destination {}: {}", self.to, failure.why);
            Failure { kind, why, ..failure }
        })?;
        Ok(Outcome::Applied(format!("forwarded to {}", self.to)))
    }

    fn names(&self) -> Vec<&str> {
        self.remove.iter().map(String::as_str).collect()
    }
}

#[async_trait]
impl Action for Forward {
    fn name(&self) -> &'static str {
        "forward"
    }

    fn describe(&self) -> String {
        match self.remove.as_slice() {
            [] => format!("forward the event to {}", self.to),
            names => format!("forward the event to {} without {}", self.to, names.join(", ")),
        }
    }

    fn needs_target(&self) -> bool {
        false
    }

    fn changes_cluster(&self) -> bool {
        false
    }

    fn answers_each_event(&self) -> bool {
        true
    }

    async fn apply(&self, cx: &Context<'_>, _: Subject<'_>) -> Outcome {
        self.send(cx).await.unwrap_or_else(Outcome::from)
    }
}
