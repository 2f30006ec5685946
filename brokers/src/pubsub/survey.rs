//! Asks for the subscription now and then, off the message path: whether Pub/Sub answers at all, for the stream alone
//! doesn't say.

use std::{sync::Arc, time::Duration};

use google_cloud_pubsub::{client::SubscriptionAdmin, model};
use tokio::time::{sleep, timeout};
use tokio_util::sync::CancellationToken;

use super::{client::ASK, health::Monitor, names::Subscription, outage::Outage};

/// How often Pub/Sub is asked, and how often while it is away.
const EVERY: (Duration, Duration) = (Duration::from_secs(10), Duration::from_secs(1));

/// What came of asking.
#[derive(Debug)]
pub(super) enum Answer {
    /// This is what the subscription is like.
    Is(Box<model::Subscription>),
    /// An answer, but another one.
    No(Outage),
    /// None.
    Silence(String),
}

pub(super) struct Survey {
    pub(super) admin: SubscriptionAdmin,
    pub(super) subscription: Subscription,
}

impl Survey {
    /// Asks once.
    pub(super) async fn ask(&self) -> Answer {
        let asked = self.admin.get_subscription().set_subscription(self.subscription.as_str());
        match timeout(ASK, asked.send()).await {
            Ok(Ok(subscription)) => Answer::Is(Box::new(subscription)),
            Ok(Err(error)) => match Outage::of(&error) {
                outage @ (Outage::Unreachable | Outage::Untrusted) => {
                    tracing::debug!(%error, "Pub/Sub doesn't answer");
                    Answer::Silence(outage.of_subscription(self.subscription.as_str()))
                }
                outage => Answer::No(outage),
            },
            Err(_) => {
                Answer::Silence(Outage::Unreachable.of_subscription(self.subscription.as_str()))
            }
        }
    }

    /// Asks until the worker leaves.
    pub(super) async fn run(self, monitor: Arc<Monitor>, left: CancellationToken) {
        left.run_until_cancelled(async {
            loop {
                self.note(&monitor, self.ask().await);
                sleep(if monitor.is_away() { EVERY.1 } else { EVERY.0 }).await;
            }
        })
        .await;
    }

    /// A worker may be allowed to read and not to ask; what it may not do, the stream says.
    pub(super) fn note(&self, monitor: &Monitor, answer: Answer) {
        match answer {
            Answer::Silence(why) => monitor.silent(why),
            Answer::No(Outage::Credentials) => {
                monitor.silent(Outage::Credentials.of_subscription(self.subscription.as_str()));
            }
            Answer::Is(_) | Answer::No(..) => monitor.answered(),
        }
    }
}
