//! One subscription while the worker lives: opened, served, and opened anew when its broker gives up.

mod brokers;

use std::{sync::Arc, time::Duration};

use ::brokers::{
    AckStrength, Error, Health, Ledger, Pool, Receiver,
    pump::{Intake, Passed},
};
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

use super::{Worker, readiness::Readiness, shares::Share};
use crate::{
    config::{Broker, Subscription},
    control::Journals,
    error::with_sources,
    metrics::Gauges,
};

/// How long a subscription that failed rests before it is opened anew.
const REST: Duration = Duration::from_secs(5);

/// How long one rests that its broker can't serve as it is set up: somebody has to change something first.
const LONG_REST: Duration = Duration::from_secs(30);

/// What runs a worker's subscriptions.
pub struct Runner {
    /// The worker.
    pub worker: Arc<Worker>,
    /// Where each says what it waits for. Those that are run have to be known to it from the start.
    pub readiness: Arc<Readiness>,
    /// Where open journals can be reached by tools.
    pub journals: Arc<Journals>,
    /// Fires when all shall drain and end.
    pub stop: CancellationToken,
    /// How long the drain may take.
    pub drain: Duration,
}

impl Runner {
    /// Runs a subscription until the worker stops. Whatever breaks it, it is opened anew; the others don't notice.
    ///
    /// # Errors
    /// Its configuration can't work and never has, and there is no other subscription that this worker could serve.
    pub async fn run(
        &self,
        name: &str,
        subscription: &Subscription,
        share: Share,
    ) -> Result<(), Error> {
        let broker = subscription.broker().map_err(|why| Error::Configuration(why.to_owned()))?;
        loop {
            let ended = match broker {
                Broker::Kafka(config) => self.kafka(name, share, config).await,
                Broker::Nats(config) => self.nats(name, share, config).await,
                Broker::PubSub(config) => self.pubsub(name, share, config).await,
                Broker::Journal(config) => self.journal(name, share, config).await,
            };
            let error = match ended {
                Ok(()) => return Ok(()),
                Err(error) if self.stop.is_cancelled() => {
                    // It was to end, and has ended: nothing is lost, some of it is only not known to be done.
                    let why = with_sources(&error);
                    tracing::warn!(
                        subscription = name,
                        why,
                        "left without a last word to the broker"
                    );
                    return Ok(());
                }
                Err(error) => error,
            };
            let rest = after(&self.readiness, name, error)?;
            tokio::select! {
                () = self.stop.cancelled() => return Ok(()),
                () = tokio::time::sleep(rest) => {}
            }
        }
    }

    /// Serves an open subscription, and shows how it fares.
    async fn serve<R, L>(
        &self,
        name: &str,
        share: Share,
        (receiver, ledger): (R, Arc<L>),
        health: watch::Receiver<Health>,
        gauges: impl Fn(&Pool) -> Gauges + Send + Sync + 'static,
    ) -> Result<(), Error>
    where
        R: Receiver,
        L: Ledger<R::Key>,
    {
        let loses = ledger.capabilities().ack == AckStrength::None;
        self.worker.metrics.loses.with_label_values(&[name]).set(loses.into());
        if loses {
            self.readiness.loses(name);
        }
        let (pool, passed) = (Pool::new(share.slots, share.bytes), Arc::<Passed>::default());
        let held = pool.clone();
        let ask = Box::new(move || gauges(&held));
        self.worker.metrics.watch(name, passed.clone(), pool.clone(), ask);
        let intake = Intake {
            pool,
            hold: self.worker.outages.hold(name),
            passed,
            stop: self.stop.clone(),
            drain: self.drain,
        };
        tokio::select! {
            ended = self.worker.serve(name, receiver, ledger, intake) => ended,
            never = self.show(name, health) => never,
        }
    }

    /// Carries a subscription's health to the probes. Never ends.
    async fn show<T>(&self, name: &str, mut health: watch::Receiver<Health>) -> T {
        loop {
            match &*health.borrow_and_update() {
                Health::Connecting => self.readiness.waits(name, "connecting"),
                Health::Connected => self.readiness.up(name),
                Health::Unavailable(what) => self.readiness.waits(name, what),
            }
            if health.changed().await.is_err() {
                return std::future::pending().await;
            }
        }
    }
}

/// How long a subscription rests that ended with `error`.
fn after(readiness: &Readiness, name: &str, error: Error) -> Result<Duration, Error> {
    let why = with_sources(&error);
    if !error.is_configuration() || readiness.was_up(name) {
        tracing::error!(subscription = name, why, "the subscription broke; it is opened anew");
        readiness.waits(name, why);
        return Ok(REST);
    }
    readiness.refuses(name, &why);
    if readiness.has_refused_all() {
        return Err(error);
    }
    tracing::error!(
        subscription = name,
        why,
        "the subscription can't be served as it is set up; the others are, and it is tried again"
    );
    Ok(LONG_REST)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn unset() -> Error {
        Error::Configuration("unset".to_owned())
    }

    #[test]
    fn what_only_broke_and_what_has_worked_before_is_opened_anew_soon() {
        let readiness = Readiness::of(["falco"]);
        assert_eq!(after(&readiness, "falco", Error::client("away", "refused")).unwrap(), REST);
        readiness.up("falco");
        assert_eq!(after(&readiness, "falco", unset()).unwrap(), REST);
        assert_eq!(readiness.waiting(), ["subscription falco: unset"]);
    }

    #[test]
    fn what_never_worked_ends_the_worker_only_if_there_is_nothing_else_to_serve() {
        let readiness = Readiness::of(["events", "falco"]);
        assert_eq!(after(&readiness, "events", unset()).unwrap(), LONG_REST);
        assert_eq!(readiness.waiting()[0], "subscription events: unset");
        assert!(after(&readiness, "falco", unset()).unwrap_err().is_configuration());
    }
}
