//! A JetStream work queue full of events.

use std::collections::VecDeque;

use async_nats::jetstream::{
    self,
    consumer::{AckPolicy, pull},
    stream::{Config, RetentionPolicy},
};

use super::topic::fresh;

/// How many are published before the first of them has to be confirmed.
const AT_ONCE: usize = 64;

/// Creates a work queue with a consumer called `stoop`, and publishes `messages` events to it.
pub async fn fill(url: &str, name: &str, messages: usize, event: fn(usize) -> String) -> String {
    let name = fresh(name);
    let context = jetstream::new(async_nats::connect(url).await.unwrap());
    for (name, retention) in [
        (name.clone(), RetentionPolicy::WorkQueue),
        (format!("{name}-dead"), RetentionPolicy::Limits),
    ] {
        let subjects = vec![name.replace("-dead", ".dead")];
        let stream =
            Config { name, subjects, retention, max_messages_per_subject: -1, ..Config::default() };
        context.create_stream(stream).await.unwrap();
    }
    let consumer = pull::Config {
        durable_name: Some("stoop".to_owned()),
        ack_policy: AckPolicy::Explicit,
        max_deliver: -1,
        max_ack_pending: 50_000,
        ..pull::Config::default()
    };
    let stream = context.get_stream(&name).await.unwrap();
    stream.create_consumer(consumer).await.unwrap();
    let mut unconfirmed = VecDeque::new();
    for number in 0..messages {
        if unconfirmed.len() == AT_ONCE
            && let Some(oldest) = unconfirmed.pop_front()
        {
            let oldest: jetstream::context::PublishAckFuture = oldest;
            oldest.await.unwrap();
        }
        let published = context.publish(name.clone(), event(number).into()).await;
        unconfirmed.push_back(published.unwrap());
    }
    for published in unconfirmed {
        published.await.unwrap();
    }
    name
}
