//! What the user says of a Pub/Sub subscription.

use std::{ops::RangeInclusive, time::Duration};

use schemars::JsonSchema;
use serde::Deserialize;
use settings::{Secret, Span};

use crate::contract::Error;

use super::names::{Subscription, Topic};

/// A subscription, which all workers of the fleet share.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Config {
    /// The Google Cloud project.
    pub project: String,
    /// The subscription's id, or its full name where it is another project's.
    pub subscription: String,
    /// The topic's id or full name, for `stoop setup` and for publishing. A worker doesn't need it.
    #[serde(default)]
    pub topic: Option<String>,
    /// The topic for dead letters, as an id or a full name. Without one nothing can be given up.
    #[serde(default)]
    pub dead_letters: Option<String>,
    /// The subscription of the dead-letter topic that keeps them for `stoop dlq`; by default it has the topic's own id.
    #[serde(default)]
    pub dead_letters_subscription: Option<String>,
    /// The JSON of a credential: a service account's key, or the configuration of a workload identity. Without it they are
    /// found as all of Google's tools find them (application default credentials, the metadata server).
    #[serde(default)]
    pub credentials: Option<Secret>,
    /// Another address of the API: a regional one, or an emulator's as `http://host:port`, which is told no credentials.
    /// `PUBSUB_EMULATOR_HOST` is read where this is not set.
    #[serde(default)]
    pub endpoint: Option<String>,
    /// How long Pub/Sub waits to hear of a worker before what it holds goes to others: from 10s to 10m. What was on its way
    /// to a worker that leaves comes again after as long.
    #[serde(default = "ack_deadline")]
    pub ack_deadline: Span,
}

fn ack_deadline() -> Span {
    Span::from_secs(60)
}

/// What Pub/Sub allows: <https://cloud.google.com/pubsub/docs/lease-management>
const ACK_DEADLINES: RangeInclusive<Span> = Span::from_secs(10)..=Span::from_secs(600);

/// How much a worker may hold, and for how long.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// How long a message may be worked on. Its lease is kept up for so long, and is lost then.
    pub lease: Duration,
    /// How long before that it is asked back: what runs may finish, nothing new starts.
    pub notice: Duration,
    /// How many messages Pub/Sub hands to this worker before the first of them is settled. Less than the worker can hold
    /// would make what runs long hold up what comes.
    pub messages: u32,
    /// The same in bytes.
    pub bytes: u64,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            lease: Duration::from_secs(60 * 60),
            notice: Duration::from_secs(60),
            messages: 10_000,
            bytes: 256 << 20,
        }
    }
}

impl Config {
    /// Whether it can work at all.
    ///
    /// # Errors
    /// It can't; the text says what to change.
    pub fn check(&self) -> Result<(), Error> {
        let wrong = |text: &str| Err(Error::Configuration(text.to_owned()));
        if self.project.trim().is_empty() {
            return wrong("project is empty: name the Google Cloud project");
        }
        Subscription::new(&self.project, "subscription", &self.subscription)?;
        let topic = self.topic()?;
        let dead_letters = self.dead_letters()?;
        if dead_letters.is_some() && dead_letters == topic {
            return wrong(
                "deadLetters is the topic itself, which would be read again without end: name another topic",
            );
        }
        self.dead_letters_subscription()?;
        if !ACK_DEADLINES.contains(&self.ack_deadline) {
            return wrong("ackDeadline is out of what Pub/Sub allows: set it between 10s and 10m");
        }
        let endpoint = self.endpoint.as_deref().unwrap_or("https://");
        if !endpoint.starts_with("https://") && !endpoint.starts_with("http://") {
            return wrong(
                "endpoint is no URL: write https://host, or http://host:port for an emulator",
            );
        }
        if endpoint.starts_with("http://") && self.credentials.is_some() {
            return wrong(
                "endpoint is plain http, where credentials would be sent in the clear: write https, or leave credentials out",
            );
        }
        Ok(())
    }

    pub(super) fn subscription(&self) -> Result<Subscription, Error> {
        Subscription::new(&self.project, "subscription", &self.subscription)
    }

    pub(super) fn topic(&self) -> Result<Option<Topic>, Error> {
        self.topic.as_deref().map(|id| Topic::new(&self.project, "topic", id)).transpose()
    }

    pub(super) fn dead_letters(&self) -> Result<Option<Topic>, Error> {
        let topic = |id| Topic::new(&self.project, "deadLetters", id);
        self.dead_letters.as_deref().map(topic).transpose()
    }

    /// The subscription that keeps the dead letters.
    pub(super) fn dead_letters_subscription(&self) -> Result<Option<Subscription>, Error> {
        let key = "deadLettersSubscription";
        let Some(topic) = self.dead_letters()? else { return Ok(None) };
        let id = self.dead_letters_subscription.as_deref().unwrap_or(topic.id());
        Subscription::new(&self.project, key, id).map(Some)
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, from_value, json};

    use super::*;

    fn with(more: Value) -> Result<Config, serde_json::Error> {
        let mut value = json!({"project": "acme", "subscription": "stoop"});
        if let (Some(value), Value::Object(more)) = (value.as_object_mut(), more) {
            value.extend(more);
        }
        from_value(value)
    }

    #[test]
    fn the_designs_example_is_read() {
        let config = with(json!({"deadLetters": "falco-dead"})).unwrap();
        config.check().unwrap();
        let kept = config.dead_letters_subscription().unwrap().unwrap();
        assert_eq!(kept.as_str(), "projects/acme/subscriptions/falco-dead");
    }

    #[test]
    fn unknown_keys_are_refused() {
        assert!(with(json!({"deadletters": "x"})).is_err());
    }

    #[test]
    fn contradictions_are_refused_with_the_fix() {
        for (wrong, says) in [
            (json!({"project": ""}), "name the Google Cloud project"),
            (json!({"subscription": "projects/acme/topics/falco"}), "subscription"),
            (json!({"topic": "a b"}), "topic"),
            (
                json!({"topic": "falco", "deadLetters": "projects/acme/topics/falco"}),
                "another topic",
            ),
            (json!({"ackDeadline": "5s"}), "between 10s and 10m"),
            (json!({"ackDeadline": "11m"}), "between 10s and 10m"),
            (json!({"endpoint": "localhost:8085"}), "http://host:port"),
            (json!({"endpoint": "http://x", "credentials": "{}"}), "in the clear"),
        ] {
            let error = with(wrong).unwrap().check().unwrap_err();
            assert!(error.is_configuration() && error.to_string().contains(says), "{error}");
        }
    }
}
