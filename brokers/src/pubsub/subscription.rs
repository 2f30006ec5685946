//! What a subscription is like, and whether it is fit. Pure.

use std::time::Duration;

use google_cloud_pubsub::model;

/// What a worker has to know of its subscription.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Traits {
    /// Acks are confirmed.
    pub(super) exactly_once: bool,
    /// Deliveries are counted, which Pub/Sub does for the sake of a dead-letter policy.
    pub(super) counts: bool,
}

impl Traits {
    pub(super) fn of(subscription: &model::Subscription) -> Self {
        Self {
            exactly_once: subscription.enable_exactly_once_delivery,
            counts: subscription.dead_letter_policy.is_some(),
        }
    }
}

/// The least time a subscription has to keep what nobody has acknowledged: a weekend.
pub(super) const LEAST_RETENTION: Duration = Duration::from_secs(3 * 24 * 3600);

/// A dead-letter policy of Pub/Sub's own is a backstop: it takes messages out of our hands that were handed back as often
/// as this.
pub(super) const LEAST_DELIVERIES: i32 = 20;

/// Why a worker can't be given this subscription, with the fix.
pub(super) fn unfit(it: &model::Subscription) -> Option<String> {
    let name = &it.name;
    let pushed = it.push_config.as_ref().is_some_and(|push| !push.push_endpoint.is_empty());
    if pushed
        || it.bigquery_config.is_some()
        || it.cloud_storage_config.is_some()
        || it.bigtable_config.is_some()
    {
        return Some(format!(
            "the subscription {name} delivers to somewhere else and can't be pulled from: make another for stoop with `stoop \
             setup`"
        ));
    }
    if it.detached || it.topic == "_deleted-topic_" {
        return Some(format!(
            "the subscription {name} has lost its topic: delete it, and make it anew with `stoop setup`"
        ));
    }
    let backoff = it.retry_policy.as_ref().and_then(|policy| policy.minimum_backoff);
    // A message that always fails would run in a hot loop through the fleet.
    if backoff.is_none_or(|backoff| duration(backoff).is_zero()) {
        return Some(format!(
            "the subscription {name} has no retry policy, so that what is handed back comes again at once: gcloud pubsub \
             subscriptions update {name} --min-retry-delay=10s --max-retry-delay=600s"
        ));
    }
    if it.enable_message_ordering {
        return Some(format!(
            "the subscription {name} keeps the order of keys, so that one failed event holds up those behind it: make \
             another without --enable-message-ordering"
        ));
    }
    None
}

/// What doesn't keep a worker from it, and loses messages sooner or later, with the fix.
pub(super) fn doubtful(it: &model::Subscription) -> Option<String> {
    let name = &it.name;
    if !it.filter.is_empty() {
        return Some(format!(
            "the subscription {name} has the filter {:?}, and what that leaves out stoop never sees: make another without it",
            it.filter
        ));
    }
    let kept = it.message_retention_duration.map(duration);
    if kept.is_some_and(|kept| kept < LEAST_RETENTION) {
        return Some(format!(
            "the subscription {name} forgets what was not acknowledged after {} hours: gcloud pubsub subscriptions update \
             {name} --message-retention-duration=7d",
            kept.unwrap_or_default().as_secs() / 3600
        ));
    }
    let ttl = it.expiration_policy.as_ref().and_then(|policy| policy.ttl).map(duration);
    if let Some(ttl) = ttl {
        return Some(format!(
            "the subscription {name} is deleted, messages and all, when no worker has asked for {} days: gcloud pubsub \
             subscriptions update {name} --expiration-period=never",
            ttl.as_secs() / (24 * 3600)
        ));
    }
    let deliveries = it.dead_letter_policy.as_ref().map(|policy| policy.max_delivery_attempts);
    if deliveries.is_some_and(|most| most < LEAST_DELIVERIES) {
        return Some(format!(
            "the dead-letter policy of {name} takes messages away after {} deliveries, and workers that come and go hand \
             them back: gcloud pubsub subscriptions update {name} --max-delivery-attempts=100",
            deliveries.unwrap_or_default()
        ));
    }
    None
}

/// A negative one is none.
fn duration(duration: google_cloud_wkt::Duration) -> Duration {
    duration.try_into().unwrap_or_default()
}
