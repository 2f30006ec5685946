//! The few numbers of librdkafka's statistics that are of use here.
//!
//! The client learns where logs end from what it fetches anyway; asking the brokers would cost a request a partition.
//! <https://github.com/confluentinc/librdkafka/blob/master/STATISTICS.md>

use std::{borrow::Cow, collections::HashMap};

use serde::Deserialize;

use super::assignments::{Marks, Partition};

#[derive(Deserialize)]
pub(super) struct Statistics<'a> {
    #[serde(borrow, default)]
    brokers: HashMap<Cow<'a, str>, Broker<'a>>,
    #[serde(borrow, default)]
    topics: HashMap<Cow<'a, str>, Topic<'a>>,
}

#[derive(Deserialize)]
struct Broker<'a> {
    #[serde(borrow)]
    state: Cow<'a, str>,
}

#[derive(Deserialize)]
struct Topic<'a> {
    #[serde(borrow, default)]
    partitions: HashMap<Cow<'a, str>, Log>,
}

#[derive(Deserialize)]
struct Log {
    partition: Partition,
    /// The end of what consumers may read; negative while unknown.
    ls_offset: i64,
}

impl Statistics<'_> {
    pub(super) fn any_broker_up(&self) -> bool {
        self.brokers.values().any(|broker| broker.state == "UP")
    }

    /// Where the topic's logs end, as far as that is known.
    pub(super) fn log_ends(&self, topic: &str) -> impl Iterator<Item = (Partition, i64)> {
        let logs = self.topics.get(topic).into_iter().flat_map(|topic| topic.partitions.values());
        logs.map(|log| (log.partition, log.ls_offset))
            .filter(|(partition, end)| *partition >= 0 && *end >= 0)
    }
}

/// How many offsets this worker's partitions are behind.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Lag {
    /// Not yet committed, or about to be: the work that is left. One slow message holds it up.
    pub committed: u64,
    /// Not yet received: the work that nobody has looked at.
    pub received: u64,
}

impl Lag {
    /// Over partitions. Where nothing was received nothing is known, and nothing is added.
    pub(super) fn of(marks: &[Marks]) -> Self {
        let behind = |end: i64, mark: i64| u64::try_from(end.max(mark) - mark).unwrap_or(0);
        marks.iter().filter(|marks| marks.received > 0).fold(Self::default(), |lag, marks| Self {
            committed: lag.committed + behind(marks.log_end, marks.completed),
            received: lag.received + behind(marks.log_end, marks.received),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_end_of_each_log_is_found() {
        let json = r#"{"name": "x", "brokers": {"a:1/1": {"state": "UP", "n": 1}}, "topics": {"t": {"partitions": {
            "0": {"partition": 0, "ls_offset": 7, "hi_offset": 9},
            "1": {"partition": 1, "ls_offset": -1001, "hi_offset": -1001},
            "-1": {"partition": -1, "ls_offset": 3, "hi_offset": 3}}}}}"#;
        let statistics: Statistics<'_> = serde_json::from_str(json).unwrap();
        assert!(statistics.any_broker_up());
        assert_eq!(statistics.log_ends("t").collect::<Vec<_>>(), [(0, 7)]);
        assert_eq!(statistics.log_ends("other").count(), 0);
    }

    #[test]
    fn lag_is_what_was_not_received_and_what_was_not_completed() {
        let marks = [
            Marks { log_end: 10, received: 8, completed: 5 },
            Marks { log_end: 100, received: 0, completed: 0 },
            Marks { log_end: 5, received: 6, completed: 6 },
        ];
        assert_eq!(Lag::of(&marks), Lag { committed: 5, received: 2 });
    }
}
