//! What the topic still holds, read beside the group.

use async_trait::async_trait;
use jiff::Timestamp;

use crate::{contract::Error, history::History as Contract, message::Message};

use super::{
    config::Config,
    reader::{Reader, Start},
};

/// The records of a subscription's topic from some time on.
#[derive(Debug)]
pub struct History(Reader);

/// Opens the history of a subscription, from the first record that was published at `since` or later. The group's position
/// stays where it is, and so do its members.
///
/// # Errors
/// The configuration can't work, the brokers can't be asked, or the topic isn't there.
pub async fn history(config: &Config, since: Timestamp) -> Result<History, Error> {
    Ok(History(Reader::open(config, &config.topics()?, Start::Time(since)).await?))
}

#[async_trait]
impl Contract for History {
    async fn next(&mut self) -> Result<Option<Message>, Error> {
        self.0.next().await
    }

    fn total(&self) -> Option<u64> {
        Some(self.0.total())
    }
}
