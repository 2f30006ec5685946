//! Pulls messages into a small store of our own, stream after stream.
//!
//! A task of its own, so that opening a stream is never cut short by whatever else the pump does meanwhile, and the time
//! at which a message came is known.

use std::{
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use futures::FutureExt as _;
use google_cloud_gax::error::Error as Source;
use google_cloud_pubsub::{
    client::Subscriber,
    model::Message,
    subscriber::{MessageStream, ShutdownBehavior, ShutdownToken, handler::Handler},
};
use tokio::{
    task::coop::unconstrained,
    time::{Instant, sleep},
};
use tokio_util::sync::CancellationToken;

use super::{
    config::Limits,
    health::Monitor,
    leases::SLACK,
    names::Subscription,
    outage::Outage,
    store::{Arrival, Handful, Store},
};

/// What a stream brings.
type Arrived = Result<(Message, Handler), Source>;

/// A stream that has not been refused for this long is taken for open: the client doesn't say.
const OPEN: Duration = Duration::from_secs(2);

/// How long to wait before a stream is opened again after one that was refused, at first and at most.
const BACKOFF: (Duration, Duration) = (Duration::from_millis(500), Duration::from_secs(30));

/// The streams whose messages are not all settled: each settles its own until then.
#[derive(Debug, Default)]
pub(super) struct Streams(Mutex<Vec<ShutdownToken>>);

impl Streams {
    fn add(&self, stream: ShutdownToken) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).push(stream);
    }

    /// Waits until all that was settled has been sent, and nothing is held any more.
    pub(super) async fn end(&self) {
        let streams = std::mem::take(&mut *self.0.lock().unwrap_or_else(PoisonError::into_inner));
        for stream in streams {
            stream.shutdown().await;
        }
    }
}

pub(super) struct Puller {
    pub(super) subscriber: Subscriber,
    pub(super) subscription: Subscription,
    pub(super) limits: Limits,
    pub(super) ack_deadline: Duration,
    pub(super) monitor: Arc<Monitor>,
    pub(super) streams: Arc<Streams>,
    pub(super) store: Arc<Store>,
    /// Fires when nobody wants more.
    pub(super) enough: CancellationToken,
}

impl Puller {
    /// Pulls until nobody wants more. What was pulled and not taken is handed back then.
    pub(super) async fn run(self) {
        self.pull().await;
        self.store.clear();
    }

    async fn pull(&self) {
        let mut wait = BACKOFF.0;
        loop {
            let began = Instant::now();
            let Some(error) = self.stream().await else { return };
            let why = Outage::of(&error).of_subscription(self.subscription.as_str());
            tracing::debug!(%error, "Pub/Sub has closed the stream for good");
            self.monitor.refused(why);
            if began.elapsed() > BACKOFF.1 {
                wait = BACKOFF.0;
            }
            // Half of it by chance, so that a fleet doesn't come back as one.
            let rest = sleep(wait / 2 + wait.mul_f64(fastrand::f64() / 2.0));
            if self.enough.run_until_cancelled(rest).await.is_none() {
                return;
            }
            wait = (wait * 2).min(BACKOFF.1);
        }
    }

    /// Pulls until a stream fails for good, or nobody wants more.
    async fn stream(&self) -> Option<Source> {
        let mut stream = self.open();
        self.streams.add(stream.shutdown_token());
        match self.enough.run_until_cancelled(self.fill_from(&mut stream)).await {
            Some(error) => error,
            None => {
                self.give_up(stream);
                None
            }
        }
    }

    /// Closes a stream, and hands back what has come by it. The client would keep the leases of what it has not yielded for
    /// as long as anything is held that it has.
    fn give_up(&self, mut stream: MessageStream) {
        let mut late = Vec::new();
        while late.len() < self.limits.messages as usize
            && let Some(Some(Ok((_, handler)))) = unconstrained(stream.next()).now_or_never()
        {
            late.push(handler);
        }
        // Before they go back, so that they don't come again by the same stream, where nobody would see them.
        drop(stream);
        drop(late);
    }

    async fn fill_from(&self, stream: &mut MessageStream) -> Option<Source> {
        let mut next = self.first(stream).await?;
        loop {
            let mut come = Handful::default();
            let at = Instant::now();
            let ended = loop {
                match next {
                    Ok((message, handler)) => come.add(Arrival { at, message, handler }),
                    Err(error) => break Some(error),
                }
                if come.is_full() {
                    break None;
                }
                // What is there already; who waits for none is not to be told to step aside.
                match unconstrained(stream.next()).now_or_never() {
                    Some(Some(there)) => next = there,
                    Some(None) | None => break None,
                }
            };
            self.monitor.received();
            self.store.put(come).await;
            if ended.is_some() {
                return ended;
            }
            next = stream.next().await?;
        }
    }

    /// The first message. A stream that brings none for a while is well, too.
    async fn first(&self, stream: &mut MessageStream) -> Option<Arrived> {
        let first = stream.next();
        tokio::pin!(first);
        tokio::select! {
            biased;
            arrived = &mut first => return arrived,
            () = sleep(OPEN) => self.monitor.accepted(),
        }
        first.await
    }

    fn open(&self) -> MessageStream {
        let Limits { lease, messages, bytes, .. } = self.limits;
        self.subscriber
            .subscribe(self.subscription.as_str())
            .set_max_lease(lease + SLACK)
            .set_max_lease_extension(self.ack_deadline)
            .set_max_outstanding_messages(i64::from(messages))
            .set_max_outstanding_bytes(bytes.cast_signed())
            .set_shutdown_behavior(ShutdownBehavior::WaitForProcessing)
            .build()
    }
}
