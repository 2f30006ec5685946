//! The stream of dead letters: durable first, and only then settled.

use std::sync::Arc;

use async_nats::{
    HeaderMap,
    header::NATS_MESSAGE_ID,
    jetstream::{
        Error as ServerError, ErrorCode,
        context::{Context, PublishError, PublishErrorKind},
        message::PublishMessage,
    },
};
use bytes::Bytes;

use crate::{
    contract::AckStrength,
    dead_letter::{DeadLetter, DeadLetterError},
    message::Message,
};

use super::{driver::Shared, headers, packing, term::Held};

/// Where a dead letter was published to at first.
pub(super) const SUBJECT: &str = "stoop-original-subject";

/// Which consumer gave it up; others may have done better.
const CONSUMER: &str = "stoop-consumer";

pub(super) struct DeadLetters {
    subject: String,
    shared: Arc<Shared>,
    ack: AckStrength,
}

/// Why a dead letter could not be made durable, and what to do.
#[derive(Debug, thiserror::Error)]
#[error("{what}")]
struct Failed {
    what: String,
    source: PublishError,
}

impl DeadLetters {
    pub(super) fn new(subject: String, shared: Arc<Shared>, ack: AckStrength) -> Self {
        Self { subject, shared, ack }
    }

    /// Publishes a dead letter and waits until its stream has it.
    pub(super) async fn write(
        &self,
        message: &Message,
        letter: &DeadLetter,
        held: Option<&Held>,
    ) -> Result<(), DeadLetterError> {
        let context = self.shared.context.borrow().clone();
        let Some(context) = context else {
            return Err(DeadLetterError::Unavailable("NATS is not connected yet".into()));
        };
        let mut all = letter.headers(message);
        let mut id = None;
        match held {
            Some(held) => {
                add(&mut all, SUBJECT, held.subject.to_string());
                add(&mut all, CONSUMER, held.term.consumer.to_string());
                id = Some(name(message, held));
            }
            None => add(&mut all, SUBJECT, message.id.stream().to_owned()),
        }
        let mut all = headers::published(&all);
        if let Some(id) = id {
            all.insert(NATS_MESSAGE_ID, id.as_str());
        }
        let mut taken = self.publish(&context, message.payload.clone(), all.clone()).await;
        // A body that came just so no longer does, with all these headers.
        if matches!(&taken, Err(error) if error.kind() == PublishErrorKind::MaxPayloadExceeded) {
            all.insert(packing::HEADER, packing::GZIP);
            taken = self.publish(&context, packing::packed(&message.payload), all).await;
        }
        match taken {
            // Core NATS has no streams to keep it: whoever listens has it, and acceptLoss was said.
            Err(error)
                if self.ack == AckStrength::None
                    && error.kind() == PublishErrorKind::StreamNotFound =>
            {
                Ok(())
            }
            taken => taken.map_err(|error| self.failed(error)),
        }
    }

    async fn publish(
        &self,
        context: &Context,
        payload: Bytes,
        headers: HeaderMap,
    ) -> Result<(), PublishError> {
        let publish = PublishMessage::build().payload(payload).headers(headers);
        context.send_publish(self.subject.clone(), publish).await?.await.map(drop)
    }

    fn failed(&self, source: PublishError) -> DeadLetterError {
        let subject = &self.subject;
        let code = server_error(&source).map(ServerError::error_code);
        let (refused, what) = match (source.kind(), code) {
            (PublishErrorKind::StreamNotFound, _) => (
                false,
                format!("no stream holds deadLetters {subject}: create one with `stoop setup`"),
            ),
            (PublishErrorKind::MaxPayloadExceeded, _) => (
                true,
                format!(
                    "a dead letter for {subject} is larger than the NATS server takes, compressed too: raise its max_payload"
                ),
            ),
            (
                _,
                Some(
                    ErrorCode::STREAM_MESSAGE_EXCEEDS_MAXIMUM
                    | ErrorCode::STREAM_HEADER_EXCEEDS_MAXIMUM,
                ),
            ) => (
                true,
                format!(
                    "the stream of {subject} takes no message so large: raise its max_msg_size"
                ),
            ),
            (_, Some(ErrorCode::STREAM_STORE_FAILED)) => (
                false,
                format!(
                    "the stream of {subject} is full: raise its limits, or redrive or drop some dead letters"
                ),
            ),
            _ => (false, format!("writing to {subject} failed")),
        };
        let failed = Box::new(Failed { what, source });
        match refused {
            true => DeadLetterError::Refused(failed),
            false => DeadLetterError::Unavailable(failed),
        }
    }
}

/// The name by which the server knows a dead letter that is written twice, because the first time's answer was lost. With
/// the time, for a stream made anew begins to count anew; and with the consumer, for another may have failed otherwise.
fn name(message: &Message, held: &Held) -> String {
    let time = held.published.map_or(0, |time| time.as_nanosecond());
    let (stream, sequence) = (message.id.stream(), message.id.sequence());
    format!("{stream}:{sequence}:{time}:{}", held.term.consumer)
}

fn add(headers: &mut Vec<(String, Bytes)>, name: &str, value: String) {
    headers.push((name.to_owned(), Bytes::from(value)));
}

fn server_error(error: &PublishError) -> Option<&ServerError> {
    std::error::Error::source(error)?.downcast_ref()
}
