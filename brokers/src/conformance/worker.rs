//! A worker whose handler is the test: every delivery comes out of it by hand.

use std::{sync::Arc, time::Duration};

use bytes::Bytes;
use tokio::{
    sync::{mpsc, watch},
    task::JoinHandle,
};
use tokio_util::sync::CancellationToken;

use crate::{
    contract::Error,
    delivery::Delivery,
    pool::Pool,
    pump::{self, Intake, Passed},
};

use super::harness::{Harness, within};

/// A running pump. Its filter skips what begins with `skip`.
pub struct Worker {
    deliveries: mpsc::UnboundedReceiver<Delivery>,
    pool: Pool,
    passed: Arc<Passed>,
    stop: CancellationToken,
    _hold: watch::Sender<bool>,
    task: JoinHandle<Result<(), Error>>,
}

impl Worker {
    /// A worker that can hold a hundred messages and drains for at most ten seconds.
    pub async fn start<H: Harness>(harness: &H) -> Self {
        Self::start_draining_for(harness, Duration::from_secs(10)).await
    }

    /// A worker that drains for at most `drain`.
    pub async fn start_draining_for<H: Harness>(harness: &H, drain: Duration) -> Self {
        let (receiver, ledger) = within("a connection", harness.connect()).await;
        let (sender, deliveries) = mpsc::unbounded_channel();
        let (hold, held) = watch::channel(false);
        let pool = Pool::new(100, 64 << 20);
        let passed = Arc::new(Passed::default());
        let stop = CancellationToken::new();
        let intake = Intake {
            pool: pool.clone(),
            hold: held,
            passed: passed.clone(),
            stop: stop.clone(),
            drain,
        };
        let wants = |payload: &[u8]| !payload.starts_with(b"skip");
        // A test that is over drops what still comes, which is a retry.
        let handle = move |delivery| drop(sender.send(delivery));
        let task = tokio::spawn(pump::run(receiver, ledger, intake, wants, handle));
        Self { deliveries, pool, passed, stop, _hold: hold, task }
    }

    /// The next delivery.
    pub async fn next(&mut self) -> Delivery {
        match within("a delivery", self.deliveries.recv()).await {
            Some(delivery) => delivery,
            None => panic!("the pump ended while a delivery was waited for"),
        }
    }

    /// The next `n` deliveries.
    pub async fn take(&mut self, n: usize) -> Vec<Delivery> {
        let mut taken = Vec::with_capacity(n);
        while taken.len() < n {
            taken.push(self.next().await);
        }
        taken
    }

    /// Acks whatever comes until nothing of the subscription is unsettled, and returns the bodies.
    pub async fn finish<H: Harness>(&mut self, harness: &H) -> Vec<Bytes> {
        let mut seen = Vec::new();
        let all = async {
            while harness.unsettled().await > 0 {
                let pause = Duration::from_millis(100);
                while let Ok(Some(delivery)) =
                    tokio::time::timeout(pause, self.deliveries.recv()).await
                {
                    seen.push(delivery.message().payload.clone());
                    delivery.ack().await;
                }
            }
        };
        within("everything to be settled", all).await;
        seen
    }

    /// Messages held now.
    pub fn held(&self) -> usize {
        self.pool.held()
    }

    /// What has passed.
    pub fn passed(&self) -> &Passed {
        &self.passed
    }

    /// Asks the pump to drain and end.
    pub fn ask_to_stop(&self) {
        self.stop.cancel();
    }

    /// Whether the pump has ended.
    pub fn has_ended(&self) -> bool {
        self.task.is_finished()
    }

    /// Waits for the pump's end. What it handed over and nobody took is dropped then.
    pub async fn ended(self) -> Result<(), Error> {
        match within("the pump's end", self.task).await {
            Ok(result) => result,
            Err(error) => panic!("the pump failed: {error}"),
        }
    }

    /// Stops, drains and waits for the end.
    pub async fn stop(self) -> Result<(), Error> {
        self.ask_to_stop();
        self.ended().await
    }

    /// Ends at once, settling nothing: what a kill leaves behind.
    pub async fn crash(self, held: Vec<Delivery>) {
        self.task.abort();
        drop(self.task.await);
        drop(held);
    }
}
