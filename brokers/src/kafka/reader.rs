//! Topics read from outside of any group: from somewhere up to their end as of opening. Commits nothing, joins nothing.

use std::{
    collections::{BTreeMap, VecDeque},
    fmt,
    sync::Arc,
    time::Duration,
};

use jiff::Timestamp;
use rdkafka::{
    Message as _, Offset, TopicPartitionList,
    consumer::{Consumer as _, StreamConsumer},
    error::{KafkaError, KafkaResult},
};

use crate::{
    contract::Error,
    message::{Attempt, Message},
};

use super::{
    config::Config,
    health::{Outage, subject},
    receiver::owned,
    settings,
    token::{Quiet, Tokens},
    topics::Topics,
};

/// How long the brokers may take to answer, and how long they may have nothing to say in the middle of a topic.
const PATIENCE: Duration = Duration::from_secs(30);

type Consumer = StreamConsumer<Quiet>;

/// Where to begin.
#[derive(Clone, Copy, Debug)]
pub(super) enum Start {
    /// With the first record that there is.
    Beginning,
    /// With the first record of this time or later.
    Time(Timestamp),
}

/// Reads topics one after the other.
pub(super) struct Reader {
    consumer: Option<Arc<Consumer>>,
    /// The topic being read, and where each of its partitions ends that is not read yet.
    topic: Arc<str>,
    open: BTreeMap<i32, i64>,
    waiting: VecDeque<Stretch>,
    /// What to say where the broker doesn't take our credentials.
    refused: String,
    total: u64,
}

/// What there is to read of a topic: by partition, from where to where.
struct Stretch {
    topic: String,
    partitions: BTreeMap<i32, (i64, i64)>,
}

impl Stretch {
    fn len(&self) -> u64 {
        let records = |(from, to): &(i64, i64)| u64::try_from(to - from).unwrap_or_default();
        self.partitions.values().map(records).sum()
    }
}

impl fmt::Debug for Reader {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut debug = f.debug_struct("Reader");
        debug.field("topic", &self.topic).field("open", &self.open).finish_non_exhaustive()
    }
}

impl Reader {
    /// Looks where the topics begin and end.
    ///
    /// # Errors
    /// The brokers can't be asked, or a topic is not there.
    pub(super) async fn open(
        config: &Config,
        topics: &Topics,
        start: Start,
    ) -> Result<Self, Error> {
        let refused = |e| Error::Configuration(format!("Kafka's client refuses its settings: {e}"));
        let consumer: Consumer = settings::reader(config)?
            .create_with_context(Quiet::of(Tokens::of(config)))
            .map_err(refused)?;
        let consumer = Arc::new(consumer);
        let (asking, topics, refused) = (consumer.clone(), topics.clone(), config.refused());
        let asked = tokio::task::spawn_blocking(move || {
            names(&asking, topics)?
                .into_iter()
                .map(|topic| survey(&asking, topic, start, &refused))
                .collect()
        });
        let waiting: Result<VecDeque<Stretch>, Error> =
            asked.await.map_err(|e| Error::client("asking Kafka was cut short", e))?;
        let waiting = waiting?;
        let total = waiting.iter().map(Stretch::len).sum();
        Ok(Self {
            consumer: Some(consumer),
            topic: Arc::from(""),
            open: BTreeMap::new(),
            refused: config.refused(),
            waiting,
            total,
        })
    }

    /// How many offsets there were to read. Some may hold no record.
    pub(super) fn total(&self) -> u64 {
        self.total
    }

    /// The next record, in order within each partition; none at the end.
    ///
    /// # Errors
    /// The brokers refuse us, or don't answer.
    pub(super) async fn next(&mut self) -> Result<Option<Message>, Error> {
        let Some(consumer) = self.consumer.clone() else { return Ok(None) };
        loop {
            // A topic may have nothing to read.
            while self.open.is_empty() {
                if !self.begin(&consumer)? {
                    return Ok(None);
                }
            }
            let received = tokio::time::timeout(PATIENCE, consumer.recv()).await;
            let received = received.map_err(|_| {
                let seconds = PATIENCE.as_secs();
                Error::client(
                    format!("reading {} stopped in the middle", self.topic),
                    format!("the Kafka brokers have said nothing for {seconds} s"),
                )
            })?;
            match received {
                Ok(message) => {
                    let (partition, offset) = (message.partition(), message.offset());
                    let Some(end) = self.open.get(&partition).copied() else { continue };
                    if offset + 1 >= end {
                        self.close(&consumer, partition);
                    }
                    if offset < end {
                        return Ok(Some(owned(&message, self.topic.clone(), Attempt::Unknown)));
                    }
                }
                // What is left of it holds no records: transaction markers, or what was compacted.
                Err(KafkaError::PartitionEOF(partition)) => self.close(&consumer, partition),
                Err(error) => self.survive(error)?,
            }
        }
    }

