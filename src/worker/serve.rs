//! One broker, pumped: every delivery handled, none left behind at the end.

use std::sync::Arc;

use brokers::{
    Error, Ledger, Receiver,
    pump::{self, Intake},
};

use super::{Worker, readers::Readers, settle::Stream};

impl Worker {
    /// Serves a subscription until its intake is stopped and drained, or its broker gives up.
    ///
    /// # Errors
    /// The broker is of no more use as it stands, or has no place for dead letters. Everything unsettled comes again.
    pub async fn serve<R, L>(
        self: &Arc<Self>,
        subscription: &str,
        receiver: R,
        ledger: Arc<L>,
        intake: Intake,
    ) -> Result<(), Error>
    where
        R: Receiver,
        L: Ledger<R::Key>,
    {
        if !ledger.capabilities().dead_letters {
            return Err(Error::Configuration(format!(
                "subscription {subscription} has no place for dead letters, so an event that fails would block it for ever: set deadLetters"
            )));
        }
        let stream = Stream::new(subscription, &self.metrics);
        let worker = self.clone();
        let readers = Readers::new(move |delivery| worker.clone().handle(stream.clone(), delivery));
        let wants = |payload: &[u8]| self.rules.now().matcher.wants(payload);
        let handle = |delivery| readers.take(delivery);
        let ended = pump::run(receiver, ledger, intake, wants, handle).await;
        // What still runs is past the drain's end: it is dropped, and comes again.
        readers.end().await;
        ended
    }
}
