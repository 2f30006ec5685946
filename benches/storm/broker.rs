//! A broker that has everything at hand, and notes when it hands over and when it is told.

use std::{future::pending, time::Instant};

use async_trait::async_trait;
use brokers::{
    AckStrength, Attempt, Attempts, Borrowed, Capabilities, DeadLetter, DeadLetterError, Demand,
    Error, Lease, Ledger, Message, MessageId, Pool, Receiver, Settled,
};
use tokio::sync::mpsc::UnboundedSender;

use crate::Book;

/// Hands over one event after the other, each as soon as the worker has a permit for it: waiting for that is not its time.
pub struct Here {
    events: std::vec::IntoIter<Vec<u8>>,
    next: usize,
    pool: Pool,
    book: Book,
}

impl Here {
    pub fn new(events: Vec<Vec<u8>>, pool: Pool, book: Book) -> Here {
        Here { events: events.into_iter(), next: 0, pool, book }
    }
}

pub struct Body(Vec<u8>, usize);

impl Borrowed for Body {
    fn payload(&self) -> &[u8] {
        &self.0
    }

    fn detach(self) -> Message {
        Message {
            id: MessageId::in_stream("bench".into(), self.1 as u64),
            payload: self.0.into(),
            key: None,
            headers: Vec::new(),
            published: None,
            attempt: Attempt::Unknown,
        }
    }
}

impl Receiver for Here {
    type Message<'a> = Body;
    type Key = usize;

    async fn next(&mut self) -> Result<(Body, usize, Lease), Error> {
        let Some(event) = self.events.as_slice().first() else { return pending().await };
        drop(self.pool.acquire(event.len()).await);
        let Some(event) = self.events.next() else { return pending().await };
        let number = self.next;
        self.next += 1;
        self.book.lock().unwrap()[number].handed = Some(Instant::now());
        Ok((Body(event, number), number, Lease::new()))
    }

    fn demand(&mut self, _: Demand) {}
}

/// Takes note of what is settled.
pub struct Settles {
    pub book: Book,
    pub settled: UnboundedSender<()>,
}

#[async_trait]
impl Ledger<usize> for Settles {
    fn capabilities(&self) -> Capabilities {
        Capabilities {
            ack: AckStrength::Durable,
            attempts: Attempts::Unknown,
            dead_letters: true,
            longest_lease: None,
        }
    }

    fn skip(&self, _: usize) {}

    async fn ack(&self, number: &usize) -> Settled {
        self.book.lock().unwrap()[*number].settled = Some(Instant::now());
        self.settled.send(()).unwrap();
        Settled::Durable
    }

    async fn dead_letter(
        &self,
        _: &usize,
        _: &Message,
        letter: &DeadLetter,
    ) -> Result<Settled, DeadLetterError> {
        panic!("nothing should fail here: {letter:?}")
    }

    fn release(&self, _: usize) {}

    async fn close(&self, _: tokio::time::Instant) -> Result<(), Error> {
        Ok(())
    }
}
