//! The topic of dead letters: durable, whole, and only then settled.

use std::sync::atomic::{AtomicUsize, Ordering};

use bytes::Bytes;
use rdkafka::error::{KafkaError, RDKafkaErrorCode};

use crate::{
    dead_letter::{DeadLetter, DeadLetterError},
    message::Message,
};

use super::{chunks::Chunks, producer::Producer};

/// The largest piece that is tried first, below the brokers' usual limit of a megabyte.
const PIECE: usize = 900 * 1024;

/// Pieces smaller than this aren't tried: it isn't the body that the broker refuses.
const LEAST_PIECE: usize = 4 * 1024;

pub(super) struct DeadLetters {
    topic: String,
    /// The consumer group that gave up; others may have done better.
    group: String,
    producer: Producer,
    /// What the topic has been seen to take.
    piece: AtomicUsize,
}

/// Why a record could not be made durable, and what to do.
#[derive(Debug, thiserror::Error)]
#[error("{what}")]
struct Failed {
    what: String,
    source: KafkaError,
}

impl DeadLetters {
    pub(super) fn new(topic: String, group: String, producer: Producer) -> Self {
        Self { topic, group, producer, piece: AtomicUsize::new(PIECE) }
    }

    /// Writes a dead letter: as one record, or in pieces where the topic takes none of that size.
    pub(super) async fn write(
        &self,
        message: &Message,
        letter: &DeadLetter,
    ) -> Result<(), DeadLetterError> {
        let mut headers = letter.headers(message);
        headers.push(("stoop-group".to_owned(), Bytes::from(self.group.clone())));
        let key = message.key.as_deref();
        match self.producer.send(&self.topic, key, &message.payload, &headers).await {
            Err(error) if is_too_large(&error) => self.write_in_pieces(message, &headers).await,
            report => report.map_err(|error| self.failed(error)),
        }
    }

    async fn write_in_pieces(
        &self,
        message: &Message,
        headers: &[(String, Bytes)],
    ) -> Result<(), DeadLetterError> {
        loop {
            let piece = self.piece.load(Ordering::Relaxed);
            match self.write_chunks(Chunks::of(message, headers, piece)).await {
                Err(error) if is_too_large(&error) && piece > LEAST_PIECE => {
                    self.piece.store(piece / 2, Ordering::Relaxed);
                }
                report => return report.map_err(|error| self.failed(error)),
            }
        }
    }

    async fn write_chunks(&self, chunks: Chunks<'_>) -> Result<(), KafkaError> {
        // One key for all, so that they share a partition, and in order.
        let key = chunks.set().to_owned();
        for (headers, body) in chunks {
            self.producer.send(&self.topic, Some(key.as_bytes()), body, &headers).await?;
        }
        Ok(())
    }

    fn failed(&self, source: KafkaError) -> DeadLetterError {
        use RDKafkaErrorCode as Code;
        let topic = &self.topic;
        let code = source.rdkafka_error_code();
        let what = match code {
            Some(Code::UnknownTopicOrPartition | Code::UnknownTopic | Code::UnknownPartition) => {
                format!("the dead-letter topic {topic} doesn't exist: create it with `stoop setup`")
            }
            Some(Code::TopicAuthorizationFailed | Code::ClusterAuthorizationFailed) => {
                format!(
                    "the broker doesn't let us write to {topic}: allow WRITE and DESCRIBE on it"
                )
            }
            Some(Code::MessageSizeTooLarge | Code::InvalidMessageSize) => {
                format!("{topic} takes not even the headers: raise its max.message.bytes")
            }
            _ => format!("writing to {topic} failed"),
        };
        let refused = is_refused(&source);
        let failed = Box::new(Failed { what, source });
        if refused {
            DeadLetterError::Refused(failed)
        } else {
            DeadLetterError::Unavailable(failed)
        }
    }
}

/// Whether the brokers will refuse the same record again.
pub(super) fn is_refused(error: &KafkaError) -> bool {
    use RDKafkaErrorCode as Code;
    is_too_large(error)
        || matches!(error.rdkafka_error_code(), Some(Code::InvalidRecord | Code::PolicyViolation))
}

fn is_too_large(error: &KafkaError) -> bool {
    use RDKafkaErrorCode as Code;
    let code = error.rdkafka_error_code();
    matches!(
        code,
        Some(Code::MessageSizeTooLarge | Code::InvalidMessageSize | Code::MessageBatchTooLarge)
    )
}