    /// Begins with the next topic, if there is one.
    fn begin(&mut self, consumer: &Consumer) -> Result<bool, Error> {
        let Some(stretch) = self.waiting.pop_front() else { return Ok(false) };
        let mut list = TopicPartitionList::with_capacity(stretch.partitions.len());
        for (partition, (from, to)) in &stretch.partitions {
            self.open.insert(*partition, *to);
            list.add_partition_offset(&stretch.topic, *partition, Offset::Offset(*from))
                .map_err(|e| Error::client(format!("reading {}", stretch.topic), e))?;
        }
        consumer
            .assign(&list)
            .map_err(|e| Error::client(format!("reading {}", stretch.topic), e))?;
        self.topic = Arc::from(stretch.topic);
        Ok(true)
    }

    /// No more of this partition: what was published since is not wanted.
    fn close(&mut self, consumer: &Consumer, partition: i32) {
        self.open.remove(&partition);
        let mut list = TopicPartitionList::with_capacity(1);
        list.add_partition(&self.topic, partition);
        if let Err(error) = consumer.pause(&list) {
            tracing::debug!(%error, partition, "it goes on being fetched for nothing");
        }
    }

    fn survive(&self, error: KafkaError) -> Result<(), Error> {
        match Outage::of(&error, &subject(&self.topic), &self.refused) {
            // It may come back, and if it doesn't, patience ends.
            Some(Outage::Unreachable) | None => {
                tracing::debug!(%error, "reading failed; the client goes on");
                Ok(())
            }
            Some(outage) => Err(Error::client(outage.what().to_owned(), error)),
        }
    }
}

impl Drop for Reader {
    /// Closing waits for the client's threads: not on one that others need.
    fn drop(&mut self) {
        let consumer = self.consumer.take();
        if let Ok(runtime) = tokio::runtime::Handle::try_current() {
            runtime.spawn_blocking(move || drop(consumer));
        }
    }
}

/// The topics that there are.
fn names(consumer: &Consumer, topics: Topics) -> Result<Vec<String>, Error> {
    let pattern = match topics {
        Topics::Named(names) => return Ok(names),
        Topics::Matching(pattern) => pattern,
    };
    let failed = |e: KafkaError| Error::client("asking Kafka which topics there are failed", e);
    let metadata = consumer.fetch_metadata(None, PATIENCE).map_err(failed)?;
    let names = metadata.topics().iter().map(|topic| topic.name());
    Ok(names.filter(|name| pattern.matches(name)).map(str::to_owned).collect())
}

/// Where a topic begins and ends.
fn survey(
    consumer: &Consumer,
    topic: String,
    start: Start,
    refused: &str,
) -> Result<Stretch, Error> {
    let failed = |error: KafkaError| match Outage::of(&error, &subject(&topic), refused) {
        Some(outage) => Error::client(outage.what().to_owned(), error),
        None => Error::client(format!("asking Kafka about the topic {topic} failed"), error),
    };
    let partitions = partitions(consumer, &topic).map_err(failed)?;
    let begins = match start {
        Start::Beginning => BTreeMap::new(),
        Start::Time(since) => offsets(consumer, &topic, &partitions, since).map_err(failed)?,
    };
    let mut stretch = Stretch { topic: topic.clone(), partitions: BTreeMap::new() };
    for partition in partitions {
        let (first, end) =
            consumer.fetch_watermarks(&topic, partition, PATIENCE).map_err(failed)?;
        let from = match start {
            Start::Beginning => first,
            // Nothing is as young as that.
            Start::Time(_) => begins.get(&partition).map_or(end, |from| (*from).max(first)),
        };
        if from < end {
            stretch.partitions.insert(partition, (from, end));
        }
    }
    Ok(stretch)
}

fn partitions(consumer: &Consumer, topic: &str) -> KafkaResult<Vec<i32>> {
    let metadata = consumer.fetch_metadata(Some(topic), PATIENCE)?;
    let Some(found) = metadata.topics().iter().find(|found| found.name() == topic) else {
        return Ok(Vec::new());
    };
    match found.error() {
        Some(error) => Err(KafkaError::MetadataFetch(error.into())),
        None => Ok(found.partitions().iter().map(|partition| partition.id()).collect()),
    }
}

/// The first offset of `since` or later of each partition that has one.
fn offsets(
    consumer: &Consumer,
    topic: &str,
    partitions: &[i32],
    since: Timestamp,
) -> KafkaResult<BTreeMap<i32, i64>> {
    let mut list = TopicPartitionList::with_capacity(partitions.len());
    for partition in partitions {
        // The client takes the time where an offset stands.
        list.add_partition_offset(topic, *partition, Offset::Offset(since.as_millisecond()))?;
    }
    let mut found = BTreeMap::new();
    for element in consumer.offsets_for_times(list, PATIENCE)?.elements() {
        element.error()?;
        if let Offset::Offset(offset) = element.offset() {
            found.insert(element.partition(), offset);
        }
    }
    Ok(found)
}
