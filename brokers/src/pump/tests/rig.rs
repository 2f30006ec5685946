//! A pump on a broker in memory, whose handler is the test.

use std::{
    sync::{Arc, Mutex},
    time::Duration,
};

use async_trait::async_trait;
use bytes::Bytes;
use tokio::{
    sync::{mpsc, watch},
    task::JoinHandle,
    time::{Instant, timeout},
};
use tokio_util::sync::CancellationToken;

use crate::{
    Capabilities, DeadLetter, DeadLetterError, Delivery, Demand, Error, Lease, Ledger, Message,
    Receiver, Settled,
    memory::{self, Memory},
    pool::Pool,
    pump::{self, Intake, Passed},
};

pub(super) struct Rig {
    pub(super) broker: Memory,
    pub(super) pool: Pool,
    pub(super) passed: Arc<Passed>,
    pub(super) hold: watch::Sender<bool>,
    pub(super) stop: CancellationToken,
    pub(super) wires: Arc<Wires>,
    deliveries: mpsc::UnboundedReceiver<Delivery>,
    pub(super) task: JoinHandle<Result<(), Error>>,
}

/// What the test sees and does between the pump and its broker.
#[derive(Default)]
pub(super) struct Wires {
    demand: Mutex<Option<Demand>>,
    /// Messages come in spite of a pause, as those do that were on their way.
    pub(super) pauses_late: CancellationToken,
    pub(super) receiving_fails: CancellationToken,
    pub(super) settling_hangs: CancellationToken,
    pub(super) closed: CancellationToken,
}

impl Rig {
    /// A pump that holds `slots` messages and drains for 20 s.
    pub(super) fn new(slots: usize) -> Self {
        Self::on(Pool::new(slots, 1 << 20))
    }

    /// A pump that holds as much as `pool` lets it.
    pub(super) fn on(pool: Pool) -> Self {
        let broker = Memory::new();
        let (receiver, ledger) = broker.connect();
        let wires = Arc::<Wires>::default();
        let receiver = Wired { inner: receiver, wires: wires.clone() };
        let ledger = Arc::new(WiredLedger { inner: ledger, wires: wires.clone() });
        let (sender, deliveries) = mpsc::unbounded_channel();
        let (hold, held) = watch::channel(false);
        let passed = Arc::<Passed>::default();
        let stop = CancellationToken::new();
        let intake = Intake {
            pool: pool.clone(),
            hold: held,
            passed: passed.clone(),
            stop: stop.clone(),
            drain: Duration::from_secs(20),
        };
        let wants = |payload: &[u8]| !payload.starts_with(b"skip");
        let handle = move |delivery| drop(sender.send(delivery));
        let task = tokio::spawn(pump::run(receiver, ledger, intake, wants, handle));
        Self { broker, pool, passed, hold, stop, wires, deliveries, task }
    }

    pub(super) fn publish<const N: usize>(&self, bodies: [&'static str; N]) {
        for body in bodies {
            self.broker.publish(Bytes::from(body), None, Vec::new());
        }
    }

    pub(super) async fn next(&mut self) -> Delivery {
        self.within(Duration::from_secs(3600)).await.expect("a delivery")
    }

    /// The next delivery, if it comes in that much of the paused clock's time.
    pub(super) async fn within(&mut self, limit: Duration) -> Option<Delivery> {
        timeout(limit, self.deliveries.recv()).await.ok().flatten()
    }

    /// Lets the pump do all it can do now.
    pub(super) async fn settle_down(&self) {
        tokio::time::sleep(Duration::from_millis(1)).await;
    }

    /// What the pump told its receiver last.
    pub(super) fn demand(&self) -> Demand {
        self.wires.demand.lock().unwrap().unwrap_or(Demand::Flow)
    }
}

pub(super) fn body(delivery: &Delivery) -> &[u8] {
    &delivery.message().payload
}

struct Wired {
    inner: memory::Receiver,
    wires: Arc<Wires>,
}

impl Receiver for Wired {
    type Message<'a> = memory::Record<'a>;
    type Key = memory::Key;

    async fn next(&mut self) -> Result<(memory::Record<'_>, memory::Key, Lease), Error> {
        tokio::select! {
            biased;
            () = self.wires.receiving_fails.cancelled() => {
                Err(Error::client("receiving", "the client gave up"))
            }
            next = self.inner.next() => next,
        }
    }

    fn demand(&mut self, demand: Demand) {
        *self.wires.demand.lock().unwrap() = Some(demand);
        if !self.wires.pauses_late.is_cancelled() {
            self.inner.demand(demand);
        }
    }
}

struct WiredLedger {
    inner: Arc<memory::Ledger>,
    wires: Arc<Wires>,
}

impl WiredLedger {
    async fn hang(&self) {
        if self.wires.settling_hangs.is_cancelled() {
            std::future::pending::<()>().await;
        }
    }
}

#[async_trait]
impl Ledger<memory::Key> for WiredLedger {
    fn capabilities(&self) -> Capabilities {
        self.inner.capabilities()
    }

    fn skip(&self, key: memory::Key) {
        self.inner.skip(key);
    }

    async fn ack(&self, key: &memory::Key) -> Settled {
        self.hang().await;
        self.inner.ack(key).await
    }

    async fn dead_letter(
        &self,
        key: &memory::Key,
        message: &Message,
        letter: &DeadLetter,
    ) -> Result<Settled, DeadLetterError> {
        self.hang().await;
        self.inner.dead_letter(key, message, letter).await
    }

    fn release(&self, key: memory::Key) {
        self.inner.release(key);
    }

    async fn close(&self, by: Instant) -> Result<(), Error> {
        self.wires.closed.cancel();
        self.inner.close(by).await
    }
}
