//! Tells the server that everything held is being worked on, and finds out whether it hears us.

use std::{sync::Arc, time::Duration};

use tokio::time::{Instant, sleep, timeout_at};

use super::{
    term::Term,
    verb::{Verb, confirms},
};

/// How long is waited before a round is tried again.
const AGAIN: Duration = Duration::from_millis(250);

/// Extends what is held until the term ends, and ends it when the server has not answered for too long.
pub(super) async fn keep(term: Arc<Term>) {
    while !term.is_over() {
        sleep(term.beat()).await;
        // Before anything is said: what the server hears, it hears later than this.
        let asked = Instant::now();
        if !term.is_over() && timeout_at(term.end(), extend(&term)).await.is_ok() {
            term.heard(asked);
        }
    }
}

/// One round: returns once the server has heard of all that is held.
async fn extend(term: &Term) {
    while let Err(error) = tell(term).await {
        tracing::debug!(%error, "NATS was not told what is being worked on");
        sleep(AGAIN).await;
    }
}

async fn tell(term: &Term) -> Result<(), async_nats::Error> {
    let mut replies = term.replies();
    let Some(last) = replies.pop() else { return Ok(()) };
    for reply in replies {
        term.client.publish(reply, Verb::Progress.bytes()).await?;
    }
    // One connection keeps the order, so the answer to the last stands for all.
    let answer = term.client.request(last, Verb::Progress.bytes()).await?;
    match confirms(&answer) {
        true => Ok(()),
        false => Err(format!("the answer was {:?}", answer.description).into()),
    }
}
