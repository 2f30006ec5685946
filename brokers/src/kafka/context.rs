//! What librdkafka calls back. All of it runs inside the receiver's poll, so nothing here may block or wait.

use std::sync::{
    Arc,
    atomic::{AtomicBool, Ordering},
};

use rdkafka::{
    ClientContext, TopicPartitionList,
    config::RDKafkaLogLevel,
    consumer::{BaseConsumer, Consumer as _, ConsumerContext, StreamConsumer},
    error::{KafkaError, KafkaResult, RDKafkaErrorCode},
    types::RDKafkaRespErr,
};
use tokio::sync::mpsc;

use super::{
    assignments::{Assignments, Partition},
    health::Monitor,
    statistics::Statistics,
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
        if let Some(what) = outage(&error, &self.topic) {
            self.monitor.unavailable(what);
        }
    }

    fn stats_raw(&self, json: &[u8]) {
        match serde_json::from_slice::<Statistics<'_>>(json) {
            Ok(statistics) => {
                if statistics.any_broker_up() && self.monitor.only_unreachable() {
                    self.monitor.connected();
                }
                for (partition, end) in statistics.log_ends(&self.topic) {
                    self.assignments.set_log_end(partition, end);
                }
            }
            Err(error) => tracing::debug!(%error, "librdkafka's statistics can't be read"),
        }
    }
}

/// What a client's error means for the subscription, and what to do; `None` for what passes by itself.
pub(super) fn outage(error: &KafkaError, topic: &str) -> Option<String> {
    use RDKafkaErrorCode as Code;
    Some(match error.rdkafka_error_code()? {
        Code::AllBrokersDown => super::health::UNREACHABLE.to_owned(),
        Code::UnknownTopicOrPartition | Code::UnknownTopic => {
            format!("the topic {topic} doesn't exist: create it with `stoop setup`")
        }
        Code::TopicAuthorizationFailed => {
            format!(
                "the broker doesn't let us read the topic {topic}: allow READ and DESCRIBE on it"
            )
        }
        Code::GroupAuthorizationFailed => {
            "the broker doesn't let us join the consumer group: allow READ on it".to_owned()
        }
        Code::InconsistentGroupProtocol => "the consumer group has members that don't speak \
            cooperative-sticky: stop them, or use a group of stoop's own"
            .to_owned(),
        Code::Authentication | Code::SaslAuthenticationFailed => {
            "the broker refuses our credentials: check sasl and tls".to_owned()
        }
        Code::SSL => {
            "TLS with the broker fails: check tls, and that brokers names its TLS port".to_owned()
        }
        _ => return None,
    })
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
