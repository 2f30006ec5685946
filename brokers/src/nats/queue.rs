//! The dead letters as a tool sees them. Each is one message of its stream; one that was redriven or dropped is deleted.

use async_nats::{
    header::NATS_MESSAGE_ID,
    jetstream::{
        context::Context,
        message::{PublishMessage, StreamMessage},
    },
};
use async_trait::async_trait;
use bytes::Bytes;

use crate::{
    contract::Error,
    dead_letter::{Buried, Queue as Contract},
};

use super::{
    client,
    config::{Config, Source},
    dead_letters::SUBJECT,
    headers, lookup, packing,
    publisher::{Publisher, durably},
    reader::Reader,
    subject,
};

/// Names the handlers that a dead letter is for.
const FAILED: &str = "stoop-failed";

/// The dead letters of one subscription.
pub struct Queue {
    context: Context,
    reader: Reader,
    publisher: Publisher,
    /// Where dead letters are published to: their stream may hold other things as well.
    subject: String,
    stream: String,
    /// Where a message goes whose dead letter doesn't say where it came from.
    otherwise: String,
}

/// Opens the dead letters of a subscription.
///
/// # Errors
/// The configuration can't work or names none, the servers can't be asked, or no stream holds them.
pub async fn dead_letters(config: &Config) -> Result<Queue, Error> {
    let Some(subject) = config.dead_letters.clone() else {
        return Err(Error::Configuration(
            "the subscription has no deadLetters: name a subject".into(),
        ));
    };
    let context = client::jetstream(client::once(config).await?);
    let events = match config.source()? {
        Source::JetStream { stream, .. } => Some(stream),
        Source::Core { .. } => None,
    };
    let found = lookup::dead_letters(&context, &subject, events.as_deref()).await;
    let stream = found.map_err(|missing| Error::Configuration(missing.into_text()))?;
    let stream = stream.ok_or_else(|| {
        Error::Configuration(format!(
            "no stream holds deadLetters {subject}: create one with `stoop setup`"
        ))
    })?;
    let reader = Reader::open(&context, &stream).await?;
    let otherwise = subject::example(config.subject());
    Ok(Queue { context, reader, publisher: Publisher::new(config)?, subject, stream, otherwise })
}

impl Queue {
    /// The dead letter as it lies in its stream.
    async fn record(&self, buried: &Buried) -> Result<StreamMessage, Error> {
        let record = self.reader.at(sequence(buried)?).await?;
        record.ok_or_else(|| {
            Error::client(format!("redriving {}", buried.place), "it is not there any more")
        })
    }

    /// Publishes the message again where it came from; once, however often this is tried within the stream's window.
    async fn publish(
        &self,
        buried: &Buried,
        record: &StreamMessage,
        more: &[(String, Bytes)],
    ) -> Result<(), Error> {
        let original = record.headers.get(SUBJECT).map(|subject| subject.as_str().to_owned());
        let subject = original.unwrap_or_else(|| self.otherwise.clone());
        let (time, whom) = (record.time.unix_timestamp_nanos(), buried.letter.failed.join(","));
        let id = format!("{}:{}:{time}:{whom}", self.stream, record.sequence);
        let (payload, headers) = (&buried.message.payload, buried.redriven(more));
        self.publisher.publish_once(subject, payload, &headers, Some(&id)).await
    }

    /// Lays the dead letter down again for `handlers` alone.
    async fn bury_for(&self, record: &StreamMessage, handlers: &[String]) -> Result<(), Error> {
        let all = headers::owned(Some(&record.headers));
        let mut all = headers::published(&all);
        all.insert(FAILED, handlers.join(",").as_str());
        let time = record.time.unix_timestamp_nanos();
        let id = format!("{}:{}:{time}:left", self.stream, record.sequence);
        all.insert(NATS_MESSAGE_ID, id.as_str());
        let message = PublishMessage::build().payload(record.payload.clone()).headers(all);
        durably(&self.context, &self.stream, self.subject.clone(), message).await
    }
}

#[async_trait]
impl Contract for Queue {
    async fn next(&mut self) -> Result<Option<Buried>, Error> {
        while let Some(record) = self.reader.next().await? {
            if record.subject.as_str() == self.subject {
                let place = record.sequence.to_string();
                let mut message = self.reader.owned(&record);
                if record
                    .headers
                    .get(packing::HEADER)
                    .is_some_and(|as_| as_.as_str() == packing::GZIP)
                {
                    message.payload = packing::unpacked(&message.payload).map_err(|error| {
                        Error::client(format!("the dead letter {place} can't be unpacked"), error)
                    })?;
                }
                return Ok(Some(Buried::read(place, message)));
            }
        }
        Ok(None)
    }

    async fn redrive(&mut self, buried: &Buried, more: &[(String, Bytes)]) -> Result<(), Error> {
        let record = self.record(buried).await?;
        self.publish(buried, &record, more).await?;
        self.reader.remove(record.sequence).await
    }

    async fn redrive_for(
        &mut self,
        buried: &Buried,
        handlers: &[String],
        more: &[(String, Bytes)],
    ) -> Result<(), Error> {
        let Some((narrowed, left)) = buried.narrowed(handlers) else {
            return Err(Error::client(
                format!("redriving {}", buried.place),
                "none of these playbooks failed on it",
            ));
        };
        let record = self.record(buried).await?;
        self.publish(&narrowed, &record, more).await?;
        if !left.is_empty() {
            self.bury_for(&record, &left).await?;
        }
        self.reader.remove(record.sequence).await
    }

    async fn remove(&mut self, buried: &Buried) -> Result<(), Error> {
        self.reader.remove(sequence(buried)?).await
    }
}

fn sequence(buried: &Buried) -> Result<u64, Error> {
    buried.place.parse().map_err(|error| {
        Error::client(format!("{} is no place of a dead letter", buried.place), error)
    })
}

impl std::fmt::Debug for Queue {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Queue of {}", self.subject)
    }
}
