//! What a subscription needs on the brokers: looks, says what is missing, and creates that. It never deletes, and never
//! changes what somebody else has set.

use std::{fmt, time::Duration};

use rdkafka::{
    admin::{AdminClient, AdminOptions, NewTopic, ResourceSpecifier, TopicReplication},
    client::DefaultClientContext,
    error::{KafkaError, RDKafkaErrorCode},
    producer::{FutureProducer, Producer as _},
    types::RDKafkaRespErr,
};

use crate::contract::Error;

use super::{
    config::Config,
    settings,
    token::{Quiet, Tokens},
    topics::{Pattern, Topics},
};

/// Whoever is asked, and told what to create.
struct Admin {
    /// Answers what there is.
    asked: FutureProducer<Quiet>,
    /// Creates, and knows settings. The client library's never gets a token, so with OAUTHBEARER there is none.
    told: Option<AdminClient<DefaultClientContext>>,
}

/// How long the brokers may take to answer.
const LIMIT: Duration = Duration::from_secs(15);

/// The partitions of a topic made here: as many workers can share it.
const PARTITIONS: i32 = 6;

/// What is missing.
#[derive(Clone, Debug)]
pub struct Plan {
    config: Config,
    topics: Vec<String>,
    changes: Vec<Change>,
}

/// One thing to be done on the brokers. Printing it says what.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Change {
    /// Create the topic of events.
    CreateTopic(String),
    /// Create the topic of dead letters.
    CreateDeadLetters(String),
}

impl fmt::Display for Change {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::CreateTopic(name) => {
                write!(f, "create the topic {name} with {PARTITIONS} partitions")
            }
            Self::CreateDeadLetters(name) => {
                write!(f, "create the dead-letter topic {name} with 1 partition, kept for ever")
            }
        }
    }
}

impl Change {
    fn topic(&self) -> NewTopic<'_> {
        // -1: as many replicas as the brokers think right.
        let replicas = TopicReplication::Fixed(-1);
        match self {
            Self::CreateTopic(name) => NewTopic::new(name, PARTITIONS, replicas),
            Self::CreateDeadLetters(name) => {
                NewTopic::new(name, 1, replicas).set("retention.ms", "-1")
            }
        }
    }
}

impl Plan {
    /// Looks at the brokers.
    ///
    /// # Errors
    /// They can't be asked, or a topic is set up in a way that would lose messages; the text says what to change.
    pub async fn of(config: &Config) -> Result<Self, Error> {
        let (admin, config) = (admin(config)?, config.clone());
        blocking(move || {
            let mut changes = Vec::new();
            let topics = match config.topics()? {
                Topics::Named(names) => names,
                Topics::Matching(pattern) => matching(&admin, &config, &pattern)?,
            };
            for name in &topics {
                if !found(&admin, &config, name)? {
                    changes.push(Change::CreateTopic(name.clone()));
                }
            }
            if let Some(name) = &config.dead_letters
                && !found(&admin, &config, name)?
            {
                changes.push(Change::CreateDeadLetters(name.clone()));
            }
            Ok(Self { config, topics, changes })
        })
        .await
    }

    /// The topics that the subscription is about: those named, or those that match its pattern now. A pattern creates none.
    pub fn topics(&self) -> &[String] {
        &self.topics
    }

    /// What is to be done, in order. Nothing if all is there.
    pub fn changes(&self) -> &[Change] {
        &self.changes
    }

    /// Does it. What somebody else has done meanwhile counts as done.
    ///
    /// # Errors
    /// The brokers refuse a change; those before it are done.
    pub async fn apply(self) -> Result<(), Error> {
        let admin = admin(&self.config)?;
        blocking(move || self.changes.iter().try_for_each(|change| make(&admin, change))).await
    }
}

fn admin(config: &Config) -> Result<Admin, Error> {
    let refused = |e| Error::Configuration(format!("Kafka's client refuses its settings: {e}"));
    let client = settings::admin(config)?;
    let asked = client.create_with_context(Quiet::of(Tokens::of(config))).map_err(refused)?;
    let by_token = config.sasl.as_ref().is_some_and(|sasl| sasl.token.is_some());
    let told = (!by_token).then(|| client.create()).transpose().map_err(refused)?;
    Ok(Admin { asked, told })
}

/// The admin client blocks, or has futures that can't move between threads.
async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, Error> + Send + 'static,
) -> Result<T, Error> {
    let done = tokio::task::spawn_blocking(work).await;
    done.map_err(|e| Error::client("asking Kafka was cut short", e))?
}

