//! A subject of a JetStream stream that is only published to.

use async_nats::jetstream::{
    Error as ServerError, ErrorCode,
    context::{PublishError, PublishErrorKind},
};
use async_trait::async_trait;
use schemars::JsonSchema;
use serde::Deserialize;

use crate::{
    contract::Error,
    destination::{Outgoing, Unpublished},
};

use super::{
    config::{Auth, Config, Tls},
    publisher::Publisher,
    subject,
};

/// A subject to publish to. Core NATS, which says nothing of what became of a message, is no destination.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct DestinationConfig {
    /// `nats://host:port` or `tls://host:port` of some servers; the client finds the others.
    pub servers: Vec<String>,
    /// The JetStream stream that holds the subject, which has to be there.
    pub stream: String,
    /// The subject.
    pub subject: String,
    /// Who the client says it is, if the servers want to know.
    #[serde(default)]
    pub auth: Option<Auth>,
    /// TLS, if the servers want it. `{}` trusts the system's authorities.
    #[serde(default)]
    pub tls: Option<Tls>,
}

impl DestinationConfig {
    /// What a client of it is told, which has no consumer.
    pub fn client(&self) -> Config {
        Config {
            servers: self.servers.clone(),
            stream: Some(self.stream.clone()),
            consumer: Some("none".to_owned()),
            subject: Some(self.subject.clone()),
            queue: None,
            accept_loss: false,
            dead_letters: None,
            auth: self.auth.clone(),
            tls: self.tls.clone(),
        }
    }

    /// Whether it can work at all.
    ///
    /// # Errors
    /// It can't; the text says what to change.
    pub fn check(&self) -> Result<(), Error> {
        match subject::is_literal(&self.subject) {
            true => self.client().check(),
            false => Err(Error::Configuration(
                "subject has to be one subject, without wildcards: such as falco.sensitive"
                    .to_owned(),
            )),
        }
    }
}

/// The subject.
pub struct Destination {
    subject: String,
    publisher: Publisher,
}

impl Destination {
    /// A way to the subject. Connects when it is first used.
    ///
    /// # Errors
    /// The configuration can't work.
    pub fn new(config: &DestinationConfig) -> Result<Self, Error> {
        config.check()?;
        Ok(Self { subject: config.subject.clone(), publisher: Publisher::new(&config.client())? })
    }
}

#[async_trait]
impl crate::Destination for Destination {
    /// The id is the message's `Nats-Msg-Id`: within its stream's duplicate window it is taken once.
    async fn publish(&self, outgoing: Outgoing<'_>) -> Result<(), Unpublished> {
        let Outgoing { id, payload, headers } = outgoing;
        let (subject, publisher) = (self.subject.clone(), &self.publisher);
        let sent = publisher.publish_once(subject, payload, headers, Some(id)).await;
        sent.map_err(|error| match is_refused(&error) {
            true => Unpublished::Refused(Box::new(error)),
            false => Unpublished::Unavailable(Box::new(error)),
        })
    }
}

/// Whether the server will refuse the same message again.
fn is_refused(error: &Error) -> bool {
    let Error::Client { source, .. } = error else { return false };
    let Some(error) = source.downcast_ref::<PublishError>() else { return false };
    let server = std::error::Error::source(error).and_then(|source| source.downcast_ref());
    let too_large =
        [ErrorCode::STREAM_MESSAGE_EXCEEDS_MAXIMUM, ErrorCode::STREAM_HEADER_EXCEEDS_MAXIMUM];
    error.kind() == PublishErrorKind::MaxPayloadExceeded
        || server.is_some_and(|error: &ServerError| too_large.contains(&error.error_code()))
}
