//! What the server is told about a message, and whether it has understood.

use std::{sync::atomic::Ordering, time::Duration};

use async_nats::{Client, Message};
use bytes::Bytes;
use tokio::time::Instant;

use crate::contract::Settled;

use super::term::{Held, Term};

/// How long is waited before the server is told once more.
const AGAIN: Duration = Duration::from_millis(200);

/// For how long an ack may be the only thing that is not answered. A cluster answers it once most of its servers know of it.
const PATIENCE: Duration = Duration::from_secs(10);

/// The replies to a delivered message: <https://docs.nats.io/nats-concepts/jetstream/consumers#acknowledgement-models>
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Verb {
    /// Done with.
    Ack,
    /// Deliver it again, now.
    Nak,
    /// It is being worked on: wait longer.
    Progress,
    /// Given up: don't deliver it again.
    Term,
}

impl Verb {
    pub(super) fn bytes(self) -> Bytes {
        Bytes::from_static(match self {
            Self::Ack => b"+ACK",
            Self::Nak => b"-NAK",
            Self::Progress => b"+WPI",
            Self::Term => b"+TERM",
        })
    }
}

/// Whether an answer says that the server has done as told: it is empty then. An error has a text or a status, and where
/// the consumer is gone nobody answers but the server itself, with status 503.
pub(super) fn confirms(answer: &Message) -> bool {
    answer.payload.is_empty() && answer.status.is_none()
}

/// Tells the server, and again until it confirms, passes it over, or the term ends.
pub(super) async fn settle(held: &Held, verb: Verb) -> Settled {
    let term = &held.term;
    let (mut unanswered, mut silence) = (None, None::<Silence>);
    while !term.is_over() {
        // What is asked while disconnected is sent once connected: by then the sequence may be another message's.
        let connected = term.client.connection_state() == async_nats::connection::State::Connected;
        if !connected {
            pause(held).await;
            continue;
        }
        let now = Silence::from_now(&term.client);
        let since = silence.filter(|silence| silence.goes_on(&now)).unwrap_or(now);
        let answer = term.client.request(held.reply.clone(), verb.bytes()).await;
        silence = answer.is_err().then_some(since);
        unanswered = Some(match answer {
            Ok(answer) if confirms(&answer) => return Settled::Durable,
            Ok(answer) => format!("NATS answers {:?} to an ack", answer.description),
            Err(_) if since.is_to_us_alone(term) => {
                let why = "NATS hears us and passes an ack over: it doesn't know of the delivery, so the message comes again";
                return Settled::Unknown(why.to_owned());
            }
            Err(error) => format!("NATS does not answer an ack: {error}"),
        });
        pause(held).await;
    }
    unanswered.map_or(Settled::Fenced, Settled::Unknown)
}

/// Since when, and on which connection, an ack is not answered.
#[derive(Clone, Copy, Debug)]
struct Silence {
    since: Instant,
    connection: u64,
}

impl Silence {
    fn from_now(client: &Client) -> Self {
        let connection = client.statistics().connects.load(Ordering::Relaxed);
        Self { since: Instant::now(), connection }
    }

    fn goes_on(&self, now: &Self) -> bool {
        self.connection == now.connection
    }

    /// Whether the server has answered meanwhile what was said to it after the ack, on the same connection, which keeps the
    /// order. A server that was killed can remember less of a consumer than it had delivered, and is silent to acks of the
    /// rest until it has delivered that again; which it can't while it fills all of a worker's slots.
    fn is_to_us_alone(&self, term: &Term) -> bool {
        let now = Self::from_now(&term.client);
        self.goes_on(&now) && now.since - self.since >= PATIENCE && term.was_heard_after(self.since)
    }
}

async fn pause(held: &Held) {
    let lost = held.term.lease.lost().cancelled();
    drop(tokio::time::timeout(AGAIN, lost).await);
}

#[cfg(test)]
mod tests {
    use async_nats::StatusCode;

    use super::*;

    fn answer(payload: &'static str, status: Option<StatusCode>) -> Message {
        Message {
            subject: "_INBOX.x".into(),
            reply: None,
            payload: payload.into(),
            headers: None,
            status,
            description: None,
            length: 0,
        }
    }

    #[test]
    fn only_an_empty_answer_without_a_status_confirms() {
        assert!(confirms(&answer("", None)));
        assert!(!confirms(&answer("", Some(StatusCode::NO_RESPONDERS))));
        assert!(!confirms(&answer("", Some(StatusCode::REQUEST_TERMINATED))));
        assert!(!confirms(&answer("{\"error\":{\"code\":503}}", None)));
    }
}
