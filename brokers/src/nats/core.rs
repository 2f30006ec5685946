//! Core NATS: a queue group, without acks. What a worker holds when it dies is lost, and so is what nobody listens for.

use std::{sync::Arc, time::Duration};

use async_nats::{Subscriber, jetstream::context::Context};
use futures::StreamExt as _;
use jiff::Timestamp;
use tokio::{
    sync::watch,
    time::{sleep, timeout},
};

use crate::{
    contract::{Demand, Error},
    lease::Lease,
    message::{Attempt, MessageId},
};

use super::{driver::Shared, ledger::Key, receiver::Record};

/// How long is waited before subscribing is tried again.
const AGAIN: Duration = Duration::from_secs(1);

/// How long what is on its way may take after a pause began.
const LEAVE: Duration = Duration::from_secs(2);

pub(super) struct Listener {
    shared: Arc<Shared>,
    context: watch::Receiver<Option<Context>>,
    subject: Arc<str>,
    queue: String,
    subscriber: Option<Subscriber>,
    leaves: bool,
    lease: Lease,
    /// Names messages, which have no number of their own.
    count: u64,
}

impl Listener {
    pub(super) fn new(shared: Arc<Shared>, subject: &str, queue: String) -> Self {
        let count = u64::try_from(Timestamp::now().as_nanosecond()).unwrap_or_default();
        Self {
            context: shared.context.subscribe(),
            shared,
            subject: subject.into(),
            queue,
            subscriber: None,
            leaves: false,
            lease: Lease::new(),
            count,
        }
    }

    /// The next message. While paused the group does without us, so that others get what comes. Cancel safe.
    pub(super) async fn next(&mut self, demand: Demand) -> Result<(Record, Key, Lease), Error> {
        loop {
            if demand == Demand::Pause {
                self.leave().await;
                std::future::pending::<()>().await;
            }
            let leaves = self.leaves;
            let subscriber = self.subscribed().await;
            let message = match leaves {
                true => timeout(LEAVE, subscriber.next()).await.ok().flatten(),
                false => subscriber.next().await,
            };
            let Some(message) = message else {
                self.subscriber = None;
                continue;
            };
            self.count += 1;
            let id = MessageId::in_stream(self.subject.clone(), self.count);
            let record = Record { message, id, published: None, attempt: Attempt::Unknown };
            return Ok((record, Key::of_core(), self.lease.clone()));
        }
    }

    async fn subscribed(&mut self) -> &mut Subscriber {
        match &mut self.subscriber {
            Some(subscriber) => subscriber,
            none => {
                let subscriber = loop {
                    let context = self.context.wait_for(Option::is_some).await;
                    let client = match context.ok().and_then(|context| context.clone()) {
                        Some(context) => context.client(),
                        // The worker has left.
                        None => std::future::pending().await,
                    };
                    let (subject, queue) = (self.subject.to_string(), self.queue.clone());
                    match client.queue_subscribe(subject, queue).await {
                        Ok(subscriber) => break subscriber,
                        Err(error) => {
                            self.shared.monitor.away(format!("NATS can't be listened to: {error}"))
                        }
                    }
                    sleep(AGAIN).await;
                };
                self.leaves = false;
                self.shared.monitor.well();
                none.insert(subscriber)
            }
        }
    }

    async fn leave(&mut self) {
        if let Some(subscriber) = &mut self.subscriber
            && !self.leaves
        {
            self.leaves = subscriber.drain().await.is_ok();
        }
    }
}

/// Connects, and says when all is well again after an outage, until the worker leaves.
pub(super) async fn keep_connected(shared: Arc<Shared>) {
    let left = shared.left.clone();
    let watching = async {
        shared.connect().await;
        loop {
            shared.trouble.notified().await;
            shared.monitor.well();
        }
    };
    left.run_until_cancelled(watching).await;
}
