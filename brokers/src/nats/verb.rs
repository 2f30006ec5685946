//! What the server is told about a message, and whether it has understood.

use std::time::Duration;

use async_nats::Message;
use bytes::Bytes;

use crate::contract::Settled;

use super::term::Held;

/// How long is waited before the server is told once more.
const AGAIN: Duration = Duration::from_millis(200);

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

/// Tells the server, and again until it confirms or the term ends.
pub(super) async fn settle(held: &Held, verb: Verb) -> Settled {
    let term = &held.term;
    let mut unanswered = None;
    while !term.is_over() {
        // What is asked while disconnected is sent once connected: by then the sequence may be another message's.
        let connected = term.client.connection_state() == async_nats::connection::State::Connected;
        let answer = match connected {
            true => term.client.request(held.reply.clone(), verb.bytes()).await,
            false => {
                pause(held).await;
                continue;
            }
        };
        unanswered = Some(match answer {
            Ok(answer) if confirms(&answer) => return Settled::Durable,
            Ok(answer) => format!("NATS answers {:?} to an ack", answer.description),
            Err(error) => format!("NATS does not answer an ack: {error}"),
        });
        pause(held).await;
    }
    unanswered.map_or(Settled::Fenced, Settled::Unknown)
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
