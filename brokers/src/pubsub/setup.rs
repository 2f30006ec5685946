//! What a subscription needs of Pub/Sub: looks, says what is missing, and creates that. It never deletes, and never
//! changes what somebody else has set.

use std::{fmt, future::Future, time::Duration};

use google_cloud_gax::error::Error as Source;
use google_cloud_pubsub::{
    client::{SubscriptionAdmin, TopicAdmin},
    model::{self, DeadLetterPolicy, ExpirationPolicy, RetryPolicy},
};
use tokio::time::timeout;

use crate::contract::Error;

use super::{
    client::{ASK, Access},
    config::Config,
    names::{Subscription, Topic},
    outage::Outage,
    subscription::{doubtful, unfit},
};

const DAY: Duration = Duration::from_secs(24 * 3600);

/// How long the topic of events keeps them: what a rehearsal on its history can read.
const HISTORY: Duration = Duration::from_secs(7 * 24 * 3600);

/// How long a subscription keeps what was not acknowledged.
const KEPT: Duration = Duration::from_secs(7 * 24 * 3600);

/// How soon what is handed back comes again, and how late at most.
const RETRY: (Duration, Duration) = (Duration::from_secs(10), Duration::from_secs(600));

/// Pub/Sub's own dead-letter policy is a backstop, and what makes it count deliveries: as late as it can be.
const DELIVERIES: i32 = 100;

/// What is missing.
#[derive(Clone, Debug)]
pub struct Plan {
    access: Access,
    changes: Vec<Change>,
}

/// One thing to be done. Printing it says what.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Change(Creation);

#[derive(Clone, Debug, PartialEq, Eq)]
enum Creation {
    Topic(Topic),
    DeadLetters(Topic),
    Subscription { name: Subscription, topic: Topic, backstop: Option<Topic> },
    DeadLettersSubscription { name: Subscription, topic: Topic },
}

impl fmt::Display for Change {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let days = |time: Duration| time.as_secs() / DAY.as_secs();
        match &self.0 {
            Creation::Topic(topic) => {
                write!(f, "create the topic {topic}, which keeps events for {} days", days(HISTORY))
            }
            Creation::DeadLetters(topic) => write!(f, "create the dead-letter topic {topic}"),
            Creation::Subscription { name, topic, .. } => write!(
                f,
                "create the subscription {name} of {topic}, which never expires, keeps what is not acknowledged for {} days \
                 and delivers again after {} to {} seconds",
                days(KEPT),
                RETRY.0.as_secs(),
                RETRY.1.as_secs()
            ),
            Creation::DeadLettersSubscription { name, topic } => write!(
                f,
                "create the subscription {name} of {topic}, which keeps dead letters for {} days",
                days(KEPT)
            ),
        }
    }
}

impl Plan {
    /// Looks at what is there.
    ///
    /// # Errors
    /// Pub/Sub can't be asked, or a subscription is set up in a way that can't work or would lose messages; the text says
    /// what to change.
    pub async fn of(config: &Config) -> Result<Self, Error> {
        let access = Access::of(config)?;
        let (topics, subscriptions) = (access.topics().await?, access.subscriptions().await?);
        let mut changes = Vec::new();
        let name = config.subscription()?;
        let there = subscription(&subscriptions, &name).await?;
        let dead_letters = config.dead_letters()?;
        if let Some(topic) = topic_of(config, there.as_ref())?
            && !exists(&topics, &topic).await?
        {
            changes.push(Creation::Topic(topic));
        }
        if let Some(topic) = &dead_letters
            && !exists(&topics, topic).await?
        {
            changes.push(Creation::DeadLetters(topic.clone()));
        }
        match (there, config.topic()?) {
            (Some(there), _) => check(&there, config.topic()?.as_ref())?,
            (None, Some(topic)) => {
                changes.push(Creation::Subscription {
                    name,
                    topic,
                    backstop: dead_letters.clone(),
                });
            }
            (None, None) => {
                return Err(Error::Configuration(format!(
                    "the subscription {name} doesn't exist, and can't be created without its topic: set topic"
                )));
            }
        }
        if let (Some(topic), Some(name)) = (dead_letters, config.dead_letters_subscription()?) {
            match subscription(&subscriptions, &name).await? {
                Some(there) => check_keeper(&there, &topic)?,
                None => changes.push(Creation::DeadLettersSubscription { name, topic }),
            }
        }
        Ok(Self { access, changes: changes.into_iter().map(Change).collect() })
    }

    /// What is to be done, in order. Nothing if all is there.
    pub fn changes(&self) -> &[Change] {
        &self.changes
    }

    /// Does it. What somebody else has done meanwhile counts as done.
    ///
    /// # Errors
    /// Google refuses a change; those before it are done.
    pub async fn apply(self) -> Result<(), Error> {
        let (topics, subscriptions) =
            (self.access.topics().await?, self.access.subscriptions().await?);
        for change in &self.changes {
            make(&topics, &subscriptions, change).await?;
        }
        Ok(())
    }
}

/// The configured topic. Without one the subscription's own says where events come from, and is not looked at.
fn topic_of(config: &Config, there: Option<&model::Subscription>) -> Result<Option<Topic>, Error> {
    match (config.topic()?, there) {
        (Some(topic), Some(there)) if there.topic == topic.as_str() => Ok(None),
        (topic, _) => Ok(topic),
    }
}

