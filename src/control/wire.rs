//! What travels over the control port, as JSON. Bytes are base64.

use std::path::PathBuf;

use base64::{Engine as _, prelude::BASE64_STANDARD};
use brokers::{Attempt, DeadLetter, Message, MessageId, dead_letter::Buried};
use bytes::Bytes;
use jiff::Timestamp;
use serde::{Deserialize, Deserializer, Serialize, Serializer, de::Error as _};

/// An open journal.
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Journal {
    pub(super) name: String,
    pub(super) path: PathBuf,
}

/// A part of a list, and where to go on; nowhere at the end.
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Page<T> {
    pub(super) items: Vec<T>,
    pub(super) next: Option<u64>,
    /// How many there are in all, whether they are wanted or not.
    pub(super) total: u64,
}

/// A dead letter.
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Letter {
    pub(super) place: String,
    pub(super) letter: DeadLetter,
    pub(super) message: Event,
}

/// A message of a journal.
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Event {
    pub(super) stream: String,
    pub(super) sequence: u64,
    pub(super) received: Option<Timestamp>,
    pub(super) headers: Vec<(String, Encoded)>,
    pub(super) payload: Encoded,
}

/// What a redrive may say beside which letter.
#[derive(Debug, Default, Serialize, Deserialize)]
#[serde(default, rename_all = "camelCase", deny_unknown_fields)]
pub(super) struct Redrive {
    /// For these playbooks alone; for all that failed if none is named.
    pub(super) playbooks: Vec<String>,
    /// How old its event may be by now, such as `7d`.
    pub(super) max_age: Option<String>,
}

/// Why a request was refused.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct Refused {
    pub(super) error: String,
}

/// Bytes that need not be text.
#[derive(Debug)]
pub(super) struct Encoded(pub(super) Bytes);

impl Serialize for Encoded {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&BASE64_STANDARD.encode(&self.0))
    }
}

impl<'de> Deserialize<'de> for Encoded {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        BASE64_STANDARD.decode(text).map(|bytes| Self(bytes.into())).map_err(D::Error::custom)
    }
}

impl From<Message> for Event {
    fn from(message: Message) -> Self {
        let headers = message.headers.into_iter().map(|(name, value)| (name, Encoded(value)));
        Self {
            stream: message.id.stream().to_owned(),
            sequence: message.id.sequence(),
            received: message.published,
            headers: headers.collect(),
            payload: Encoded(message.payload),
        }
    }
}

impl From<Event> for Message {
    fn from(event: Event) -> Self {
        Self {
            id: MessageId::in_stream(event.stream.into(), event.sequence),
            payload: event.payload.0,
            key: None,
            headers: event.headers.into_iter().map(|(name, value)| (name, value.0)).collect(),
            published: event.received,
            attempt: Attempt::Unknown,
        }
    }
}

impl From<Buried> for Letter {
    fn from(buried: Buried) -> Self {
        Self { place: buried.place, letter: buried.letter, message: buried.message.into() }
    }
}

impl From<Letter> for Buried {
    fn from(letter: Letter) -> Self {
        Self { place: letter.place, letter: letter.letter, message: letter.message.into() }
    }
}
