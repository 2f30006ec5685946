//! What the user says of a Kafka subscription.

use std::{path::PathBuf, time::Duration};

use schemars::JsonSchema;
use serde::Deserialize;
use settings::Secret;

use crate::contract::Error;

use super::topics::{Pattern, Topics};

/// Topics, read as a member of a consumer group. Exactly one of `topic`, `topics` and `topicPattern` is given.
#[derive(Clone, Debug, Default, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Config {
    /// `host:port` of some brokers; the client finds the others.
    pub brokers: Vec<String>,
    /// The topic.
    #[serde(default)]
    pub topic: Option<String>,
    /// Several topics.
    #[serde(default)]
    pub topics: Vec<String>,
    /// A regular expression for the whole name: all topics that match, those that are made later too.
    #[serde(default)]
    pub topic_pattern: Option<String>,
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
    /// How it is proven.
    pub mechanism: Mechanism,
    /// The user; not for OAUTHBEARER.
    #[serde(default)]
    pub username: Option<String>,
    /// Its password; not for OAUTHBEARER.
    #[serde(default)]
    pub password: Option<Secret>,
    /// The token of OAUTHBEARER, a JWT such as a service account's in a file. It is read anew before it expires.
    #[serde(default)]
    pub token: Option<Secret>,
}

/// The SASL mechanisms.
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
    /// A token: over TLS only.
    #[serde(rename = "OAUTHBEARER")]
    OauthBearer,
}

impl Mechanism {
    pub(super) fn as_str(self) -> &'static str {
        match self {
            Self::Plain => "PLAIN",
            Self::ScramSha256 => "SCRAM-SHA-256",
            Self::ScramSha512 => "SCRAM-SHA-512",
            Self::OauthBearer => "OAUTHBEARER",
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
    /// The topics that it is about.
    ///
    /// # Errors
    /// None are named, or in more than one way; the text says what to change.
    pub fn topics(&self) -> Result<Topics, Error> {
        let wrong = |text: &str| Err(Error::Configuration(text.to_owned()));
        let topics = match (&self.topic, self.topics.as_slice(), &self.topic_pattern) {
            (Some(topic), [], None) => Topics::Named(vec![topic.clone()]),
            (None, topics @ [_, ..], None) => Topics::Named(topics.to_vec()),
            (None, [], Some(text)) => {
                Topics::Matching(Pattern::read(text).map_err(Error::Configuration)?)
            }
            (None, [], None) => {
                return wrong("no topic is named: set topic, topics or topicPattern");
            }
            _ => {
                return wrong(
                    "topics are named twice: set only one of topic, topics and topicPattern",
                );
            }
        };
        if let Topics::Named(names) = &topics {
            let mut seen = std::collections::BTreeSet::new();
            if let Some(name) = names.iter().find(|name| !is_name(name) || !seen.insert(*name)) {
                return wrong(&format!(
                    "`{name}` can't be a topic, or is named twice: a name has letters, digits, `.`, `_` and `-`, at most {LONGEST_NAME}"
                ));
            }
        }
        Ok(topics)
    }

    /// Whether it can work at all.
    ///
    /// # Errors
    /// It can't; the text says what to change.
    pub fn check(&self) -> Result<(), Error> {
        let wrong = |text: &str| Err(Error::Configuration(text.to_owned()));
        if self.brokers.iter().all(|broker| broker.trim().is_empty()) {
            return wrong("brokers is empty: name at least one as host:port");
        }
        if self.group.is_empty() {
            return wrong("group can't be empty");
        }
        let topics = self.topics()?;
        if let Some(dead_letters) = self.dead_letters.as_ref().filter(|name| topics.contain(name)) {
            return wrong(&format!(
                "deadLetters is {dead_letters}, which the subscription itself would read again without end: name another topic{}",
                if self.topic_pattern.is_some() {
                    ", one that topicPattern doesn't match"
                } else {
                    ""
                }
            ));
        }
        if let Some(tls) = &self.tls
            && tls.certificate.is_some() != tls.key.is_some()
        {
            return wrong("tls has only one of certificate and key: mutual TLS needs both");
        }
        match &self.sasl {
            Some(sasl) => {
                sasl.check(self.tls.is_some()).map_err(|text| Error::Configuration(text.to_owned()))
            }
            None => Ok(()),
        }
    }
}

impl Config {
    /// What to say when the broker doesn't take our credentials.
    pub(super) fn refused(&self) -> String {
        match &self.sasl {
            None => "the Kafka broker wants to know who we are: set sasl".to_owned(),
            Some(Sasl { mechanism: Mechanism::OauthBearer, .. }) => {
                "the Kafka broker refuses our token: check that sasl.token was made for it"
                    .to_owned()
            }
            Some(Sasl { mechanism, username, .. }) => format!(
                "the Kafka broker refuses the user `{}` with {}: check sasl.username, sasl.password and sasl.mechanism",
                username.as_deref().unwrap_or_default(),
                mechanism.as_str()
            ),
        }
    }
}

impl Sasl {
    fn check(&self, tls: bool) -> Result<(), &'static str> {
        let Self { mechanism, username, password, token } = self;
        let user = username.is_some() || password.is_some();
        match mechanism {
            Mechanism::OauthBearer if user => {
                Err("sasl OAUTHBEARER has no username and password: leave them out")
            }
            Mechanism::OauthBearer if token.is_none() => Err(
                "sasl OAUTHBEARER needs a token: set sasl.token, such as {file: /var/run/secrets/kafka/token}",
            ),
            Mechanism::OauthBearer if !tls => {
                Err("sasl OAUTHBEARER without tls would send the token in the clear: add tls")
            }
            Mechanism::OauthBearer => Ok(()),
            _ if token.is_some() => {
                Err("sasl.token is for OAUTHBEARER only: leave it out, or set the mechanism")
            }
            _ if username.is_none() || password.is_none() => {
                Err("sasl needs both username and password")
            }
            Mechanism::Plain if !tls => Err(
                "sasl PLAIN without tls would send the password in the clear: add tls, or use SCRAM",
            ),
            _ => Ok(()),
        }
    }
}

