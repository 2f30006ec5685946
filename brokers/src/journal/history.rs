//! What a journal still holds: what was given up, then what is not settled. What was settled is gone.

use std::collections::VecDeque;

use async_trait::async_trait;
use jiff::Timestamp;

use super::{Monitor, config::Config, ledger::wait, letters, record::Sequence};
use crate::{
    contract::Error,
    history::History as Contract,
    message::{Attempt, Message},
};

/// How many events are read at once.
const PAGE: usize = 64;

impl Monitor {
    /// At most `limit` unsettled events after `after`, in order of arrival; [`Sequence::default`] is before the first.
    ///
    /// # Errors
    /// The journal is closed or has stopped.
    pub async fn events(&self, after: Sequence, limit: usize) -> Result<Vec<Message>, Error> {
        let shared = &self.keeper.shared;
        let found = wait(shared.inbox.look(after, limit)).await;
        let found = found.map_err(|e| Error::client("reading the journal's events", e))?;
        let message =
            |record: super::record::Record| record.message(shared.stream.clone(), Attempt::Unknown);
        Ok(found.into_iter().map(message).collect())
    }
}

/// What a journal holds of some time on.
#[derive(Debug)]
pub struct History {
    monitor: Monitor,
    since: Timestamp,
    total: u64,
    step: Step,
    page: VecDeque<Message>,
}

/// How far it is read.
#[derive(Clone, Copy, Debug)]
enum Step {
    Dead(Sequence),
    Unsettled(Sequence),
    End,
}

/// Opens what a journal's file holds and was received at `since` or later.
///
/// # Errors
/// There is no journal, or it can't be read, or a worker has it open.
pub async fn history(config: &Config, since: Timestamp) -> Result<History, Error> {
    let monitor = letters::open(config).await?;
    let depth = monitor.depth();
    let total = depth.dead.messages + depth.unsettled.messages;
    let step = Step::Dead(Sequence::default());
    Ok(History { monitor, since, total, step, page: VecDeque::new() })
}

impl History {
    /// Reads on, and says whether there is more.
    async fn turn(&mut self) -> Result<bool, Error> {
        let last =
            |page: &[Message]| page.last().map(|message| Sequence::new(message.id.sequence()));
        let page: Vec<Message> = match self.step {
            Step::Dead(after) => {
                let found = self.monitor.dead_letters(after, PAGE).await?;
                let found: Vec<_> = found.into_iter().map(|buried| buried.message).collect();
                self.step = last(&found).map_or(Step::Unsettled(Sequence::default()), Step::Dead);
                found
            }
            Step::Unsettled(after) => {
                let found = self.monitor.events(after, PAGE).await?;
                self.step = last(&found).map_or(Step::End, Step::Unsettled);
                found
            }
            Step::End => return Ok(false),
        };
        self.page = page.into();
        Ok(true)
    }
}

#[async_trait]
impl Contract for History {
    async fn next(&mut self) -> Result<Option<Message>, Error> {
        loop {
            while let Some(message) = self.page.pop_front() {
                if message.published.is_none_or(|published| published >= self.since) {
                    return Ok(Some(message));
                }
            }
            if !self.turn().await? {
                return Ok(None);
            }
        }
    }

    fn total(&self) -> Option<u64> {
        Some(self.total)
    }
}