/// The topics there are that match.
fn matching(admin: &Admin, config: &Config, pattern: &Pattern) -> Result<Vec<String>, Error> {
    let metadata = admin.asked.client().fetch_metadata(None, LIMIT);
    let metadata = metadata.map_err(|e| unanswered(config, "all topics", code(&e)))?;
    let names = metadata.topics().iter().map(|topic| topic.name().to_owned());
    let mut names: Vec<_> = names.filter(|name| pattern.matches(name)).collect();
    names.sort_unstable();
    Ok(names)
}

/// Whether a topic is there, and fit.
fn found(admin: &Admin, config: &Config, name: &str) -> Result<bool, Error> {
    let unanswered = |code| unanswered(config, name, code);
    let metadata =
        admin.asked.client().fetch_metadata(Some(name), LIMIT).map_err(|e| unanswered(code(&e)))?;
    let error = metadata.topics().iter().find(|topic| topic.name() == name).and_then(|t| t.error());
    match error {
        None => check(admin, name).map(|()| true),
        Some(RDKafkaRespErr::RD_KAFKA_RESP_ERR_UNKNOWN_TOPIC_OR_PART) => Ok(false),
        Some(other) => Err(unanswered(RDKafkaErrorCode::from(other))),
    }
}

/// What a client's error is about: its own text says the same once more.
fn code(error: &KafkaError) -> RDKafkaErrorCode {
    error.rdkafka_error_code().unwrap_or(RDKafkaErrorCode::Unknown)
}

/// What to look at where Kafka does not say what a topic is like.
fn unanswered(config: &Config, name: &str, code: RDKafkaErrorCode) -> Error {
    use RDKafkaErrorCode as Code;
    let context = match code {
        // librdkafka says no more than this, also where it is not let in.
        Code::BrokerTransportFailure
        | Code::AllBrokersDown
        | Code::OperationTimedOut
        | Code::Resolve
        | Code::Authentication
        | Code::SSL => format!(
            "no Kafka broker answers at {}: see that it runs there, and that `brokers`, `tls` and `sasl` are what its listener wants",
            config.brokers.join(", ")
        ),
        _ => format!("asking Kafka about {name} failed"),
    };
    Error::client(context, code)
}

/// A compacted topic forgets all but the newest message of a key.
fn check(admin: &Admin, name: &str) -> Result<(), Error> {
    let Some(told) = &admin.told else {
        tracing::warn!(
            topic = name,
            "with OAUTHBEARER its settings can't be checked: its cleanup.policy has to be delete"
        );
        return Ok(());
    };
    let (topic, options) = ([ResourceSpecifier::Topic(name)], options());
    let described = tokio::runtime::Handle::current()
        .block_on(told.describe_configs(&topic, &options))
        .map_err(|e| {
            Error::client(format!("asking for the settings of {name} failed"), code(&e))
        })?;
    let policy = described
        .first()
        .and_then(|resource| resource.as_ref().ok()?.get("cleanup.policy")?.value.clone());
    if policy.is_some_and(|policy| policy.contains("compact")) {
        return Err(Error::Configuration(format!(
            "the topic {name} is compacted, which would lose messages that share a key: set its cleanup.policy to delete"
        )));
    }
    Ok(())
}

fn make(admin: &Admin, change: &Change) -> Result<(), Error> {
    let failed = |code| Error::client(format!("to {change} failed"), code);
    let Some(told) = &admin.told else {
        return Err(Error::Configuration(format!(
            "Kafka's client can't {change} with OAUTHBEARER: do it with Kafka's own tools, or with other credentials"
        )));
    };
    let (topic, options) = ([change.topic()], options());
    let created = tokio::runtime::Handle::current()
        .block_on(told.create_topics(&topic, &options))
        .map_err(|e| failed(code(&e)))?;
    match created.into_iter().next() {
        Some(Err((_, RDKafkaErrorCode::TopicAlreadyExists))) | Some(Ok(_)) => Ok(()),
        Some(Err((_, code))) => Err(failed(code)),
        None => Err(failed(RDKafkaErrorCode::Unknown)),
    }
}

fn options() -> AdminOptions {
    AdminOptions::new().request_timeout(Some(LIMIT)).operation_timeout(Some(LIMIT))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn brokers_that_do_not_answer_are_named_once() {
        let config = serde_json::json!({"brokers": ["a:1", "b:2"], "topic": "t", "group": "g"});
        let config: Config = serde_json::from_value(config).unwrap();
        let away = unanswered(&config, "t", RDKafkaErrorCode::BrokerTransportFailure);
        assert!(away.to_string().contains("answers at a:1, b:2"), "{away}");
        assert!(!away.to_string().contains("BrokerTransportFailure"), "the source says that");
        let other = unanswered(&config, "t", RDKafkaErrorCode::TopicAuthorizationFailed);
        assert!(other.to_string().contains("about t failed"), "{other}");
    }
}
