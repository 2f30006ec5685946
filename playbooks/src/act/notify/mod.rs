//! Notifiers: how people and other systems are told. Each kind of receiver is a file and a [`Sink`].
//!
//! What may not live here: whether someone is to be told, which is the engine's and the playbook's to decide.
//! Text from events reaches a receiver only through [`Notification`], made harmless.

mod http;
mod log;
mod message;
mod secret;
mod slack;
mod webhook;

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use async_trait::async_trait;
use schemars::JsonSchema;
use serde::Deserialize;
use tokio::time::Instant;

pub use message::{Notification, StepLine};

use super::{
    config::ConfigError,
    outcome::{Dependency, Failure, FailureKind},
};
use log::Log;
use slack::{Slack, SlackConfig};
use webhook::{Webhook, WebhookConfig};

/// A way to tell someone.
#[async_trait]
pub trait Sink: Send + Sync {
    /// Sends one message; it may be the second copy of one that has arrived, see [`Notification::key`].
    ///
    /// # Errors
    ///
    /// [`FailureKind::Unavailable`] where the receiver is away: the dependency's name is filled in by the caller.
    async fn send(&self, message: &Notification<'_>) -> Result<(), Failure>;
}

/// One entry of `notifiers`.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub enum NotifierConfig {
    /// An incoming webhook of Slack.
    Slack(SlackConfig),
    /// A signed POST to any URL.
    Webhook(WebhookConfig),
}

/// The name under which the structured log is always there.
const LOG: &str = "log";

/// All notifiers by name.
pub struct Notifiers {
    sinks: BTreeMap<String, Arc<dyn Sink>>,
    default: Vec<String>,
}

impl Default for Notifiers {
    /// The log alone.
    fn default() -> Notifiers {
        Notifiers {
            sinks: BTreeMap::from([(LOG.to_owned(), Arc::new(Log) as Arc<dyn Sink>)]),
            default: Vec::new(),
        }
    }
}

impl Notifiers {
    /// Builds what is configured; `timeout` bounds each request.
    ///
    /// # Errors
    ///
    /// Where a secret or URL can't be used, or a default names no notifier.
    pub fn new(
        configs: &BTreeMap<String, NotifierConfig>,
        default: &[String],
        timeout: Duration,
    ) -> Result<Notifiers, ConfigError> {
        let mut notifiers = Notifiers::default();
        for (name, config) in configs {
            let sink: Result<Arc<dyn Sink>, ConfigError> = match config {
                NotifierConfig::Slack(config) => Slack::new(config, timeout)
                    .map(|sink| Arc::new(sink) as _)
                    .map_err(|error| error.at("slack")),
                NotifierConfig::Webhook(config) => Webhook::new(config, timeout)
                    .map(|sink| Arc::new(sink) as _)
                    .map_err(|error| error.at("webhook")),
            };
            notifiers = notifiers.with(name, sink.map_err(|error| error.at(name))?)?;
        }
        notifiers.with_defaults(default)
    }

    /// Adds a notifier of another kind.
    ///
    /// # Errors
    ///
    /// Where the name is taken.
    pub fn with(mut self, name: &str, sink: Arc<dyn Sink>) -> Result<Notifiers, ConfigError> {
        if self.has(name) {
            return Err(ConfigError::new(format!("the notifier's name `{name}` is taken"))
                .help("choose another name"));
        }
        self.sinks.insert(name.to_owned(), sink);
        Ok(self)
    }

    /// Names those who are told of a containment that did not happen.
    ///
    /// # Errors
    ///
    /// Where one of them is no notifier.
    pub fn with_defaults(mut self, names: &[String]) -> Result<Notifiers, ConfigError> {
        if let Some(unknown) = names.iter().find(|name| !self.has(name)) {
            let known: Vec<_> = self.names().collect();
            return Err(ConfigError::new(format!(
                "defaultNotifiers: there is no notifier `{unknown}`"
            ))
            .help(format!("configured are: {}", known.join(", "))));
        }
        self.default = names.to_vec();
        Ok(self)
    }

    /// True where there is a notifier of this name.
    pub fn has(&self, name: &str) -> bool {
        self.sinks.contains_key(name)
    }

    /// All names.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.sinks.keys().map(String::as_str)
    }

    /// The names of those who are told when stoop did not act.
    pub(super) fn defaults(&self) -> &[String] {
        &self.default
    }

    /// Sends to one by name, and gives up then.
    pub(super) async fn send(
        &self,
        name: &str,
        message: &Notification<'_>,
        until: Instant,
    ) -> Result<(), Failure> {
        let sink = self
            .sinks
            .get(name)
            .ok_or_else(|| Failure::permanent(format!("there is no notifier {name}")))?;
        let away = || Dependency::Sink(name.to_owned());
        let sent = tokio::time::timeout_at(until, sink.send(message)).await;
        sent.unwrap_or_else(|_| Err(Failure::unavailable(away(), "no answer in time"))).map_err(
            |failure| {
                let kind = match failure.kind {
                    FailureKind::Unavailable(_) => FailureKind::Unavailable(away()),
                    kind => kind,
                };
                let why = format!("notifier {name}: {}", failure.why);
                Failure { kind, why, ..failure }
            },
        )
    }
}