/// What Kafka takes for a topic's name.
const LONGEST_NAME: usize = 249;

fn is_name(name: &str) -> bool {
    let legal = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '_' | '-');
    (1..=LONGEST_NAME).contains(&name.len()) && name.chars().all(legal)
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
    fn topics_are_named_in_one_way() {
        let without = |more: Value| {
            let mut value = json!({"brokers": ["a:1"], "group": "g", "deadLetters": "falco.dead"});
            value.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
            from_value::<Config>(value).unwrap()
        };
        for right in [
            json!({"topic": "falco"}),
            json!({"topics": ["falco", "audit"]}),
            json!({"topicPattern": r"falco\.[0-9]+"}),
        ] {
            without(right).check().unwrap();
        }
        for (wrong, says) in [
            (json!({}), "no topic"),
            (json!({"topic": "a", "topics": ["b"]}), "only one of"),
            (json!({"topic": "a", "topicPattern": "b"}), "only one of"),
            (json!({"topic": ""}), "can't be a topic"),
            (json!({"topic": "^a"}), "can't be a topic"),
            (json!({"topics": ["a", "b", "a"]}), "named twice"),
            (json!({"topics": ["a", "falco.dead"]}), "without end"),
            (json!({"topicPattern": r"falco\..*"}), "topicPattern doesn't match"),
            (json!({"topicPattern": r"falco\d"}), r"`\d`".replace(r"\\", r"\").as_str()),
        ] {
            let error = without(wrong).check().unwrap_err();
            assert!(error.is_configuration() && error.to_string().contains(says), "{error}");
        }
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
            (json!({"sasl": {"mechanism": "SCRAM-SHA-256", "username": "u"}}), "needs both"),
            (json!({"sasl": {"mechanism": "OAUTHBEARER"}}), "set sasl.token"),
            (json!({"sasl": {"mechanism": "OAUTHBEARER", "token": "t"}}), "add tls"),
            (
                json!({"sasl": {"mechanism": "OAUTHBEARER", "token": "t", "username": "u"}}),
                "leave them out",
            ),
            (
                json!({"sasl": {"mechanism": "PLAIN", "username": "u", "password": "p", "token": "t"}}),
                "leave it out",
            ),
        ] {
            let error = with(wrong).unwrap().check().unwrap_err();
            assert!(error.is_configuration() && error.to_string().contains(says), "{error}");
        }
    }
}
