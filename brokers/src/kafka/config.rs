//! What the user says of a Kafka subscription.

use std::{path::PathBuf, time::Duration};

use schemars::JsonSchema;
use serde::Deserialize;
use settings::Secret;

use crate::contract::Error;

/// A topic, read as a member of a consumer group.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Config {
    /// `host:port` of some brokers; the client finds the others.
    pub brokers: Vec<String>,
    /// The topic.
    pub topic: String,
    /// The consumer group that all workers of the fleet share.
    pub group: String,
    /// The topic for dead letters. Without one nothing can be given up.
    #[serde(default)]
    pub dead_letters: Option<String>,
    /// TLS, if the brokers want it. `{}` trusts the system's authorities.
    #[serde(default)]
    pub tls: Option<Tls>,
    /// SASL, if the brokers want it.
    #[serde(default)]
    pub sasl: Option<Sasl>,
}

/// How TLS is spoken.
#[derive(Clone, Debug, Default, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Tls {
    /// A PEM file of the authorities to trust; without it the system's.
    #[serde(default)]
    pub ca: Option<PathBuf>,
    /// A PEM file of the client's certificate, for mutual TLS.
    #[serde(default)]
    pub certificate: Option<PathBuf>,
    /// A PEM file of its private key.
    #[serde(default)]
    pub key: Option<PathBuf>,
    /// The key's password, if it has one.
    #[serde(default)]
    pub key_password: Option<Secret>,
}

/// Who the client says it is.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Sasl {
    /// How the password is proven.
    pub mechanism: Mechanism,
    /// The user.
    pub username: String,
    /// Its password.
    pub password: Secret,
}

/// The SASL mechanisms with user and password.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, JsonSchema)]
pub enum Mechanism {
    /// The password itself is sent: over TLS only.
    #[serde(rename = "PLAIN")]
    Plain,
    /// SCRAM with SHA-256.
    #[serde(rename = "SCRAM-SHA-256")]
    ScramSha256,
    /// SCRAM with SHA-512.
    #[serde(rename = "SCRAM-SHA-512")]
    ScramSha512,
}

impl Mechanism {
    pub(super) fn as_str(self) -> &'static str {
        match self {
            Self::Plain => "PLAIN",
            Self::ScramSha256 => "SCRAM-SHA-256",
            Self::ScramSha512 => "SCRAM-SHA-512",
        }
    }
}

/// How long a worker may take over what the group asks of it.
#[derive(Clone, Copy, Debug)]
pub struct Timing {
    /// What runs in a partition that is asked back may finish within this. While it does, the group's other partitions
    /// wait too, so keep it in seconds; more than [`Timing::LONGEST_DRAIN`] is cut to it.
    pub drain: Duration,
    /// A worker not heard of for this long is dead, and its partitions go to others.
    pub session: Duration,
}

impl Timing {
    /// Longer drains would outlast what the group waits for a member.
    pub const LONGEST_DRAIN: Duration = Duration::from_secs(20);
}

impl Default for Timing {
    fn default() -> Self {
        Self { drain: Duration::from_secs(15), session: Duration::from_secs(30) }
    }
}

impl Config {
    /// Whether it can work at all.
    ///
    /// # Errors
    /// It can't; the text says what to change.
    pub fn check(&self) -> Result<(), Error> {
        let wrong = |text: &str| Err(Error::Configuration(text.to_owned()));
        if self.brokers.iter().all(|broker| broker.trim().is_empty()) {
            return wrong("brokers is empty: name at least one as host:port");
        }
        if self.topic.is_empty() || self.group.is_empty() {
            return wrong("topic and group can't be empty");
        }
        if self.dead_letters.as_ref() == Some(&self.topic) {
            return wrong(
                "deadLetters is the topic itself, which would be read again without end: name another topic",
            );
        }
        if let Some(tls) = &self.tls
            && tls.certificate.is_some() != tls.key.is_some()
        {
            return wrong("tls has only one of certificate and key: mutual TLS needs both");
        }
        if self.tls.is_none() && self.sasl.as_ref().is_some_and(|s| s.mechanism == Mechanism::Plain)
        {
            return wrong(
                "sasl PLAIN without tls would send the password in the clear: add tls, or use SCRAM",
            );
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, from_value, json};

    use super::*;

    fn with(more: Value) -> Result<Config, serde_json::Error> {
        let mut value = json!({"brokers": ["127.0.0.1:9092"], "topic": "falco", "group": "stoop"});
        if let (Some(value), Value::Object(more)) = (value.as_object_mut(), more) {
            value.extend(more);
        }
        from_value(value)
    }

    #[test]
    fn the_designs_example_is_read() {
        let config = with(json!({
            "deadLetters": "falco.dead",
            "tls": {"ca": "ca.pem"},
            "sasl": {"mechanism": "SCRAM-SHA-512", "username": "u", "password": {"env": "KAFKA_PASSWORD"}},
        }));
        config.unwrap().check().unwrap();
    }

    #[test]
    fn unknown_keys_and_mechanisms_are_refused() {
        for wrong in [
            json!({"deadletters": "x"}),
            json!({"tls": {"insecure": true}}),
            json!({"sasl": {"mechanism": "GSSAPI", "username": "u", "password": "p"}}),
        ] {
            assert!(with(wrong).is_err());
        }
    }

    #[test]
    fn contradictions_are_refused_with_the_fix() {
        for (wrong, says) in [
            (json!({"brokers": []}), "host:port"),
            (json!({"deadLetters": "falco"}), "name another topic"),
            (json!({"tls": {"certificate": "c.pem"}}), "needs both"),
            (json!({"sasl": {"mechanism": "PLAIN", "username": "u", "password": "p"}}), "add tls"),
        ] {
            let error = with(wrong).unwrap().check().unwrap_err();
            assert!(error.is_configuration() && error.to_string().contains(says), "{error}");
        }
    }
}
