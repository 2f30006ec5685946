//! Notifiers: how people and other systems are told. Each kind of receiver is a file and a [`Sink`].
//!
//! What may not live here: whether someone is to be told, which is the engine's and the playbook's to decide.
//! Text from events reaches a receiver only through [`Notification`], made harmless.

mod cloudevents;
mod falcosidekick;
pub(super) mod http;
mod kubernetes_events;
mod log;
mod message;
pub(super) mod secret;
mod security_command_center;
mod slack;
mod splunk_soar;
mod summary;
mod turns;
mod webhook;
mod xsoar;

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, OnceLock, PoisonError},
    time::Duration,
};

use async_trait::async_trait;
use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::{Value, json};
use tokio::time::Instant;

pub use message::{Notification, StepLine};
pub use turns::Pace;

use super::{
    api::{Api, Permission},
    config::ConfigError,
    outcome::{Dependency, Failure, FailureKind},
    roles::Right,
};
use cloudevents::{CloudEvents, CloudEventsConfig};
use falcosidekick::{Falcosidekick, FalcosidekickConfig};
use kubernetes_events::{KubernetesEvents, KubernetesEventsConfig};
use log::Log;
use security_command_center::{SecurityCommandCenter, SecurityCommandCenterConfig};
use slack::{Slack, SlackConfig};
use splunk_soar::{SplunkSoar, SplunkSoarConfig};
use turns::Turns;
use webhook::{Webhook, WebhookConfig};
use xsoar::{Xsoar, XsoarConfig};

/// A way to tell someone.
#[async_trait]
pub trait Sink: Send + Sync {
    /// Sends one message; it may be the second copy of one that has arrived, see [`Notification::key`].
    ///
    /// # Errors
    ///
    /// [`FailureKind::Unavailable`] where the receiver is away: the dependency's name is filled in by the caller.
    async fn send(&self, message: &Notification<'_>) -> Result<(), Failure>;

    /// What it sends about this, as JSON, for those who want to see it before it goes.
    fn preview(&self, message: &Notification<'_>) -> Value {
        json!(message)
    }

    /// How fast it may be told; `None` for what is as fast as the worker itself. What waits for its turn goes along with
    /// another, in [`Notification::more`], which has to be shown then, with the link of each.
    fn pace(&self) -> Option<Pace> {
        Some(Pace::default())
    }

    /// The rights that it takes on the API server.
    fn permissions(&self) -> Vec<Permission> {
        Vec::new()
    }
}

/// One entry of `notifiers`.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub enum NotifierConfig {
    /// An event by the CloudEvents standard.
    CloudEvents(CloudEventsConfig),
    /// An event for Falcosidekick and all of its outputs.
    Falcosidekick(FalcosidekickConfig),
    /// An event of Kubernetes about the pod.
    KubernetesEvents(KubernetesEventsConfig),
    /// A finding in Google's Security Command Center.
    SecurityCommandCenter(SecurityCommandCenterConfig),
    /// An incoming webhook of Slack.
    Slack(SlackConfig),
    /// A container in Splunk SOAR (Phantom).
    SplunkSoar(SplunkSoarConfig),
    /// A signed POST to any URL.
    Webhook(WebhookConfig),
    /// An incident in Cortex XSOAR (Demisto).
    Xsoar(XsoarConfig),
}

/// The name under which the structured log is always there.
const LOG: &str = "log";

/// All notifiers by name.
pub struct Notifiers {
    sinks: BTreeMap<String, Arc<Way>>,
    default: Vec<String>,
    /// Where the worker has a cluster; known after the sinks are.
    api: Arc<OnceLock<Api>>,
}

/// The way to one sink.
struct Way {
    sink: Arc<dyn Sink>,
    turns: Option<Turns>,
    /// Until when it asked to be left alone, and the words.
    closed: Mutex<Option<(Instant, Failure)>>,
}

impl Default for Notifiers {
    /// The log alone.
    fn default() -> Notifiers {
        let log = Arc::new(Way::to(Arc::new(Log)));
        Notifiers {
            sinks: BTreeMap::from([(LOG.to_owned(), log)]),
            default: Vec::new(),
            api: Arc::default(),
        }
    }
}

