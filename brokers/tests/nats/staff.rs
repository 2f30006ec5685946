//! A worker that acks whatever comes and writes it down.

use std::{
    collections::BTreeSet,
    sync::{Arc, Mutex, atomic::Ordering},
    time::Duration,
};

use brokers::{
    Error, Health,
    conformance::until,
    nats::{self, Config, Ledger},
    pool::Pool,
    pump::{self, Intake, Passed},
};
use bytes::Bytes;
use tokio::{sync::watch, task::JoinHandle};
use tokio_util::sync::CancellationToken;

/// What was acked, by all workers that share it.
#[derive(Clone, Default)]
pub(crate) struct Log(Arc<Mutex<Vec<Bytes>>>);

impl Log {
    pub(crate) fn bodies(&self) -> BTreeSet<Bytes> {
        self.0.lock().unwrap().iter().cloned().collect()
    }

    pub(crate) async fn has(&self, n: usize) {
        until(&format!("{n} messages to be done"), async || self.bodies().len() >= n).await;
    }
}

pub(crate) struct Staff {
    pub(crate) ledger: Arc<Ledger>,
    passed: Arc<Passed>,
    stop: CancellationToken,
    pump: JoinHandle<Result<(), Error>>,
    _hold: watch::Sender<bool>,
}

impl Staff {
    /// Works on each message for `work`, and on `slots` of them at a time.
    pub(crate) fn start(config: &Config, slots: usize, work: Duration, log: &Log) -> Self {
        let (receiver, ledger) = nats::connect(config, slots).unwrap();
        let (hold, held) = watch::channel(false);
        let (stop, passed) = (CancellationToken::new(), Arc::<Passed>::default());
        let intake = Intake {
            pool: Pool::new(slots, 64 << 20),
            hold: held,
            passed: passed.clone(),
            stop: stop.clone(),
            drain: Duration::from_secs(10),
        };
        let log = log.clone();
        let handle = move |delivery: brokers::Delivery| {
            let log = log.clone();
            tokio::spawn(async move {
                tokio::time::sleep(work).await;
                let body = delivery.message().payload.clone();
                if delivery.ack().await != brokers::Settled::Fenced {
                    log.0.lock().unwrap().push(body);
                }
            });
        };
        let pump = tokio::spawn(pump::run(receiver, ledger.clone(), intake, |_| true, handle));
        Self { ledger, passed, stop, pump, _hold: hold }
    }

    /// How many messages it was handed.
    pub(crate) fn kept(&self) -> u64 {
        self.passed.kept.load(Ordering::Relaxed)
    }

    /// Waits until the subscription's health is as `wanted`.
    pub(crate) async fn is(&self, what: &str, wanted: impl Fn(&Health) -> bool) {
        let mut health = self.ledger.health();
        let waited = tokio::time::timeout(Duration::from_secs(60), health.wait_for(wanted)).await;
        assert!(waited.is_ok(), "{what}: it is {:?}", *self.ledger.health().borrow());
    }

    /// Ends at once, settling nothing.
    pub(crate) async fn crash(self) {
        self.pump.abort();
        drop(self.pump.await);
    }

    pub(crate) async fn stop(self) {
        self.stop.cancel();
        self.pump.await.unwrap().unwrap();
    }
}
