//! What a stream still holds, read beside its consumer.

use async_nats::jetstream::stream::RetentionPolicy;
use brokers::{
    History as _,
    conformance::{Record, Worker},
    nats,
};
use jiff::Timestamp;

use crate::bench::Bench;

async fn bodies(bench: &Bench, since: Timestamp) -> Vec<String> {
    let mut history = nats::history(&bench.config, since).await.unwrap();
    let mut bodies = Vec::new();
    while let Some(message) = history.next().await.unwrap() {
        bodies.push(String::from_utf8(message.payload.to_vec()).unwrap());
    }
    bodies
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_work_queue_shows_what_is_left_and_loses_nothing_by_it() {
    let bench = Bench::on_shared().await;
    bench.publish_bodies(0..40).await;
    let mut worker = Worker::start(&bench).await;
    for (n, delivery) in worker.take(40).await.into_iter().enumerate() {
        match (5..35).contains(&n) {
            true => drop(delivery.ack().await),
            false => delivery.retry(std::time::Duration::from_secs(600)),
        }
    }
    let before = bench.left().await;
    let left = bodies(&bench, Timestamp::UNIX_EPOCH).await;
    assert_eq!(left, ["0", "1", "2", "3", "4", "35", "36", "37", "38", "39"]);
    assert_eq!(bench.left().await, before);
    worker.stop().await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn it_begins_at_the_time_asked_and_ends_with_what_was_there() {
    let bench = Bench::with_retention(RetentionPolicy::Limits).await;
    bench.publish_bodies(0..30).await;
    let stream = bench.context.get_stream(bench.stream.clone()).await.unwrap();
    for gap in [3, 4, 5, 18, 19, 20] {
        stream.delete_message(gap).await.unwrap();
    }
    let time = |sequence| {
        let stream = stream.clone();
        async move { stream.get_raw_message(sequence).await.unwrap().time.unix_timestamp_nanos() }
    };
    let since = Timestamp::from_nanosecond(time(17).await).unwrap();
    let expected: Vec<_> = [17].into_iter().chain(21..=30).map(|n| (n - 1).to_string()).collect();
    assert_eq!(bodies(&bench, since).await, expected);
    assert_eq!(bodies(&bench, Timestamp::UNIX_EPOCH).await.len(), 24);
    let later = Timestamp::from_nanosecond(time(30).await + 1).unwrap();
    assert!(bodies(&bench, later).await.is_empty());

    let mut history = nats::history(&bench.config, since).await.unwrap();
    assert!(history.total().is_some_and(|total| total >= 11));
    bench.publish_all(vec![Record::new("new")]).await;
    let mut count = 0;
    while history.next().await.unwrap().is_some() {
        count += 1;
    }
    assert_eq!(count, 11, "what came later is not history");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn core_nats_has_none_and_says_so() {
    let config = serde_json::json!({
        "servers": ["nats://127.0.0.1:1"], "subject": "a.*", "queue": "q", "acceptLoss": true,
    });
    let config = serde_json::from_value(config).unwrap();
    let refused = nats::history(&config, Timestamp::UNIX_EPOCH).await.unwrap_err();
    assert!(refused.is_configuration() && refused.to_string().contains("no history"), "{refused}");
}
