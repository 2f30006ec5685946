//! Somewhere to publish to while the message that it is about is still held: settled only once this is durable.

use std::error::Error as StdError;

use async_trait::async_trait;
use bytes::Bytes;

/// A topic or subject that messages are published to.
#[async_trait]
pub trait Destination: Send + Sync {
    /// Publishes, and returns once the message is durable there. Connects when it is first used.
    ///
    /// # Errors
    /// It may not be durable; it is not known whether it is. Published again under the same id it may be there twice.
    async fn publish(&self, outgoing: Outgoing<'_>) -> Result<(), Unpublished>;
}

/// A message on its way out.
#[derive(Clone, Copy, Debug)]
pub struct Outgoing<'a> {
    /// The same for every copy of it: a broker that drops copies is told.
    pub id: &'a str,
    /// The body.
    pub payload: &'a [u8],
    /// Text, for Pub/Sub knows no other.
    pub headers: &'a [(String, Bytes)],
}

/// It may not be durable.
#[derive(Debug, thiserror::Error)]
pub enum Unpublished {
    /// The destination can't be reached now, or isn't there: the same message may be taken later.
    #[error("the destination can't be published to now")]
    Unavailable(#[source] Box<dyn StdError + Send + Sync>),
    /// It refuses this message, and will again.
    #[error("the destination refuses the message")]
    Refused(#[source] Box<dyn StdError + Send + Sync>),
}
