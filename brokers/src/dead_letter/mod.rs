//! Why a message was given up, the headers that say so on a broker, and those that bring it back.

mod queue;
mod read;
mod redrive;

use bytes::Bytes;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::message::Message;

pub use queue::{Buried, Queue};
pub use redrive::{MAX_AGE, max_age, meant_for};

/// The longest error text that travels in a header, in bytes; the rest is cut.
const ERROR_LIMIT: usize = 1024;

/// What the names of our headers begin with.
const PREFIX: &str = "stoop-";

/// The header that names the handlers that failed.
const FAILED: &str = "failed";

/// Why a message goes to the dead letters. The message itself travels beside it, byte for byte.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct DeadLetter {
    /// A label from a closed set of the caller's: `malformed`, `failed`, …
    pub reason: String,
    /// What went wrong, for a person.
    pub error: String,
    /// How often the work was tried.
    pub attempts: u32,
    /// When it first failed.
    pub first_failed: Timestamp,
    /// When it last failed.
    pub last_failed: Timestamp,
    /// The handlers that failed, and so those that a redrive runs again; empty means all.
    pub failed: Vec<String>,
    /// Who gave up.
    pub worker: String,
}

/// The dead letter is not durable. The message is still held, and not settled.
#[derive(Debug, thiserror::Error)]
pub enum DeadLetterError {
    /// The place for dead letters can't be reached now; the message stays with the caller, to be tried again.
    #[error("the dead letters can't be written now")]
    Unavailable(#[source] Box<dyn std::error::Error + Send + Sync>),
    /// It refuses this message, and will again.
    #[error("the dead letter is refused")]
    Refused(#[source] Box<dyn std::error::Error + Send + Sync>),
}

impl DeadLetter {
    /// The headers of the dead letter: the message's own, then where it came from, then why it is here. Those of an earlier
    /// dead letter give way.
    pub fn headers(&self, message: &Message) -> Vec<(String, Bytes)> {
        let own = |(name, _): &&(String, Bytes)| !name.starts_with(PREFIX);
        let mut headers: Vec<_> = message.headers.iter().filter(own).cloned().collect();
        let mut add = |name: &str, value: String| {
            headers.push((format!("{PREFIX}{name}"), Bytes::from(value)))
        };
        add("message-id", message.id.to_string());
        add("original-stream", message.id.stream().to_owned());
        if let Some(partition) = message.id.partition() {
            add("original-partition", partition.to_string());
        }
        let sequence = || message.id.sequence().to_string();
        add("original-sequence", message.id.name().map_or_else(sequence, str::to_owned));
        if let Some(published) = message.published {
            add("original-time", published.to_string());
        }
        add("reason", self.reason.clone());
        add("error", cut(&self.error, ERROR_LIMIT).to_owned());
        add("attempts", self.attempts.to_string());
        add("first-failed", self.first_failed.to_string());
        add("last-failed", self.last_failed.to_string());
        if !self.failed.is_empty() {
            add(FAILED, self.failed.join(","));
        }
        add("worker", self.worker.clone());
        headers
    }
}

fn cut(text: &str, limit: usize) -> &str {
    text.get(..text.floor_char_boundary(limit)).unwrap_or(text)
}
