//! What a broker still holds of the past, read beside the group: no position moves, nothing is settled.

use std::fmt;

use async_trait::async_trait;

use crate::{contract::Error, message::Message};

/// The messages of a subscription that its broker still holds.
#[async_trait]
pub trait History: Send + fmt::Debug {
    /// The next message, in the broker's order, of those that were there when the history was opened; none at their end.
    ///
    /// # Errors
    /// The broker can't be read now.
    async fn next(&mut self) -> Result<Option<Message>, Error>;

    /// How many messages there are to read in all, as far as the broker knows: for showing progress.
    fn total(&self) -> Option<u64>;
}
