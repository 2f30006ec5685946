//! What librdkafka calls back. All of it runs inside the receiver's poll, so nothing here may block or wait.

use std::{
    error::Error as StdError,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
};

use rdkafka::{
    ClientContext, TopicPartitionList,
    client::OAuthToken,
    config::RDKafkaLogLevel,
    consumer::{BaseConsumer, Consumer as _, ConsumerContext, StreamConsumer},
    error::{KafkaError, KafkaResult},
    types::RDKafkaRespErr,
};
use tokio::sync::mpsc;

use crate::contract::Demand;

use super::{
    assignments::{Assignments, Name, Place},
    commit::Room,
    health::{Monitor, Outage},
    token::Tokens,
};

/// The consumer as the rest of the module knows it.
pub(super) type Consumer = StreamConsumer<Context>;

/// What the callbacks work on.
pub(super) struct Context {
    pub(super) assignments: Arc<Assignments>,
    pub(super) monitor: Arc<Monitor>,
    pub(super) room: Arc<Room>,
    pub(super) tokens: Tokens,
    /// To be said when the broker doesn't take our credentials.
    pub(super) refused: String,
    /// Wakes the task that asks what the group knows of new partitions.
    pub(super) assigned: mpsc::UnboundedSender<()>,
    /// Takes partitions that are asked back to the task that drains them.
    pub(super) revoked: mpsc::UnboundedSender<Vec<Place>>,
    /// Whether messages are wanted now.
    pub(super) demand: Mutex<Demand>,
    /// We are leaving: what is asked back goes at once, for nobody polls for long enough to drain.
    pub(super) leaving: AtomicBool,
}

impl Context {
    /// Partitions come paused: they flow once it is known what the group knew of them.
    fn assign(&self, consumer: &BaseConsumer<Self>, list: &TopicPartitionList) {
        let places = self.places(list);
        let names = self.assignments.names(&places);
        self.assignments.assign(&places);
        if let Err(error) = consumer.incremental_assign(list) {
            tracing::error!(%error, ?names, "taking partitions failed");
            self.assignments.end(&places);
            return;
        }
        pause(consumer, list);
        self.monitor.connected();
        tracing::info!(?names, "partitions assigned");
        // The task ends with the consumer.
        let _ = self.assigned.send(());
    }

    fn revoke(&self, consumer: &BaseConsumer<Self>, list: &TopicPartitionList) {
        let places = self.places(list);
        let (names, lost) = (self.assignments.names(&places), consumer.assignment_lost());
        tracing::info!(?names, lost, "partitions asked back");
        if !lost && !self.leaving.load(Ordering::Acquire) {
            pause(consumer, list);
            self.assignments.close(&places);
            if self.revoked.send(places.clone()).is_ok() {
                return;
            }
        }
        self.assignments.end(&places);
        if let Err(error) = consumer.incremental_unassign(list) {
            tracing::debug!(%error, "giving partitions back failed");
        }
    }

    fn places(&self, list: &TopicPartitionList) -> Vec<Place> {
        let elements = list.elements();
        self.assignments.places(elements.iter().map(|of| (of.topic(), of.partition())))
    }

    /// Says whether messages are wanted.
    pub(super) fn set_demand(&self, consumer: &Consumer, demand: Demand) {
        let mut now = self.demand.lock().unwrap_or_else(PoisonError::into_inner);
        *now = demand;
        self.steer(consumer, demand);
    }

    /// Lets partitions that came paused flow, if messages are wanted.
    pub(super) fn let_flow(&self, consumer: &Consumer) {
        let now = self.demand.lock().unwrap_or_else(PoisonError::into_inner);
        if *now == Demand::Flow {
            self.steer(consumer, *now);
        }
    }

    fn steer(&self, consumer: &Consumer, demand: Demand) {
        let flowing = list(&self.assignments.names(&self.assignments.flowing()));
        let done = match demand {
            Demand::Pause => consumer.pause(&flowing),
            Demand::Flow => consumer.resume(&flowing),
        };
        if let Err(error) = done {
            tracing::warn!(%error, ?demand, "telling Kafka's client so failed");
        }
    }
}

fn pause(consumer: &BaseConsumer<Context>, list: &TopicPartitionList) {
    if let Err(error) = consumer.pause(list) {
        tracing::warn!(%error, "pausing failed");
    }
}

/// Partitions as the client takes them.
pub(super) fn list(names: &[Name]) -> TopicPartitionList {
    let mut list = TopicPartitionList::with_capacity(names.len());
    for name in names {
        list.add_partition(&name.topic, name.partition);
    }
    list
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
            let Err(error) = result.clone().and(element.error()) else { continue };
            let (topic, partition) = (element.topic(), element.partition());
            tracing::warn!(%error, topic, partition, "an offset was not committed");
            self.room.learn_from(&error);
            let places = self.assignments.places([(topic, partition)]);
            places.into_iter().for_each(|place| self.assignments.uncommitted(place));
        }
    }
}

impl ClientContext for Context {
    const ENABLE_REFRESH_OAUTH_TOKEN: bool = true;

    fn generate_oauth_token(&self, _: Option<&str>) -> Result<OAuthToken, Box<dyn StdError>> {
        self.tokens.token()
    }

    fn log(&self, level: RDKafkaLogLevel, facility: &str, message: &str) {
        log(level, facility, message);
        if let Some(outage) = Outage::of_log(message) {
            self.monitor.away(outage);
        }
    }

    fn error(&self, error: KafkaError, reason: &str) {
        tracing::debug!(%error, reason, "librdkafka");
        if let Some(outage) = Outage::of(&error, reason, &self.refused) {
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
