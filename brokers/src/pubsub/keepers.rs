//! Whether anybody keeps what is published to a topic: one without a subscription takes a message,
//! says that it is durable, and forgets it.

use std::{
    sync::{Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use google_cloud_gax::error::Error as Source;
use google_cloud_pubsub::client::TopicAdmin;
use tokio::time::{Instant, timeout};

use super::{client::ASK, names::Topic, outage::Outage};

/// An answer holds for this long, for subscriptions seldom go.
const FRESH: Duration = Duration::from_secs(30);

/// Why nothing can be published now.
#[derive(Debug, thiserror::Error)]
pub(super) enum Unkept {
    #[error(
        "the topic {0} has no subscription, and what is published to it would be lost: make one with `stoop setup`"
    )]
    Nobody(Topic),
    #[error("{0}")]
    Unasked(String, #[source] Source),
    #[error("{0}")]
    Unanswered(String),
}

/// The subscriptions of a topic.
pub(super) struct Keepers {
    admin: TopicAdmin,
    topic: Topic,
    answered: Mutex<Option<Instant>>,
}

impl Keepers {
    pub(super) fn of(topic: Topic, admin: TopicAdmin) -> Self {
        Self { admin, topic, answered: Mutex::default() }
    }

    /// Sees to it that there is one. Whoever may not ask is believed to know.
    pub(super) async fn check(&self) -> Result<(), Unkept> {
        let asked_before = *self.answered();
        if asked_before.is_some_and(|at| at.elapsed() < FRESH) {
            return Ok(());
        }
        let name = self.topic.as_str();
        let ask = self.admin.list_topic_subscriptions().set_topic(name).set_page_size(1);
        match timeout(ASK, ask.send()).await {
            Ok(Ok(answer)) if answer.subscriptions.is_empty() => {
                return Err(Unkept::Nobody(self.topic.clone()));
            }
            Ok(Ok(_)) => {}
            Ok(Err(error)) => match Outage::of(&error) {
                Outage::Denied if asked_before.is_some() => {}
                Outage::Denied => tracing::warn!(
                    "whether {name} has a subscription can't be asked, and without one what is published to it is lost: \
                     roles/pubsub.viewer on it lets the worker see"
                ),
                outage => return Err(Unkept::Unasked(outage.of_topic(name), error)),
            },
            Err(_) => return Err(Unkept::Unanswered(Outage::Unreachable.of_topic(name))),
        }
        *self.answered() = Some(Instant::now());
        Ok(())
    }

    /// What was known is not known any more.
    pub(super) fn forget(&self) {
        *self.answered() = None;
    }

    fn answered(&self) -> MutexGuard<'_, Option<Instant>> {
        self.answered.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
