//! What the stream still holds, read beside the consumer. A work queue holds what is not settled yet; the other
//! retentions more.

use async_trait::async_trait;
use jiff::Timestamp;

use crate::{contract::Error, history::History as Contract, message::Message};

use super::{
    client,
    config::{Config, Source},
    lookup,
    reader::Reader,
    subject,
};

/// The messages of a subscription's stream from some time on.
#[derive(Debug)]
pub struct History {
    reader: Reader,
    /// What the consumer wants of the stream; all, where it says nothing.
    filters: Vec<String>,
    total: u64,
}

/// Opens the history of a subscription, from the first message that the stream took at `since` or later. No consumer is
/// moved.
///
/// # Errors
/// The configuration can't work, core NATS keeps no history, the servers can't be asked, or the stream isn't there.
pub async fn history(config: &Config, since: Timestamp) -> Result<History, Error> {
    let Source::JetStream { stream, consumer } = config.source()? else {
        return Err(Error::Configuration(
            "core NATS keeps no message, so there is no history: only a stream has one".to_owned(),
        ));
    };
    let context = client::jetstream(client::once(config).await?);
    let found = lookup::found_consumer(&context, &stream, &consumer).await;
    let found = found.map_err(|missing| Error::Configuration(missing.into_text()))?;
    let filters = found.map_or_else(Vec::new, |info| {
        let one = Some(info.config.filter_subject).filter(|one| !one.is_empty());
        info.config.filter_subjects.into_iter().chain(one).collect()
    });
    let mut reader = Reader::open(&context, &stream).await?;
    reader.seek(since).await?;
    let total = reader.left();
    Ok(History { reader, filters, total })
}

#[async_trait]
impl Contract for History {
    async fn next(&mut self) -> Result<Option<Message>, Error> {
        while let Some(message) = self.reader.next().await? {
            let wanted = |filter: &String| subject::matches(filter, &message.subject);
            if self.filters.is_empty() || self.filters.iter().any(wanted) {
                return Ok(Some(self.reader.owned(&message)));
            }
        }
        Ok(None)
    }

    fn total(&self) -> Option<u64> {
        Some(self.total)
    }
}
