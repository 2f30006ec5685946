//! What the topic still holds, read through a subscription of our own that is deleted afterwards.

use std::{fmt, time::Duration};

use async_trait::async_trait;
use google_cloud_pubsub::{
    client::SubscriptionAdmin, model::ExpirationPolicy, subscriber::handler::Handler,
};
use jiff::Timestamp;

use crate::{
    contract::Error,
    history::History,
    message::{Attempt, Message},
};

use super::{
    client::Access, config::Config, names::Subscription, outage::Outage, queue::topic,
    reading::Reading, receiver::owned,
};

/// Should it not be deleted, because this process was killed, it goes by itself after the shortest time there is.
const EXPIRES: Duration = Duration::from_secs(24 * 3600);

/// Reads what the topic holds of the time since `since`, whatever the subscription has acknowledged, in no order.
///
/// # Errors
/// The topic keeps nothing that was acknowledged: the text says how to change that. Or the subscription to read it through
/// can't be made.
pub async fn history(config: &Config, since: Timestamp) -> Result<impl History + use<>, Error> {
    let access = Access::of(config)?;
    let topic = topic(&access, config).await?;
    let about = |what: &str, name: &str| format!("{what} {name} failed");
    let asked = access.topics().await?.get_topic().set_topic(topic.as_str()).send().await;
    let kept =
        asked.map_err(|error| Error::client(Outage::of(&error).of_topic(topic.as_str()), error))?;
    if kept.message_retention_duration.is_none() {
        return Err(Error::Configuration(format!(
            "the topic {topic} keeps no message that was acknowledged, so it has no history: gcloud pubsub topics update \
             {topic} --message-retention-duration=7d, and read it when some has gathered"
        )));
    }

    let admin = access.subscriptions().await?;
    let id = format!("stoop-history-{:016x}", fastrand::u64(..));
    let subscription = Subscription::new(&config.project, "history", &id)?;
    let made = admin
        .create_subscription()
        .set_name(subscription.as_str())
        .set_topic(topic.as_str())
        .set_ack_deadline_seconds(60)
        .set_expiration_policy(ExpirationPolicy::new().set_ttl(wire(EXPIRES)))
        .send()
        .await;
    made.map_err(|error| Error::client(about("making the subscription", &id), error))?;
    // From here on it is deleted, whatever fails.
    let temporary = Temporary { admin: admin.clone(), name: subscription.clone(), gone: false };
    let to = google_cloud_wkt::Timestamp::clamp(since.as_second(), 0);
    let sought = admin.seek().set_subscription(subscription.as_str()).set_time(to).send().await;
    sought.map_err(|error| Error::client(about("going back in time with", &id), error))?;
    let reading = Reading::of(&access.subscriber().await?, subscription);
    let (stream, opened) = (topic.id().into(), Timestamp::now());
    Ok(Past { reading, stream, opened, since, temporary })
}

struct Past {
    reading: Reading,
    stream: std::sync::Arc<str>,
    opened: Timestamp,
    since: Timestamp,
    temporary: Temporary,
}

impl fmt::Debug for Past {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Past").field("topic", &self.stream).finish_non_exhaustive()
    }
}

#[async_trait]
impl History for Past {
    async fn next(&mut self) -> Result<Option<Message>, Error> {
        while let Some((message, handler)) = self.reading.next().await? {
            // Nobody else reads this subscription.
            Handler::ack(handler);
            let message = owned(message, self.stream.clone(), Attempt::Unknown);
            let at = message.published.unwrap_or(self.opened);
            if (self.since..=self.opened).contains(&at) {
                return Ok(Some(message));
            }
        }
        self.temporary.delete().await;
        Ok(None)
    }

    fn total(&self) -> Option<u64> {
        None
    }
}

/// Our own subscription.
struct Temporary {
    admin: SubscriptionAdmin,
    name: Subscription,
    gone: bool,
}

impl Temporary {
    fn delete(&mut self) -> impl Future<Output = ()> + Send + use<> {
        let wanted = !std::mem::replace(&mut self.gone, true);
        let delete = self.admin.delete_subscription().set_subscription(self.name.as_str());
        let name = self.name.clone();
        async move {
            if wanted && let Err(error) = delete.send().await {
                tracing::warn!(%error, "{name} could not be deleted; it expires in a day");
            }
        }
    }
}

/// Whoever stops in the middle doesn't wait for it.
impl Drop for Temporary {
    fn drop(&mut self) {
        if let Ok(runtime) = tokio::runtime::Handle::try_current() {
            runtime.spawn(self.delete());
        }
    }
}

fn wire(time: Duration) -> google_cloud_wkt::Duration {
    google_cloud_wkt::Duration::clamp(time.as_secs().cast_signed(), 0)
}
