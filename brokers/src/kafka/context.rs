//! What librdkafka calls back. All of it runs inside the receiver's poll, so nothing here may block or wait.

use std::sync::{
    Arc,
    atomic::{AtomicBool, Ordering},
};

use rdkafka::{
    ClientContext, TopicPartitionList,
    config::RDKafkaLogLevel,
    consumer::{BaseConsumer, Consumer as _, ConsumerContext, StreamConsumer},
    error::{KafkaError, KafkaResult},
    types::RDKafkaRespErr,
};
use tokio::sync::mpsc;

use super::{
    assignments::{Assignments, Partition},
    health::{Monitor, Outage},
};

/// The consumer as the rest of the module knows it.
pub(super) type Consumer = StreamConsumer<Context>;

/// What the callbacks work on.
pub(super) struct Context {
    pub(super) topic: Arc<str>,
    pub(super) assignments: Arc<Assignments>,
    pub(super) monitor: Arc<Monitor>,
    /// Takes partitions that are asked back to the task that drains them.
    pub(super) revoked: mpsc::UnboundedSender<Vec<Partition>>,
    /// No messages are wanted now; partitions that come meanwhile are paused too.
    pub(super) paused: AtomicBool,
    /// We are leaving: what is asked back goes at once, for nobody polls for long enough to drain.
    pub(super) leaving: AtomicBool,
}

impl Context {
    fn assign(&self, consumer: &BaseConsumer<Self>, list: &TopicPartitionList) {
        let partitions = numbers(list);
        self.assignments.assign(&partitions);
        if let Err(error) = consumer.incremental_assign(list) {
            tracing::error!(%error, ?partitions, "taking partitions failed");
            self.assignments.end(&partitions);
            return;
        }
        // A partition that was paused when it was asked back is still paused when it comes again.
        let paused = self.paused.load(Ordering::Acquire);
        let told = if paused { consumer.pause(list) } else { consumer.resume(list) };
        if let Err(error) = told {
            tracing::warn!(%error, ?partitions, paused, "pausing or resuming new partitions failed");
        }
        self.monitor.connected();
        tracing::info!(topic = &*self.topic, ?partitions, "partitions assigned");
    }

    fn revoke(&self, consumer: &BaseConsumer<Self>, list: &TopicPartitionList) {
        let partitions = numbers(list);
        let lost = consumer.assignment_lost();
        tracing::info!(topic = &*self.topic, ?partitions, lost, "partitions asked back");
        if !lost && !self.leaving.load(Ordering::Acquire) {
            pause(consumer, list);
            self.assignments.close(&partitions);
            if self.revoked.send(partitions.clone()).is_ok() {
                return;
            }
        }
        self.assignments.end(&partitions);
        if let Err(error) = consumer.incremental_unassign(list) {
            tracing::debug!(%error, "giving partitions back failed");
        }
    }
}

fn pause(consumer: &BaseConsumer<Context>, list: &TopicPartitionList) {
    if let Err(error) = consumer.pause(list) {
        tracing::warn!(%error, "pausing failed");
    }
}

/// The partitions of a list; there is but one topic.
fn numbers(list: &TopicPartitionList) -> Vec<Partition> {
    list.elements().iter().map(|element| element.partition()).collect()
}

impl ConsumerContext for Context {
    fn rebalance(
        &self,
        consumer: &BaseConsumer<Self>,
        why: RDKafkaRespErr,
        list: &mut TopicPartitionList,
    ) {
        match why {
            RDKafkaRespErr::RD_KAFKA_RESP_ERR__ASSIGN_PARTITIONS => self.assign(consumer, list),
            _ => self.revoke(consumer, list),
        }
    }

    /// The only place where the broker's answer about a single partition arrives.
    fn commit_callback(&self, result: KafkaResult<()>, offsets: &TopicPartitionList) {
        for element in offsets.elements() {
            if let Err(error) = result.clone().and(element.error()) {
                tracing::warn!(%error, partition = element.partition(), "an offset was not committed");
                self.assignments.uncommitted(element.partition());
            }
        }
    }
}

impl ClientContext for Context {
    fn log(&self, level: RDKafkaLogLevel, facility: &str, message: &str) {
        log(level, facility, message);
    }

    fn error(&self, error: KafkaError, reason: &str) {
        tracing::debug!(%error, reason, "librdkafka");
        if let Some(outage) = Outage::of(&error, &self.topic) {
            self.monitor.away(outage);
        }
    }
}

/// librdkafka's log. Failing connections are said by the monitor, once, and not at every attempt.
pub(super) fn log(level: RDKafkaLogLevel, facility: &str, message: &str) {
    use RDKafkaLogLevel as Level;
    match level {
        Level::Emerg | Level::Alert | Level::Critical | Level::Error | Level::Warning
            if facility != "FAIL" && facility != "ERROR" =>
        {
            tracing::warn!(target: "librdkafka", facility, "{message}");
        }
        _ => tracing::debug!(target: "librdkafka", facility, "{message}"),
    }
}