fn check(there: &model::Subscription, topic: Option<&Topic>) -> Result<(), Error> {
    if let Some(why) = unfit(there).or_else(|| doubtful(there)) {
        return Err(Error::Configuration(why));
    }
    match topic {
        Some(topic) if topic.as_str() != there.topic => Err(Error::Configuration(format!(
            "the subscription {} is one of {}, not of {topic}: correct topic, or name another subscription",
            there.name, there.topic
        ))),
        _ => Ok(()),
    }
}

/// A subscription that lets go of dead letters unseen is no place for them.
fn check_keeper(there: &model::Subscription, topic: &Topic) -> Result<(), Error> {
    let wrong = |why: String| Err(Error::Configuration(why));
    if there.topic != topic.as_str() {
        return wrong(format!(
            "the subscription {} is one of {}, and not of the dead-letter topic {topic}: set deadLettersSubscription",
            there.name, there.topic
        ));
    }
    let pushed = there.push_config.as_ref().is_some_and(|push| !push.push_endpoint.is_empty());
    if pushed {
        return wrong(format!(
            "the subscription {} pushes dead letters elsewhere: set deadLettersSubscription to one that keeps them",
            there.name
        ));
    }
    doubtful(there).map_or(Ok(()), wrong)
}

/// Waits for an answer, but not for ever.
async fn asked<T>(
    what: &dyn fmt::Display,
    answer: impl Future<Output = Result<T, Source>>,
) -> Result<Option<T>, Error> {
    match timeout(ASK, answer).await {
        Ok(Ok(answer)) => Ok(Some(answer)),
        Ok(Err(error)) => match Outage::of(&error) {
            Outage::Missing => Ok(None),
            Outage::Denied => Err(Error::client(
                format!("Google doesn't let us see {what}: setup needs roles/pubsub.editor"),
                error,
            )),
            outage @ (Outage::Unreachable | Outage::Untrusted | Outage::Credentials) => {
                Err(Error::client(outage.of_subscription(""), error))
            }
            Outage::Unfit | Outage::Other => {
                Err(Error::client(format!("asking for {what} failed"), error))
            }
        },
        Err(late) => Err(Error::client(Outage::Unreachable.of_subscription(""), late)),
    }
}

async fn exists(topics: &TopicAdmin, topic: &Topic) -> Result<bool, Error> {
    let answer = topics.get_topic().set_topic(topic.as_str()).send();
    Ok(asked(topic, answer).await?.is_some())
}

async fn subscription(
    subscriptions: &SubscriptionAdmin,
    name: &Subscription,
) -> Result<Option<model::Subscription>, Error> {
    asked(name, subscriptions.get_subscription().set_subscription(name.as_str()).send()).await
}

async fn make(
    topics: &TopicAdmin,
    subscriptions: &SubscriptionAdmin,
    change: &Change,
) -> Result<(), Error> {
    let made = match &change.0 {
        Creation::Topic(topic) => {
            let kept = topics.create_topic().set_message_retention_duration(wire(HISTORY));
            kept.set_name(topic.as_str()).send().await.map(drop)
        }
        Creation::DeadLetters(topic) => {
            topics.create_topic().set_name(topic.as_str()).send().await.map(drop)
        }
        Creation::Subscription { name, topic, backstop } => {
            let policy = backstop.as_ref().map(|topic| {
                DeadLetterPolicy::new()
                    .set_dead_letter_topic(topic.as_str())
                    .set_max_delivery_attempts(DELIVERIES)
            });
            let retry = RetryPolicy::new()
                .set_minimum_backoff(wire(RETRY.0))
                .set_maximum_backoff(wire(RETRY.1));
            let new = subscriptions
                .create_subscription()
                .set_name(name.as_str())
                .set_topic(topic.as_str())
                .set_ack_deadline_seconds(60)
                .set_message_retention_duration(wire(KEPT))
                .set_expiration_policy(ExpirationPolicy::new())
                .set_retry_policy(retry)
                .set_or_clear_dead_letter_policy(policy);
            new.send().await.map(drop)
        }
        Creation::DeadLettersSubscription { name, topic } => {
            let new = subscriptions
                .create_subscription()
                .set_name(name.as_str())
                .set_topic(topic.as_str())
                .set_ack_deadline_seconds(600)
                // So that a dead letter taken out is known to be out.
                .set_enable_exactly_once_delivery(true)
                .set_message_retention_duration(wire(KEPT))
                .set_expiration_policy(ExpirationPolicy::new());
            new.send().await.map(drop)
        }
    };
    match made {
        Err(error) if !already_there(&error) => {
            Err(Error::client(format!("to {change} failed"), error))
        }
        _ => Ok(()),
    }
}

fn already_there(error: &Source) -> bool {
    let exists = google_cloud_gax::error::rpc::Code::AlreadyExists;
    error.status().is_some_and(|status| status.code == exists)
        || error.http_status_code() == Some(409)
}

/// As the API takes it.
fn wire(time: Duration) -> google_cloud_wkt::Duration {
    google_cloud_wkt::Duration::clamp(time.as_secs().cast_signed(), 0)
}
