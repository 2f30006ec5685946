//! Messages that are durable when the future ends.

use async_nats::{
    Client,
    header::NATS_MESSAGE_ID,
    jetstream::{
        Error as ServerError, ErrorCode,
        context::{Context, PublishError, PublishErrorKind},
        message::PublishMessage,
    },
};
use bytes::Bytes;
use tokio::sync::OnceCell;

use crate::contract::Error;

use super::{
    client,
    config::{Config, Source},
    headers, subject,
};

/// Publishes to a subscription's subject. `Ok` means that its stream has the message; with core NATS, that it was sent.
pub struct Publisher {
    config: Config,
    source: Source,
    context: OnceCell<Context>,
}

impl Publisher {
    /// A publisher to the subscription's subject. Connects when it is first used.
    ///
    /// # Errors
    /// The configuration can't work.
    pub fn new(config: &Config) -> Result<Self, Error> {
        config.check()?;
        Ok(Self { config: config.clone(), source: config.source()?, context: OnceCell::new() })
    }

    /// Publishes to a subject that the subscription's `subject` takes in, and waits until it is durable. NATS knows no
    /// keys: one is left out.
    ///
    /// # Errors
    /// It may not be durable; it is not known whether it is.
    pub async fn publish(
        &self,
        _key: Option<&[u8]>,
        payload: &[u8],
        headers: &[(String, Bytes)],
    ) -> Result<(), Error> {
        self.publish_to(subject::example(self.config.subject()), payload, headers).await
    }

    /// Publishes to this very subject, and waits until it is durable.
    ///
    /// # Errors
    /// It may not be durable; it is not known whether it is.
    pub async fn publish_to(
        &self,
        subject: String,
        payload: &[u8],
        headers: &[(String, Bytes)],
    ) -> Result<(), Error> {
        self.publish_once(subject, payload, headers, None).await
    }

    /// Publishes to this very subject; a message that its stream has taken under the same id not long ago is not taken
    /// twice.
    pub(super) async fn publish_once(
        &self,
        subject: String,
        payload: &[u8],
        headers: &[(String, Bytes)],
        id: Option<&str>,
    ) -> Result<(), Error> {
        let connect = async || client::once(&self.config).await.map(client::jetstream);
        let context = self.context.get_or_try_init(connect).await?;
        let (mut headers, payload) = (headers::published(headers), Bytes::copy_from_slice(payload));
        if let Some(id) = id {
            headers.insert(NATS_MESSAGE_ID, id);
        }
        match &self.source {
            Source::JetStream { stream, .. } => {
                let message = PublishMessage::build().payload(payload).headers(headers);
                durably(context, stream, subject, message).await
            }
            Source::Core { .. } => sent(&context.client(), subject, payload, headers).await,
        }
    }
}

/// Publishes, and waits until that very stream has the message: another one that holds the subject doesn't take it.
pub(super) async fn durably(
    context: &Context,
    stream: &str,
    subject: String,
    message: PublishMessage,
) -> Result<(), Error> {
    let sent = context.send_publish(subject.clone(), message.expected_stream(stream)).await;
    let taken = match sent {
        Ok(sent) => sent.await,
        Err(error) => Err(error),
    };
    match taken {
        Ok(_) => Ok(()),
        Err(error) if is_anothers(&error) => Err(Error::Configuration(format!(
            "{subject} belongs to another stream than {stream}: set `subject` to one of its own"
        ))),
        Err(error) if error.kind() == PublishErrorKind::StreamNotFound => Err(Error::client(
            format!(
                "no stream holds {subject}: create it with `stoop setup`, or set `subject` to what {stream} holds"
            ),
            error,
        )),
        Err(error) => Err(Error::client(format!("publishing to {subject} failed"), error)),
    }
}

fn is_anothers(error: &PublishError) -> bool {
    let source = std::error::Error::source(error).and_then(|source| source.downcast_ref());
    source.is_some_and(|error: &ServerError| error.error_code() == ErrorCode::STREAM_NOT_MATCH)
}

async fn sent(
    client: &Client,
    subject: String,
    payload: Bytes,
    headers: async_nats::HeaderMap,
) -> Result<(), Error> {
    let failed = |error: Box<dyn std::error::Error + Send + Sync>| {
        Error::client(format!("publishing to {subject} failed"), error)
    };
    let published = client.publish_with_headers(subject.clone(), headers, payload).await;
    published.map_err(|error| failed(error.into()))?;
    client.flush().await.map_err(|error| failed(error.into()))
}
