//! The receiving side of one term.

use std::sync::Arc;

use tokio::sync::watch;

use crate::message::{Attempt, MessageId};

use super::{
    driver::Shared,
    line::{Came, Line},
    receiver::Record,
    reply::Delivered,
    term::{Held, Term},
    verb::Verb,
    window::Limits,
};

pub(super) struct Session {
    pub(super) term: Arc<Term>,
    limits: Limits,
    connections: watch::Receiver<u64>,
    /// There is none before the first message is wanted, nor after a pause.
    line: Option<Line>,
}

impl Session {
    pub(super) fn new(term: Arc<Term>, limits: Limits, connections: watch::Receiver<u64>) -> Self {
        Self { term, limits, connections, line: None }
    }

    /// The next message; `None` where something else happened, and it is to be asked again. Cancel safe.
    pub(super) async fn next(&mut self, shared: &Shared) -> Option<(Record, Arc<Held>)> {
        let line = match &mut self.line {
            Some(line) => line,
            none => {
                let opened = Line::open(&self.term, self.limits, self.connections.clone()).await;
                // The client is closed: the term ends, and this with it.
                let Ok(line) = opened else {
                    self.term.lease.lost().cancelled().await;
                    return None;
                };
                none.insert(line)
            }
        };
        if !shared.outbox.is_full() {
            let free = shared.slots.saturating_sub(self.term.count());
            line.ask(&self.term, free).await;
        }
        let came = match line.ready() {
            Some(came) => came,
            None => tokio::select! {
                came = line.wait() => came,
                () = self.term.lease.lost().cancelled() => return None,
            },
        };
        match came {
            Came::Message(message) => self.hold(message),
            Came::Nothing => None,
            Came::Trouble(what) => {
                tracing::debug!("{what}");
                shared.trouble.notify_one();
                None
            }
            Came::End => {
                self.line = None;
                None
            }
        }
    }

    /// Gives back what is on its way, so that others needn't wait for it, and then waits. Never ends before the term does.
    /// Cancel safe.
    pub(super) async fn hand_back(&mut self, shared: &Shared) {
        while let Some(line) = &mut self.line {
            line.leave().await;
            let came = tokio::select! {
                came = line.wait() => came,
                () = self.term.lease.lost().cancelled() => return,
            };
            match came {
                Came::Message(message) => {
                    if let Some((held, _)) = self.parse(&message) {
                        shared.outbox.post(Arc::new(held), Verb::Nak);
                    }
                }
                Came::End => self.line = None,
                Came::Nothing | Came::Trouble(_) => {}
            }
        }
    }

    /// A message is ours until it is settled; a second copy of one that we hold is none.
    fn hold(&self, message: async_nats::Message) -> Option<(Record, Arc<Held>)> {
        let Some((held, times)) = self.parse(&message) else {
            tracing::warn!(reply = ?message.reply, "NATS delivers what is no message of a stream");
            return None;
        };
        let held = self.term.hold(held)?;
        let id = MessageId::in_stream(self.term.stream.clone(), held.sequence);
        let attempt = Attempt::Hint(times);
        Some((Record { message, id, published: held.published, attempt }, held))
    }

    fn parse(&self, message: &async_nats::Message) -> Option<(Held, u32)> {
        let reply = message.reply.clone()?;
        let Delivered { sequence, times, published } = Delivered::parse(&reply)?;
        let (subject, term) = (message.subject.clone(), self.term.clone());
        Some((Held { sequence, subject, reply, published, term }, times))
    }
}