impl Way {
    fn to(sink: Arc<dyn Sink>) -> Way {
        Way { turns: sink.pace().map(Turns::new), sink, closed: Mutex::default() }
    }

    async fn send(&self, message: &Notification<'_>) -> Result<(), Failure> {
        if let Some(failure) = self.asked_to_wait() {
            return Err(failure);
        }
        let sent = match &self.turns {
            Some(turns) => turns.send(&*self.sink, message).await,
            None => self.sink.send(message).await,
        };
        if let Err(failure) = &sent
            && let Some(wait) = failure.retry_after
        {
            *self.lock() = Some((Instant::now() + wait, failure.clone()));
        }
        sent
    }

    /// What it said when it asked for a time in which nobody comes, while that lasts.
    fn asked_to_wait(&self) -> Option<Failure> {
        let mut closed = self.lock();
        let left = closed.as_ref()?.0.checked_duration_since(Instant::now());
        match left.filter(|left| !left.is_zero()) {
            Some(left) => closed.as_ref().map(|(_, failure)| failure.clone().after(Some(left))),
            None => {
                *closed = None;
                None
            }
        }
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Option<(Instant, Failure)>> {
        self.closed.lock().unwrap_or_else(PoisonError::into_inner)
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
            let sink = config.build(timeout, &notifiers.api).map_err(|error| error.at(name))?;
            notifiers = notifiers.with(name, sink)?;
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
        self.sinks.insert(name.to_owned(), Arc::new(Way::to(sink)));
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

    /// True for the log, and for those who are told of every containment that did not happen.
    pub(super) fn are_told_anyway(&self, name: &str) -> bool {
        name == LOG || self.default.iter().any(|told| told == name)
    }

    /// All names.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.sinks.keys().map(String::as_str)
    }

    /// What each sink would send about this, by its name; nothing is sent.
    pub fn previews(&self, message: &Notification<'_>) -> BTreeMap<&str, Value> {
        let previews = self.sinks.iter().map(|(name, way)| (&**name, way.sink.preview(message)));
        previews.collect()
    }

    /// For sinks in the cluster; the first one counts.
    pub(super) fn connect(&self, api: &Api) {
        self.api.get_or_init(|| api.clone());
    }

    /// The rights that the sinks take on the API server.
    pub fn rights(&self) -> Vec<Right> {
        let rights = self.sinks.iter().flat_map(|(name, way)| {
            let named = move |permission| Right::new(permission, format!("notifier {name}"));
            way.sink.permissions().into_iter().map(named)
        });
        rights.collect()
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
        let way = self
            .sinks
            .get(name)
            .ok_or_else(|| Failure::permanent(format!("there is no notifier {name}")))?;
        let away = || Dependency::Sink(name.to_owned());
        let sent = tokio::time::timeout_at(until, way.send(message)).await;
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

impl NotifierConfig {
    fn build(
        &self,
        timeout: Duration,
        api: &Arc<OnceLock<Api>>,
    ) -> Result<Arc<dyn Sink>, ConfigError> {
        let (kind, sink) = match self {
            Self::CloudEvents(config) => {
                ("cloudEvents", CloudEvents::new(config, timeout).map(shared))
            }
            Self::Falcosidekick(config) => {
                ("falcosidekick", Falcosidekick::new(config, timeout).map(shared))
            }
            Self::KubernetesEvents(config) => {
                ("kubernetesEvents", KubernetesEvents::new(config, Arc::clone(api)).map(shared))
            }
            Self::SecurityCommandCenter(config) => {
                ("securityCommandCenter", SecurityCommandCenter::new(config, timeout).map(shared))
            }
            Self::Slack(config) => ("slack", Slack::new(config, timeout).map(shared)),
            Self::SplunkSoar(config) => {
                ("splunkSoar", SplunkSoar::new(config, timeout).map(shared))
            }
            Self::Webhook(config) => ("webhook", Webhook::new(config, timeout).map(shared)),
            Self::Xsoar(config) => ("xsoar", Xsoar::new(config, timeout).map(shared)),
        };
        sink.map_err(|error| error.at(kind))
    }
}

fn shared(sink: impl Sink + 'static) -> Arc<dyn Sink> {
    Arc::new(sink)
}
