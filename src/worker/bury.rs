//! The way to the dead letters: durable there first, and whoever should know of it is told.

use std::{panic::AssertUnwindSafe, sync::Arc, time::Duration};

use brokers::{DeadLetter, DeadLetterError, Delivery};
use futures::FutureExt;
use jiff::Timestamp;
use playbooks::{
    act::{Dependency, Failure},
    decide::{EventError, Reach},
};

use super::{
    Worker,
    persevere::{Patience, Tries},
    read::{Read, read},
    respond::Ask,
    settle::{Fate, Stream},
    verdict::Reason,
};
use crate::error::with_sources;

/// How long a dead letter that is refused waits before it is offered again.
const REST: Duration = Duration::from_secs(60);

impl Worker {
    /// Gives a delivery up: durable as a dead letter, then settled. While the dead letters are away it waits.
    pub(super) async fn bury(
        &self,
        stream: &Stream,
        delivery: Delivery,
        letter: &DeadLetter,
    ) -> Fate {
        let lost = delivery.lease().lost().clone();
        let id = delivery.message().id.clone();
        let mut tries = Tries::new(&self.outages, Patience::ENDLESS, &lost);
        let _aging = stream.hold(delivery.message());
        let mut held = delivery;
        loop {
            let (back, error) = match held.dead_letter(letter).await {
                Ok(settled) => {
                    tracing::warn!(
                        subscription = stream.name(), message_id = %id, reason = letter.reason,
                        error = letter.error, playbooks = letter.failed.join(","), "dead-lettered"
                    );
                    tries.succeeded();
                    return stream.dead_lettered(letter, &settled);
                }
                Err(kept) => kept,
            };
            held = back;
            if let DeadLetterError::Refused(_) = error {
                tracing::error!(
                    subscription = stream.name(), message_id = %id, why = with_sources(&error),
                    "the dead letters refuse an event: it is kept unacknowledged, and offered again"
                );
            }
            if tries.after(not_buried(stream.name(), &error)).await.is_err() {
                return stream.hand_back(held);
            }
        }
    }

    pub(super) async fn bury_malformed(
        &self,
        stream: &Stream,
        delivery: Delivery,
        error: &EventError,
    ) {
        let letter = self.letter(Reason::Malformed, error.to_string(), 1);
        if let Fate::DeadLettered | Fate::Unknown = self.bury(stream, delivery, &letter).await {
            self.feed.malformed(stream.name(), error);
        }
    }

    /// A message that broke its handler time and again.
    pub(super) async fn bury_poison(&self, stream: &Stream, delivery: Delivery) {
        let attempts = delivery.handed().saturating_sub(1);
        let why = "the worker broke on it again and again; its log says how".to_owned();
        let letter = self.letter(Reason::Crashed, why, attempts);
        // Whatever broke may be met here again, and must not keep the message from the dead letters.
        let told = AssertUnwindSafe(self.abandon(&delivery, &letter)).catch_unwind().await;
        match told {
            Ok(Some(())) => drop(self.bury(stream, delivery, &letter).await),
            Ok(None) => drop(stream.hand_back(delivery)),
            Err(_) => {
                tracing::error!(
                    subscription = stream.name(), message_id = %delivery.message().id,
                    "a message breaks the worker, and who should be told of it can't be: it goes to the dead letters"
                );
                self.bury(stream, delivery, &letter).await;
            }
        }
    }

    /// Puts on record, and tells, which containments a message that is given up would have had. `None` if it was lost
    /// meanwhile.
    async fn abandon(&self, delivery: &Delivery, letter: &DeadLetter) -> Option<()> {
        let rules = self.rules.now();
        let Read::Wanted(wanted) = read(delivery.message(), &rules.matcher, &self.cluster) else {
            return Some(());
        };
        // Whose pod it is was not verified: it is nothing to tell a namespace's playbooks of.
        let plans = wanted.candidates.iter().map(|candidate| rules.plan(candidate));
        for plan in plans.filter(|plan| plan.playbook.reach == Reach::Cluster) {
            if plan.contains() {
                let ask = Ask::Abandon(Failure::permanent(letter.error.clone()), letter.attempts);
                let (lost, occurrence) = (delivery.lease().lost(), wanted.occurrence.clone());
                self.run_response(lost, plan.clone(), ask, occurrence, Arc::default()).await?;
            }
        }
        Some(())
    }

    fn letter(&self, reason: Reason, error: String, attempts: u32) -> DeadLetter {
        let now = Timestamp::now();
        DeadLetter {
            reason: reason.as_str().to_owned(),
            error,
            attempts,
            first_failed: now,
            last_failed: now,
            failed: Vec::new(),
            worker: self.name.to_string(),
        }
    }
}

/// Away, it is an outage; refused, it is this letter's own trouble, and giving it up would lose the event.
fn not_buried(subscription: &str, error: &DeadLetterError) -> Failure {
    let why = with_sources(error);
    match error {
        DeadLetterError::Unavailable(_) => {
            Failure::unavailable(Dependency::DeadLetters(subscription.to_owned()), why)
        }
        DeadLetterError::Refused(_) => Failure::transient(why).after(Some(REST)),
    }
}
