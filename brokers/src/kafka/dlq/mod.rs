//! The dead letters of a topic as a tool sees them.
//!
//! Kafka can't delete a record, so what was redriven or dropped gets a [mark](marks): a record of its own, after the letter
//! and in its partition, so that retention takes the letter first. Reading is done twice for it: once for the marks, and
//! then for the letters.

mod assembly;
mod marks;

use std::{
    collections::{BTreeSet, VecDeque},
    fmt,
    str::FromStr,
};

use async_trait::async_trait;
use bytes::Bytes;

use crate::{
    contract::Error,
    dead_letter::{Buried, Queue},
    message::{Message, MessageId},
};

use super::{
    config::Config,
    producer::Producer,
    reader::{Reader, Start},
    topics::Topics,
};

use self::{
    assembly::Assembly,
    marks::{Mark, Marks, What},
};

/// Where a dead letter lies. Its text is what a person names it by.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Place {
    partition: i32,
    offset: u64,
}

impl Place {
    fn of(id: &MessageId) -> Self {
        Self { partition: id.partition().unwrap_or_default(), offset: id.sequence() }
    }
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.partition, self.offset)
    }
}

impl FromStr for Place {
    type Err = ();

    fn from_str(text: &str) -> Result<Self, ()> {
        let (partition, offset) = text.split_once('/').ok_or(())?;
        let (partition, offset) = (partition.parse().map_err(drop)?, offset.parse().map_err(drop)?);
        Ok(Self { partition, offset })
    }
}

/// The dead letters of a subscription.
pub struct DeadLetters {
    topic: String,
    originals: Topics,
    reader: Reader,
    marks: Marks,
    assembly: Assembly,
    /// Those of which a part is missing, once all else is read.
    leftovers: Option<VecDeque<(Place, Message)>>,
    incomplete: BTreeSet<Place>,
    producer: Producer,
}

impl fmt::Debug for DeadLetters {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("DeadLetters").field("topic", &self.topic).finish_non_exhaustive()
    }
}

/// Opens the dead letters of a subscription, by a consumer that is in no group.
///
/// # Errors
/// The configuration can't work or names no topic for them, or the brokers can't be asked.
pub async fn dead_letters(config: &Config) -> Result<DeadLetters, Error> {
    let topic = config.dead_letters.clone().ok_or_else(|| {
        Error::Configuration("there is no topic for dead letters: set deadLetters".to_owned())
    })?;
    let mut marks = Marks::default();
    let own = Topics::Named(vec![topic.clone()]);
    let mut reader = Reader::open(config, &own, Start::Beginning).await?;
    while let Some(record) = reader.next().await? {
        marks.take(&record);
    }
    let reader = Reader::open(config, &own, Start::Beginning).await?;
    Ok(DeadLetters {
        topic,
        originals: config.topics()?,
        reader,
        marks,
        assembly: Assembly::default(),
        leftovers: None,
        incomplete: BTreeSet::new(),
        producer: Producer::new(config)?,
    })
}

impl DeadLetters {
    /// The next letter, whether it is marked or not.
    async fn letter(&mut self) -> Result<Option<(Place, Message)>, Error> {
        loop {
            if let Some(leftovers) = &mut self.leftovers {
                let left = leftovers.pop_front();
                self.incomplete.extend(left.iter().map(|(place, _)| *place));
                return Ok(left);
            }
            match self.reader.next().await? {
                None => self.leftovers = Some(self.assembly.leftovers().into()),
                Some(record) if Mark::is(&record) => {}
                Some(record) => {
                    if let Some(whole) = self.assembly.take(Place::of(&record.id), record) {
                        return Ok(Some(whole));
                    }
                }
            }
        }
    }

    async fn publish(&self, buried: &Buried, more: &[(String, Bytes)]) -> Result<(), Error> {
        let (message, place) = (&buried.message, &buried.place);
        if place.parse().is_ok_and(|place| self.incomplete.contains(&place)) {
            return Err(Error::client(
                format!("the dead letter {place} can't be redriven"),
                "a part of its body is missing",
            ));
        }
        // A record of somebody else says nothing of where it came from, or what it likes.
        let from = message.id.stream();
        let to = match from == self.topic {
            true => self.originals.first(),
            false => self.originals.contain(from).then_some(from),
        };
        let Some(to) = to else {
            return Err(Error::client(
                format!("the dead letter {place} can't be redriven"),
                format!("it came from {from}, which is no topic of this subscription"),
            ));
        };
        let (key, headers) = (message.key.as_deref(), buried.redriven(more));
        let sent = self.producer.send(to, key, &message.payload, &headers).await;
        sent.map_err(|e| Error::client(format!("publishing {place} to {to} failed"), e))
    }

    async fn mark(&self, buried: &Buried, what: What) -> Result<(), Error> {
        let place = Place::from_str(&buried.place).map_err(|()| {
            Error::client("marking a dead letter", format!("{} is no place", buried.place))
        })?;
        let mark = Mark { letter: place, message: buried.message.id.to_string(), what };
        let key = mark.key();
        let sent = self.producer.mark(&self.topic, place.partition, &key, &mark.headers()).await;
        sent.map_err(|e| Error::client(format!("marking {place} in {} failed", self.topic), e))
    }
}

#[async_trait]
impl Queue for DeadLetters {
    async fn next(&mut self) -> Result<Option<Buried>, Error> {
        while let Some((place, record)) = self.letter().await? {
            let buried = Buried::read(place.to_string(), record);
            if let Some(left) = self.marks.subtract(place, buried) {
                return Ok(Some(left));
            }
        }
        Ok(None)
    }

    async fn redrive(&mut self, buried: &Buried, more: &[(String, Bytes)]) -> Result<(), Error> {
        self.publish(buried, more).await?;
        self.mark(buried, What::Redriven(Vec::new())).await
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
        self.publish(&narrowed, more).await?;
        let what = if left.is_empty() { Vec::new() } else { narrowed.letter.failed };
        self.mark(buried, What::Redriven(what)).await
    }

    async fn remove(&mut self, buried: &Buried) -> Result<(), Error> {
        self.mark(buried, What::Dropped).await
    }
}

#[cfg(test)]
fn record(partition: i32, offset: u64, headers: Vec<(String, Bytes)>, payload: Bytes) -> Message {
    Message {
        id: MessageId::in_partition("dead".into(), partition, offset),
        payload,
        key: None,
        headers,
        published: None,
        attempt: crate::message::Attempt::Unknown,
    }
}
