//! One subscription while the worker lives: opened, pumped, and opened anew when its broker gives up.

use std::{sync::Arc, time::Duration};

use brokers::{
    Error, Health, Ledger, Pool, Receiver, journal, kafka,
    pump::{self, Intake, Passed},
};
use jiff::Timestamp;
use playbooks::decide::Event;
use tokio_util::{sync::CancellationToken, task::TaskTracker};

use super::{Worker, readiness::Readiness, settle::Stream};
use crate::{
    config::{Broker, Subscription},
    control::Journals,
    error::with_sources,
    metrics::Gauges,
};

/// How long a subscription that failed rests before it is opened anew.
const REST: Duration = Duration::from_secs(5);

/// What runs a worker's subscriptions.
pub struct Runner {
    /// The worker.
    pub worker: Arc<Worker>,
    /// Bounds what all subscriptions hold together.
    pub pool: Pool,
    /// Where each says what it waits for.
    pub readiness: Arc<Readiness>,
    /// Where open journals can be reached by tools.
    pub journals: Arc<Journals>,
    /// Fires when all shall drain and end.
    pub stop: CancellationToken,
    /// How long the drain may take.
    pub drain: Duration,
}

impl Runner {
    /// Runs a subscription until the worker stops. Broken ones are opened anew; the others don't notice.
    ///
    /// # Errors
    /// The configuration can't work, and never has: once it has, whoever broke it can mend it under the worker.
    pub async fn run(&self, name: &str, subscription: &Subscription) -> Result<(), Error> {
        let broker = subscription.broker().map_err(|why| Error::Configuration(why.to_owned()))?;
        self.readiness.waits(name, "starting");
        loop {
            let ended = match broker {
                Broker::Kafka(config) => self.kafka(name, subscription.concurrency, config).await,
                Broker::Journal(config) => {
                    self.journal(name, subscription.concurrency, config).await
                }
            };
            match ended {
                Err(error)
                    if !self.stop.is_cancelled() && may_recover(&self.readiness, name, &error) =>
                {
                    let why = with_sources(&error);
                    tracing::error!(
                        subscription = name,
                        why,
                        "the subscription broke; it is opened anew"
                    );
                    self.readiness.waits(name, why);
                }
                ended => return ended,
            }
            tokio::select! {
                () = self.stop.cancelled() => return Ok(()),
                () = tokio::time::sleep(REST) => {}
            }
        }
    }

    async fn kafka(&self, name: &str, slots: usize, config: &kafka::Config) -> Result<(), Error> {
        let (receiver, ledger) = kafka::connect(config, kafka::Timing::default())?;
        let pool = self.pool.narrow(slots);
        let passed = Arc::new(Passed::default());
        let (watched, held) = (ledger.clone(), pool.clone());
        self.worker.metrics.watch(
            name,
            passed.clone(),
            pool.clone(),
            Box::new(move || {
                let lag = watched.lag();
                Gauges {
                    lag: lag.received + held.held() as u64,
                    lag_committed: Some(lag.committed),
                    ..Gauges::default()
                }
            }),
        );
        let mut health = ledger.health();
        let watching = async {
            loop {
                match &*health.borrow_and_update() {
                    Health::Connecting => self.readiness.waits(name, "connecting to Kafka"),
                    Health::Connected => self.readiness.up(name),
                    Health::Unavailable(what) => self.readiness.waits(name, what.clone()),
                }
                if health.changed().await.is_err() {
                    return std::future::pending().await;
                }
            }
        };
        tokio::select! {
            ended = self.pump(name, receiver, ledger, pool, passed) => ended,
            ended = watching => ended,
        }
    }

    async fn journal(
        &self,
        name: &str,
        slots: usize,
        config: &journal::Config,
    ) -> Result<(), Error> {
        let is_event =
            |body: &[u8]| Event::decode(body).map(drop).map_err(|error| error.to_string());
        let journal = journal::Journal::open(config, is_event).await?;
        let pool = self.pool.narrow(slots);
        let passed = Arc::new(Passed::default());
        let monitor = journal.monitor.clone();
        self.worker.metrics.watch(
            name,
            passed.clone(),
            pool.clone(),
            Box::new(move || {
                let depth = monitor.depth();
                let age = |since| Timestamp::now().duration_since(since).as_secs_f64();
                let refused = monitor.rejected().map(|(why, count)| (why.as_str(), count));
                Gauges {
                    lag: depth.unsettled.messages,
                    lag_committed: None,
                    oldest_seconds: Some(depth.oldest.map_or(0.0, age)),
                    dead_letters: Some(depth.dead.messages),
                    intake: [("accepted", monitor.accepted())].into_iter().chain(refused).collect(),
                }
            }),
        );
        let address = journal.intake.local_addr();
        let intake = tokio::spawn(journal.intake.serve(self.stop.clone()));
        tracing::info!(subscription = name, %address, path = %config.path.display(), "the intake takes events");
        let _listed = self.journals.list_open(name, &config.path, journal.monitor.clone());
        self.readiness.up(name);
        let ended = self.pump(name, journal.receiver, journal.ledger, pool, passed).await;
        // The pump has closed the journal: what is still asked is answered with an error, and the intake ends.
        intake.abort();
        ended
    }

    async fn pump<R, L>(
        &self,
        name: &str,
        receiver: R,
        ledger: Arc<L>,
        pool: Pool,
        passed: Arc<Passed>,
    ) -> Result<(), Error>
    where
        R: Receiver,
        L: Ledger<R::Key>,
    {
        if !ledger.capabilities().dead_letters {
            return Err(Error::Configuration(format!(
                "subscription {name} has no place for dead letters, so an event that fails would block it for ever: set deadLetters"
            )));
        }
        let stream = Stream::new(name, &self.worker.metrics);
        let tasks = TaskTracker::new();
        let intake = Intake {
            pool,
            hold: self.worker.outages.hold(name),
            passed,
            stop: self.stop.clone(),
            drain: self.drain,
        };
        let worker = self.worker.clone();
        let wants = |payload: &[u8]| self.worker.rules.matcher.wants(payload);
        let left = CancellationToken::new();
        let handle = |delivery| {
            let handling = worker.clone().handle(stream.clone(), delivery);
            tasks.spawn(left.clone().run_until_cancelled_owned(handling));
        };
        let ended = pump::run(receiver, ledger, intake, wants, handle).await;
        // What still runs is past the drain's end: it is dropped, and comes again.
        left.cancel();
        tasks.close();
        tasks.wait().await;
        ended
    }
}

/// Whether opening it anew may help. A configuration that has worked before was broken outside of the worker, and can be
/// mended there; one that never has is for whoever started it.
fn may_recover(readiness: &Readiness, name: &str, error: &Error) -> bool {
    !error.is_configuration() || readiness.was_up(name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_configuration_that_worked_is_tried_again_and_one_that_never_did_is_not() {
        let (readiness, unset) = (Readiness::default(), Error::Configuration("unset".to_owned()));
        readiness.waits("falco", "starting");
        readiness.up("other");
        assert!(!may_recover(&readiness, "falco", &unset));
        assert!(may_recover(&readiness, "falco", &Error::client("away", "refused")));
        readiness.up("falco");
        readiness.waits("falco", "unset");
        assert!(may_recover(&readiness, "falco", &unset));
        assert_eq!(readiness.waiting(), ["subscription falco: unset"]);
    }
}
