//! Reads a stream by sequence, beside its consumers: it needs none of its own, which a work queue would not allow, and
//! moves none.

use std::{collections::VecDeque, sync::Arc};

use async_nats::jetstream::{
    context::Context,
    message::StreamMessage,
    stream::{self, LastRawMessageErrorKind, Stream},
};
use futures::future::try_join_all;
use jiff::Timestamp;

use crate::{
    contract::Error,
    message::{Attempt, Message, MessageId},
};

use super::headers;

/// How many messages are asked for at once.
const PAGE: u64 = 16;

/// What a stream holds, up to what it held last when the reader was opened.
pub(super) struct Reader {
    stream: Stream<stream::Info>,
    name: Arc<str>,
    next: u64,
    page: VecDeque<StreamMessage>,
}

impl Reader {
    pub(super) async fn open(context: &Context, name: &str) -> Result<Self, Error> {
        let stream = context.get_stream(name).await;
        let stream = stream
            .map_err(|error| Error::client(format!("the stream {name} can't be read"), error))?;
        let next = stream.cached_info().state.first_sequence;
        Ok(Self { stream, name: name.into(), next, page: VecDeque::new() })
    }

    /// How many messages there are to read, gaps aside: at most so many.
    pub(super) fn left(&self) -> u64 {
        let state = &self.stream.cached_info().state;
        (state.last_sequence + 1).saturating_sub(self.next).min(state.messages)
    }

    /// Begins with the first message that the stream took at `since` or later.
    pub(super) async fn seek(&mut self, since: Timestamp) -> Result<(), Error> {
        let mut end = self.stream.cached_info().state.last_sequence + 1;
        while self.next < end {
            let middle = self.next + (end - self.next) / 2;
            match self.first_from(middle).await? {
                Some(message) if message.sequence < end && time(&message) < Some(since) => {
                    self.next = message.sequence + 1;
                }
                _ => end = middle,
            }
        }
        Ok(())
    }

    /// The next message and its subject. Cancel safe but for the work of a page.
    pub(super) async fn next(&mut self) -> Result<Option<StreamMessage>, Error> {
        if self.page.is_empty() {
            self.read_page().await?;
        }
        Ok(self.page.pop_front())
    }

    /// The message of that place, if it is there.
    pub(super) async fn at(&self, sequence: u64) -> Result<Option<StreamMessage>, Error> {
        self.judge(self.stream.get_raw_message(sequence).await)
    }

    /// Takes a message out. Gone already counts as done.
    pub(super) async fn remove(&self, sequence: u64) -> Result<(), Error> {
        if self.at(sequence).await?.is_none() {
            return Ok(());
        }
        let failed = format!("{sequence} can't be taken out of the stream {}", self.name);
        match self.stream.delete_message(sequence).await {
            Ok(true) => Ok(()),
            Ok(false) => Err(Error::client(failed, "it was not deleted")),
            Err(error) => Err(Error::client(failed, error)),
        }
    }

    /// As the worker would be delivered it.
    pub(super) fn owned(&self, message: &StreamMessage) -> Message {
        Message {
            id: MessageId::in_stream(self.name.clone(), message.sequence),
            payload: message.payload.clone(),
            key: None,
            headers: headers::owned(Some(&message.headers)),
            published: time(message),
            attempt: Attempt::Unknown,
        }
    }

    /// Over a gap in one step, and then several at once.
    async fn read_page(&mut self) -> Result<(), Error> {
        let last = self.stream.cached_info().state.last_sequence;
        if self.next > last {
            return Ok(());
        }
        let Some(first) = self.first_from(self.next).await? else {
            self.next = last + 1;
            return Ok(());
        };
        let begin = first.sequence;
        let end = (begin + PAGE).min(last + 1);
        self.next = end.max(begin + 1);
        if begin > last {
            return Ok(());
        }
        let rest = try_join_all((begin + 1..end).map(|sequence| self.at(sequence))).await?;
        self.page.push_back(first);
        self.page.extend(rest.into_iter().flatten());
        Ok(())
    }

    async fn first_from(&self, sequence: u64) -> Result<Option<StreamMessage>, Error> {
        let asked = self.stream.raw_message_builder().sequence(sequence).next_by_subject(">");
        self.judge(asked.send().await)
    }

    fn judge(
        &self,
        answer: Result<StreamMessage, stream::RawMessageError>,
    ) -> Result<Option<StreamMessage>, Error> {
        match answer {
            Ok(message) => Ok(Some(message)),
            Err(error) if error.kind() == LastRawMessageErrorKind::NoMessageFound => Ok(None),
            Err(error) => {
                Err(Error::client(format!("the stream {} can't be read now", self.name), error))
            }
        }
    }
}

fn time(message: &StreamMessage) -> Option<Timestamp> {
    Timestamp::from_nanosecond(message.time.unix_timestamp_nanos()).ok()
}

impl std::fmt::Debug for Reader {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Reader of {} at {}", self.name, self.next)
    }
}
