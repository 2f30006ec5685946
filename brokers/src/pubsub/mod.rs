//! Google Cloud Pub/Sub: a subscription that all workers share, each message leased until it is settled.
//!
//! The only module that names its client library. What lives here:
//! ```text
//! pull ── store ──▶ receiver ── leases (our own clock) ──▶ pump ──▶ ledger ── ack, or nack
//!   └─ refused, open ──▶ health ◀── answers, silent ── survey                      └── burial ──▶ dead-letter topic
//! ```
//! Around it, for people: `setup` makes what a subscription needs, `queue` reads dead letters, `history` what the topic
//! still holds.
//!
//! # What holds
//! The client extends the lease of everything held, here and with the handlers, until the lease's longest time; our clock
//! ends it a little earlier. A message that is let go of unsettled is handed back, and the subscription's retry policy
//! says when it comes again. Acks are sent a moment later in batches, best effort; those of an exactly-once subscription
//! are confirmed one by one.

mod attributes;
mod burial;
mod client;
mod config;
mod destination;
mod health;
mod history;
mod keepers;
mod lag;
mod leases;
mod ledger;
mod names;
mod outage;
mod publisher;
mod pull;
mod queue;
mod reading;
mod receiver;
mod setup;
mod store;
mod subscription;
mod survey;

use std::sync::Arc;

use tokio_util::sync::CancellationToken;

use crate::contract::{Demand, Error};

pub use self::{
    config::{Config, Limits},
    destination::{Destination, DestinationConfig},
    history::history,
    lag::Lag,
    ledger::Ledger,
    publisher::Publisher,
    queue::dead_letters,
    receiver::{Key, Receiver, Record},
    setup::{Change, Plan},
};

use self::{
    burial::Cemetery,
    client::Access,
    health::Monitor,
    keepers::Keepers,
    leases::Leases,
    pull::{Puller, Streams},
    store::{Handful, Store},
    subscription::Traits,
    survey::{Answer, Survey},
};

/// Looks at the subscription and begins to receive. Needs a tokio runtime. A Pub/Sub that is away, a subscription that is
/// missing or denied are waited for; its [health](Ledger::health) says so.
///
/// # Errors
/// The configuration can't work, or the subscription is not fit; the text says what to change.
pub async fn connect(config: &Config, limits: Limits) -> Result<(Receiver, Arc<Ledger>), Error> {
    let access = Access::of(config)?;
    let subscription = config.subscription()?;
    let monitor = Arc::<Monitor>::default();
    let survey =
        Survey { admin: access.subscriptions().await?, subscription: subscription.clone() };
    let traits = traits(&survey, &monitor).await?;
    let dead_letters = match config.dead_letters()? {
        Some(topic) => {
            let publisher = access.publisher(&topic).await?;
            let keepers = Keepers::of(topic.clone(), access.topics().await?);
            Some(Cemetery { topic, publisher, keepers, subscription: subscription.clone() })
        }
        None => None,
    };

    let left = CancellationToken::new();
    tokio::spawn(survey.run(monitor.clone(), left.clone()));
    // Whoever leaves wants nothing more.
    let enough = left.child_token();
    let (streams, store) = (Arc::<Streams>::default(), Arc::<Store>::default());
    let puller = Puller {
        subscriber: access.subscriber().await?,
        subscription: subscription.clone(),
        limits,
        ack_deadline: config.ack_deadline.0,
        monitor: monitor.clone(),
        streams: streams.clone(),
        store: store.clone(),
        enough: enough.clone(),
    };
    tokio::spawn(puller.run());

    let held = Arc::default();
    let receiver = Receiver {
        store: store.clone(),
        taken: Handful::default(),
        leases: Leases::new(limits, left.clone()),
        stream: subscription.id().into(),
        counts: traits.counts,
        held: Arc::clone(&held),
        demand: Demand::Flow,
        enough,
        left: left.clone(),
    };
    let ledger = Ledger { traits, limits, dead_letters, monitor, streams, store, held, left };
    Ok((receiver, Arc::new(ledger)))
}

/// What the subscription is like, as far as Pub/Sub says so now. What isn't known is not promised.
async fn traits(survey: &Survey, monitor: &Monitor) -> Result<Traits, Error> {
    let answer = survey.ask().await;
    let traits = match &answer {
        Answer::Is(subscription) => {
            if let Some(why) = subscription::unfit(subscription) {
                return Err(Error::Configuration(why));
            }
            if let Some(why) = subscription::doubtful(subscription) {
                tracing::warn!("{why}");
            }
            Traits::of(subscription)
        }
        Answer::No(outage) => {
            let name = survey.subscription.as_str();
            tracing::warn!(
                "what the subscription {name} is like can't be asked ({}): it is served as one without exactly-once delivery; \
                 roles/pubsub.viewer on it lets the worker see",
                outage.of_subscription(name)
            );
            Traits::default()
        }
        Answer::Silence(_) => Traits::default(),
    };
    survey.note(monitor, answer);
    Ok(traits)
}
