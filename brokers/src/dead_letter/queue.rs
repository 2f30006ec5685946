//! The dead letters of a subscription as a tool sees them: read, published again, dropped.

use std::fmt;

use async_trait::async_trait;
use bytes::Bytes;

use super::DeadLetter;
use crate::{contract::Error, message::Message};

/// A dead letter where it lies.
#[derive(Clone, Debug)]
pub struct Buried {
    /// Its place among the dead letters, as a person may name it: the same as long as it lies there.
    pub place: String,
    /// The message, byte for byte, with its own id and headers.
    pub message: Message,
    /// Why it is here.
    pub letter: DeadLetter,
}

/// The dead letters of one subscription. Reading them settles nothing, and several may read at once.
#[async_trait]
pub trait Queue: Send + fmt::Debug {
    /// The next dead letter, oldest first, of those that were there when the queue was opened; none at their end. What was
    /// redriven or dropped before is not among them.
    ///
    /// # Errors
    /// The broker can't be read now.
    async fn next(&mut self) -> Result<Option<Buried>, Error>;

    /// Publishes the message again where it came from, for the handlers that failed alone, with `more` headers, and then
    /// takes it out. Done once both are durable. Interrupted in between the dead letter is still here, and a second redrive
    /// brings the message twice: safe, for a handler finds what was done.
    ///
    /// # Errors
    /// The message may not be published; the dead letter is still here.
    async fn redrive(&mut self, buried: &Buried, more: &[(String, Bytes)]) -> Result<(), Error>;

    /// As [`Queue::redrive`], for some of the handlers that failed alone: the dead letter stays for the others.
    ///
    /// # Errors
    /// As [`Queue::redrive`]; a broker that can't change a dead letter where it lies refuses.
    async fn redrive_for(
        &mut self,
        _buried: &Buried,
        _handlers: &[String],
        _more: &[(String, Bytes)],
    ) -> Result<(), Error> {
        Err(Error::Configuration(
            "this broker can't redrive a dead letter for some of its playbooks and keep it for the others: redrive it for all"
                .to_owned(),
        ))
    }

    /// Takes the dead letter out, and the message is gone. Done once that is durable.
    ///
    /// # Errors
    /// The dead letter may still be here.
    async fn remove(&mut self, buried: &Buried) -> Result<(), Error>;
}
