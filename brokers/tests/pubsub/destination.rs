//! A topic that is only published to.

use brokers::{
    Destination as _, Outgoing, Unpublished,
    pubsub::{Destination, DestinationConfig},
};
use bytes::Bytes;

use crate::{
    bench::{Bench, shared},
    rest::PROJECT,
};

/// The topic of dead letters, whose subscription can be read.
async fn destination(bench: &Bench) -> Destination {
    let config = DestinationConfig {
        project: PROJECT.to_owned(),
        topic: bench.dead().to_owned(),
        credentials: None,
        endpoint: bench.config.endpoint.clone(),
    };
    Destination::new(&config).await.unwrap()
}

async fn publish(to: &Destination, payload: &[u8]) -> Result<(), Unpublished> {
    let headers = [("stoop-id".to_owned(), Bytes::from_static(b"1"))];
    to.publish(Outgoing { id: "1", payload, headers: &headers }).await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_published_is_there_with_its_attributes() {
    let bench = Bench::unmade_on(shared().await).await;
    bench.make_dead_letters().await;
    publish(&destination(&bench).await, b"event").await.unwrap();
    let kept = bench.read_dead_letters().await;
    assert_eq!(kept.len(), 1);
    assert_eq!(&kept[0].payload[..], b"event");
    assert_eq!(kept[0].headers, [("stoop-id".to_owned(), Bytes::from_static(b"1"))]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_topic_that_nobody_reads_is_waited_for_like_one_that_is_not_there() {
    let bench = Bench::unmade_on(shared().await).await;
    let to = destination(&bench).await;
    let error = publish(&to, b"event").await.unwrap_err();
    assert!(matches!(error, Unpublished::Unavailable(_)), "{error:?}");
    bench.rest.put(&format!("topics/{}", bench.dead()), serde_json::json!({})).await;
    let error = publish(&to, b"event").await.unwrap_err();
    assert!(
        matches!(&error, Unpublished::Unavailable(why) if why.to_string().contains("no subscription")),
        "{error:?}"
    );
    bench.keep_dead_letters().await;
    publish(&to, b"event").await.unwrap();
}
