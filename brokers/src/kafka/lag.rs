//! How far this worker is behind, asked of the brokers now and then, off the message path.

use std::{
    sync::{Arc, Weak},
    time::Duration,
};

use rdkafka::{consumer::Consumer as _, error::KafkaResult};

use super::{
    assignments::{Assignments, Marks},
    context::Consumer,
    health::Monitor,
};

/// How often the brokers are asked.
const EVERY: Duration = Duration::from_secs(5);

/// How long a broker may take to answer.
const LIMIT: Duration = Duration::from_secs(3);

/// How many offsets this worker's partitions are behind.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Lag {
    /// Not yet committed, or about to be: the work that is left. One slow message holds it up.
    pub committed: u64,
    /// Not yet received: the work that nobody has looked at.
    pub received: u64,
}

/// How far one partition is behind.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PartitionLag {
    /// The topic.
    pub topic: Arc<str>,
    /// The partition's number in it.
    pub partition: i32,
    /// How far.
    pub lag: Lag,
}

impl Lag {
    pub(super) fn of(marks: &[Marks]) -> Self {
        let behind = |end: i64, mark: i64| u64::try_from(end.saturating_sub(mark)).unwrap_or(0);
        marks.iter().fold(Self::default(), |lag, marks| Self {
            committed: lag.committed + behind(marks.log_end, marks.completed),
            received: lag.received + behind(marks.log_end, marks.received),
        })
    }
}

/// Asks where logs end, and notices when brokers that were away answer.
pub(super) struct Survey {
    /// One of the subscription's topics, if it names any.
    pub(super) topic: Option<String>,
    pub(super) assignments: Arc<Assignments>,
    pub(super) monitor: Arc<Monitor>,
    pub(super) consumer: Weak<Consumer>,
}

impl Survey {
    /// Asks now and then, until the consumer is gone.
    pub(super) async fn run(self) {
        let survey = Arc::new(self);
        loop {
            tokio::time::sleep(EVERY).await;
            let Some(consumer) = survey.consumer.upgrade() else { return };
            let asking = survey.clone();
            let asked = tokio::task::spawn_blocking(move || asking.ask(&consumer)).await;
            if let Ok(Err(error)) = asked {
                tracing::debug!(%error, "asking how far behind we are failed");
            }
        }
    }

    fn ask(&self, consumer: &Consumer) -> KafkaResult<()> {
        if self.monitor.is_away() {
            consumer.fetch_metadata(self.topic.as_deref(), LIMIT)?;
            self.monitor.reached();
        }
        for place in self.assignments.flowing() {
            let Some(name) = self.assignments.name(place) else { continue };
            let (start, end) = consumer.fetch_watermarks(&name.topic, name.partition, LIMIT)?;
            self.assignments.set_log(place, start, end);
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lag_is_what_was_not_received_and_what_was_not_completed() {
        let marks = [
            Marks { log_end: 10, received: 8, completed: 5 },
            Marks { log_end: 5, received: 6, completed: 6 },
        ];
        assert_eq!(Lag::of(&marks), Lag { committed: 5, received: 2 });
    }
}
