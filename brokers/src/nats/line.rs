//! The subscription that a term's messages come through, and what the server says between them.

use std::sync::Arc;

use async_nats::{Message, StatusCode, Subscriber};
use futures::{FutureExt as _, StreamExt as _};
use tokio::{
    sync::watch,
    time::{Duration, Instant, sleep_until},
};

use super::{
    term::Term,
    window::{Limits, Window},
};

/// How long a request that was refused is not repeated.
const PAUSE: Duration = Duration::from_millis(500);

/// How long messages on their way may take after we said that we want no more.
const LEAVE: Duration = Duration::from_secs(2);

pub(super) struct Line {
    subscriber: Subscriber,
    inbox: async_nats::Subject,
    next_request: async_nats::Subject,
    window: Window,
    /// Nothing is asked for before this.
    not_before: Option<Instant>,
    /// When the server was last heard of.
    heard: Instant,
    /// We asked for no more; what is on its way may come until then.
    leaves: Option<Instant>,
    /// Counts connections: requests end with theirs.
    connections: watch::Receiver<u64>,
}

/// What has come.
pub(super) enum Came {
    /// A message.
    Message(Message),
    /// Nothing that matters.
    Nothing,
    /// Word that all may not be well with the consumer.
    Trouble(String),
    /// The end of this line.
    End,
}

impl Line {
    pub(super) async fn open(
        term: &Arc<Term>,
        limits: Limits,
        connections: watch::Receiver<u64>,
    ) -> Result<Self, async_nats::SubscribeError> {
        let inbox = async_nats::Subject::from(term.client.new_inbox());
        let subscriber = term.client.subscribe(inbox.clone()).await?;
        let next = format!("$JS.API.CONSUMER.MSG.NEXT.{}.{}", term.stream, term.consumer);
        Ok(Self {
            subscriber,
            inbox,
            next_request: next.into(),
            window: Window::new(limits),
            not_before: None,
            heard: Instant::now(),
            leaves: None,
            connections,
        })
    }

    /// Asks for as many messages as there are free slots, unless that many are on their way. Cancel safe.
    pub(super) async fn ask(&mut self, term: &Term, free: usize) {
        if self.leaves.is_some() || self.not_before.is_some_and(|then| Instant::now() < then) {
            return;
        }
        let Some(batch) = self.window.wanted(free) else { return };
        let Ok(request) = serde_json::to_vec(&batch) else { return };
        let (to, reply) = (self.next_request.clone(), self.inbox.clone());
        if term.client.publish_with_reply(to, reply, request.into()).await.is_ok() {
            self.window.asked(batch.batch);
            self.not_before = None;
        }
    }

    /// The next message that is here already.
    pub(super) fn ready(&mut self) -> Option<Came> {
        let message = self.subscriber.next().now_or_never()?;
        Some(self.judge(message))
    }

    /// Waits for the next message, or for something else that matters. Cancel safe.
    pub(super) async fn wait(&mut self) -> Came {
        let silence = self.heard + self.window.limits().silence();
        let until = match (self.leaves, self.not_before) {
            (Some(leaves), _) => leaves,
            (None, Some(then)) => then.min(silence),
            (None, None) => silence,
        };
        tokio::select! {
            biased;
            message = self.subscriber.next() => self.judge(message),
            Ok(()) = self.connections.changed() => {
                self.window.reset();
                self.heard = Instant::now();
                Came::Nothing
            }
            () = sleep_until(until) => self.timed_out(),
        }
    }

    fn timed_out(&mut self) -> Came {
        let now = Instant::now();
        if self.leaves.is_some() {
            return Came::End;
        }
        self.not_before = self.not_before.filter(|then| *then > now);
        if now < self.heard + self.window.limits().silence() {
            return Came::Nothing;
        }
        self.heard = now;
        self.window.reset();
        Came::Trouble("the consumer's heartbeat is missing".to_owned())
    }

    /// Wants no more; what is on its way still comes, and then the end. Cancel safe.
    pub(super) async fn leave(&mut self) {
        if self.leaves.is_none() && self.subscriber.drain().await.is_ok() {
            self.leaves = Some(Instant::now() + LEAVE);
        }
    }

    fn judge(&mut self, message: Option<Message>) -> Came {
        let Some(message) = message else { return Came::End };
        self.heard = Instant::now();
        let Some(status) = message.status else {
            self.window.came();
            return Came::Message(message);
        };
        if status == StatusCode::IDLE_HEARTBEAT {
            return Came::Nothing;
        }
        let description = message.description.clone().unwrap_or_default();
        let missing = message
            .headers
            .as_ref()
            .and_then(|headers| headers.get("Nats-Pending-Messages")?.as_str().parse().ok());
        match missing {
            Some(missing) if description.contains("Message Size Exceeds MaxBytes") => {
                self.window.too_large(missing);
                Came::Nothing
            }
            Some(missing) => {
                self.window.ended(missing);
                Came::Nothing
            }
            None => {
                self.window.reset();
                self.not_before = Some(Instant::now() + PAUSE);
                Came::Trouble(format!("a request for messages ended: {status} {description}"))
            }
        }
    }
}
