//! The journal's dead letters as a tool sees them: in the worker that has the journal open, or from the file of one that
//! nobody runs on.

use std::{collections::VecDeque, time::Duration};

use async_trait::async_trait;
use bytes::Bytes;
use jiff::Timestamp;

use super::{
    Keeper, Monitor,
    batch::{Ended, Redriven as New},
    config::Config,
    ledger::wait,
    record::{Headers, Record, Sequence},
    store::{RedriveOutcome, Store},
};
use crate::{
    contract::Error,
    dead_letter::{Buried, DeadLetter, Queue},
    message::Attempt,
};

/// How many dead letters are read at once.
const PAGE: usize = 64;

/// How often a file that is in use is tried again, and how long it rests between.
const TRIES: usize = 20;
const REST: Duration = Duration::from_millis(50);

/// What became of a dead letter that was to be redriven.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Redriven {
    /// It is an event again.
    Done,
    /// It is not there, or not for these handlers: somebody was faster.
    NotThere,
    /// It stays: the journal holds as many events as it may.
    NoRoom,
}

impl Monitor {
    /// At most `limit` dead letters after `after`, in order of arrival; [`Sequence::default`] is before the first.
    ///
    /// # Errors
    /// The journal is closed or has stopped.
    pub async fn dead_letters(&self, after: Sequence, limit: usize) -> Result<Vec<Buried>, Error> {
        let shared = &self.keeper.shared;
        let found = wait(shared.inbox.list(after, limit)).await.map_err(unread)?;
        let buried = |(record, letter): (Record, DeadLetter)| Buried {
            place: record.sequence.to_string(),
            message: record.message(shared.stream.clone(), Attempt::Unknown),
            letter,
        };
        Ok(found.into_iter().map(buried).collect())
    }

    /// The dead letter of this sequence.
    ///
    /// # Errors
    /// As [`Monitor::dead_letters`].
    pub async fn dead_letter(&self, sequence: Sequence) -> Result<Option<Buried>, Error> {
        let next = self.dead_letters(sequence.previous(), 1).await?.pop();
        Ok(next.filter(|buried| buried.message.id.sequence() == sequence.get()))
    }

    /// Makes a dead letter an event again, in one transaction: for the handlers that failed, or for those of them that are
    /// named alone, and then it stays for the others.
    ///
    /// # Errors
    /// The journal is closed or has stopped, or a header of `more` is no text. The dead letter is still there.
    pub async fn redrive(
        &self,
        sequence: Sequence,
        handlers: &[String],
        more: &[(String, Bytes)],
    ) -> Result<Redriven, Error> {
        let Some(buried) = self.dead_letter(sequence).await? else { return Ok(Redriven::NotThere) };
        let buried = match handlers {
            [] => Some(buried),
            handlers => buried.narrowed(handlers).map(|(narrowed, _)| narrowed),
        };
        let Some(buried) = buried else { return Ok(Redriven::NotThere) };
        let text =
            |(name, value): (String, Bytes)| Some((name, String::from_utf8(value.into()).ok()?));
        let headers: Option<Headers> = buried.redrive_headers(more).into_iter().map(text).collect();
        let headers = headers.ok_or_else(|| Error::client("redriving", "a header is no text"))?;
        let new = New { at: Timestamp::now(), headers };
        let asked = self.keeper.shared.inbox.redrive(sequence, handlers.to_vec(), new);
        let outcome =
            wait(asked).await.map_err(|e| Error::client("redriving from the journal", e))?;
        Ok(match outcome {
            RedriveOutcome::Redriven(_) => Redriven::Done,
            RedriveOutcome::NotThere => Redriven::NotThere,
            RedriveOutcome::NoRoom => Redriven::NoRoom,
        })
    }

    /// Takes a dead letter out, and says whether it was there.
    ///
    /// # Errors
    /// The journal is closed or has stopped: it may still be there.
    pub async fn remove(&self, sequence: Sequence) -> Result<bool, Error> {
        let asked = self.keeper.shared.inbox.forget(sequence);
        wait(asked).await.map_err(|e| Error::client("dropping from the journal", e))
    }
}

fn unread(ended: Ended) -> Error {
    Error::client("reading the journal's dead letters", ended)
}

/// The dead letters of a journal that nobody runs on.
#[derive(Debug)]
pub struct DeadLetters {
    monitor: Monitor,
    last: Sequence,
    page: VecDeque<Buried>,
}

/// Opens the dead letters of a journal's file.
///
/// # Errors
/// There is no journal, or it can't be read, or a worker has it open.
pub async fn dead_letters(config: &Config) -> Result<DeadLetters, Error> {
    let monitor = open(config).await?;
    Ok(DeadLetters { monitor, last: Sequence::default(), page: VecDeque::new() })
}

/// Opens a journal's file, and makes none.
pub(super) async fn open(config: &Config) -> Result<Monitor, Error> {
    let folder = &config.path;
    if !folder.join("journal.redb").exists() {
        return Err(Error::Configuration(format!(
            "there is no journal in {}: see that `path` is right, seen from here",
            folder.display()
        )));
    }
    let mut tries = 0;
    let (store, recovered) = loop {
        let folder = folder.clone();
        let opened = tokio::task::spawn_blocking(move || Store::open(&folder)).await;
        match opened.map_err(|e| Error::client("opening the journal", e))? {
            // Whoever had it open a moment ago may not have let go of the file yet.
            Err(Error::Configuration(_)) if tries < TRIES => tries += 1,
            opened => break opened?,
        }
        tokio::time::sleep(REST).await;
    };
    Ok(Monitor { keeper: Keeper::start(store, recovered, config.capacity.into())? })
}

impl DeadLetters {
    async fn redrive_as_asked(
        &self,
        buried: &Buried,
        handlers: &[String],
        more: &[(String, Bytes)],
    ) -> Result<(), Error> {
        match self.monitor.redrive(place(buried)?, handlers, more).await? {
            // Who was faster has redriven it.
            Redriven::Done | Redriven::NotThere => Ok(()),
            Redriven::NoRoom => Err(Error::client(
                format!("the dead letter {} stays", buried.place),
                "the journal holds as many events as its `capacity` allows",
            )),
        }
    }
}

fn place(buried: &Buried) -> Result<Sequence, Error> {
    buried.place.parse().map_err(|e| Error::client(format!("{} is no place", buried.place), e))
}

#[async_trait]
impl Queue for DeadLetters {
    async fn next(&mut self) -> Result<Option<Buried>, Error> {
        if self.page.is_empty() {
            self.page = self.monitor.dead_letters(self.last, PAGE).await?.into();
        }
        let next = self.page.pop_front();
        if let Some(buried) = &next {
            self.last = place(buried)?;
        }
        Ok(next)
    }

    async fn redrive(&mut self, buried: &Buried, more: &[(String, Bytes)]) -> Result<(), Error> {
        self.redrive_as_asked(buried, &[], more).await
    }

    async fn redrive_for(
        &mut self,
        buried: &Buried,
        handlers: &[String],
        more: &[(String, Bytes)],
    ) -> Result<(), Error> {
        self.redrive_as_asked(buried, handlers, more).await
    }

    async fn remove(&mut self, buried: &Buried) -> Result<(), Error> {
        self.monitor.remove(place(buried)?).await.map(drop)
    }
}
