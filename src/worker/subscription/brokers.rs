//! Each broker: how it is opened, and what it shows of itself.

use brokers::{Error, Health, journal, kafka, nats, pubsub};
use jiff::Timestamp;
use playbooks::decide::Event;
use tokio::sync::watch;

use super::Runner;
use crate::{
    metrics::{Gauges, Partition},
    worker::shares::Share,
};

impl Runner {
    pub(super) async fn kafka(
        &self,
        name: &str,
        share: Share,
        config: &kafka::Config,
    ) -> Result<(), Error> {
        let (receiver, ledger) = kafka::connect(config, kafka::Timing::default())?;
        let (health, watched) = (ledger.health(), ledger.clone());
        let gauges = move |pool: &brokers::Pool| {
            let lag = watched.lag();
            let partition = |it: kafka::PartitionLag| Partition {
                name: format!("{}/{}", it.topic, it.partition),
                waiting: it.lag.received,
                uncommitted: it.lag.committed,
            };
            Gauges {
                partitions: watched.lag_by_partition().into_iter().map(partition).collect(),
                lag: lag.received + pool.held() as u64,
                lag_committed: Some(lag.committed),
                ..Gauges::default()
            }
        };
        self.serve(name, share, (receiver, ledger), health, gauges).await
    }

    pub(super) async fn nats(
        &self,
        name: &str,
        share: Share,
        config: &nats::Config,
    ) -> Result<(), Error> {
        let (receiver, ledger) = nats::connect(config, share.slots)?;
        let (health, watched) = (ledger.health(), ledger.clone());
        // The whole fleet's: the consumer is one for all workers.
        let gauges = move |_: &brokers::Pool| {
            let lag = watched.lag().unsettled;
            Gauges { lag, is_fleets: true, ..Gauges::default() }
        };
        self.serve(name, share, (receiver, ledger), health, gauges).await
    }

    pub(super) async fn pubsub(
        &self,
        name: &str,
        share: Share,
        config: &pubsub::Config,
    ) -> Result<(), Error> {
        let (receiver, ledger) = pubsub::connect(config, pubsub::Limits::default()).await?;
        let (health, watched) = (ledger.health(), ledger.clone());
        let gauges = move |pool: &brokers::Pool| {
            let waiting = watched.lag().waiting;
            Gauges { lag: waiting + pool.held() as u64, ..Gauges::default() }
        };
        self.serve(name, share, (receiver, ledger), health, gauges).await
    }

    pub(super) async fn journal(
        &self,
        name: &str,
        share: Share,
        config: &journal::Config,
    ) -> Result<(), Error> {
        let is_event =
            |body: &[u8]| Event::decode(body).map(drop).map_err(|error| error.to_string());
        let journal::Journal { receiver, ledger, intake, monitor } =
            journal::Journal::open(config, is_event).await?;
        let _listed = self.journals.list_open(name, &config.path, monitor.clone());
        let gauges = move |_: &brokers::Pool| {
            let depth = monitor.depth();
            let age = |since| Timestamp::now().duration_since(since).as_secs_f64();
            let refused = monitor.rejected().map(|(why, count)| (why.as_str(), count));
            Gauges {
                lag: depth.unsettled.messages,
                oldest_seconds: Some(depth.oldest.map_or(0.0, age)),
                dead_letters: Some(depth.dead.messages),
                intake: [("accepted", monitor.accepted())].into_iter().chain(refused).collect(),
                ..Gauges::default()
            }
        };
        let address = intake.local_addr();
        let taking_in = tokio::spawn(intake.serve(self.stop.clone()));
        tracing::info!(subscription = name, %address, path = %config.path.display(), "the intake takes events");
        let (_up, health) = watch::channel(Health::Connected);
        let ended = self.serve(name, share, (receiver, ledger), health, gauges).await;
        // The journal is closed: what is still asked is answered with an error, and the intake ends.
        taking_in.abort();
        ended
    }
}
