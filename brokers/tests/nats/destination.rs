//! A subject of a stream that is only published to.

use async_nats::jetstream::stream;
use brokers::{
    Destination as _, Outgoing, Unpublished,
    nats::{Destination, DestinationConfig},
};
use bytes::Bytes;

use crate::bench::Bench;

/// The stream of dead letters, which has one subject, and holds anything.
fn config(bench: &Bench) -> DestinationConfig {
    let value = serde_json::json!({
        "servers": bench.config.servers, "stream": bench.dead_stream(), "subject": bench.dead_letters,
    });
    serde_json::from_value(value).unwrap()
}

async fn publish(to: &Destination, id: &str, payload: &[u8]) -> Result<(), Unpublished> {
    let headers = [("stoop-id".to_owned(), Bytes::from(id.to_owned()))];
    to.publish(Outgoing { id, payload, headers: &headers }).await
}

async fn stream(bench: &Bench) -> stream::Stream {
    bench.context.get_stream(bench.dead_stream()).await.unwrap()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_copy_is_taken_once_and_another_message_is_not_taken_for_one() {
    let bench = Bench::on_shared().await;
    let to = Destination::new(&config(&bench)).unwrap();
    for (id, payload) in [("1", "first"), ("1", "first"), ("2", "second")] {
        publish(&to, id, payload.as_bytes()).await.unwrap();
    }
    let mut stream = stream(&bench).await;
    assert_eq!(stream.info().await.unwrap().state.messages, 2);
    let first = stream.get_raw_message(1).await.unwrap();
    assert_eq!(&first.payload[..], b"first");
    assert_eq!(first.headers.get("stoop-id").unwrap().as_str(), "1");
    assert_eq!(first.headers.get("Nats-Msg-Id").unwrap().as_str(), "1");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_subject_of_another_stream_is_not_written_to() {
    let bench = Bench::on_shared().await;
    let theirs = bench.config.stream.as_deref().unwrap();
    let config = DestinationConfig { subject: format!("{theirs}.notice.shell"), ..config(&bench) };
    let error = publish(&Destination::new(&config).unwrap(), "1", b"event").await.unwrap_err();
    let Unpublished::Unavailable(why) = error else { panic!("{error:?}") };
    assert!(why.to_string().contains("belongs to another stream"), "{why}");
    let mut theirs = bench.context.get_stream(theirs).await.unwrap();
    assert_eq!(theirs.info().await.unwrap().state.messages, 0);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_stream_that_is_not_there_yet_may_be_there_later() {
    let bench = Bench::unmade_on_shared().await;
    let to = Destination::new(&config(&bench)).unwrap();
    let error = publish(&to, "1", b"event").await.unwrap_err();
    assert!(matches!(error, Unpublished::Unavailable(_)), "{error:?}");
    bench.create_dead_letters().await;
    publish(&to, "1", b"event").await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn servers_that_are_away_are_unavailable_and_what_is_too_large_is_refused() {
    let bench = Bench::unmade_on_shared().await;
    let small = stream::Config { max_message_size: 1024, ..stream::Config::default() };
    bench.create_dead_letters_as(small).await;
    let to = Destination::new(&config(&bench)).unwrap();
    for size in [2 << 10, 2 << 20] {
        let error = publish(&to, "1", &vec![b'x'; size]).await.unwrap_err();
        assert!(matches!(error, Unpublished::Refused(_)), "{size}: {error:?}");
    }
    publish(&to, "1", b"event").await.unwrap();
    let servers = vec!["nats://127.0.0.1:1".to_owned()];
    let nobody = Destination::new(&DestinationConfig { servers, ..config(&bench) }).unwrap();
    let error = publish(&nobody, "1", b"event").await.unwrap_err();
    assert!(matches!(error, Unpublished::Unavailable(_)), "{error:?}");
}

#[test]
fn what_can_not_work_is_refused_with_the_fix() {
    let with = |change: serde_json::Value| {
        let mut value = serde_json::json!({
            "servers": ["nats://127.0.0.1:4222"], "stream": "SENSITIVE", "subject": "falco.sensitive",
        });
        for (key, new) in change.as_object().unwrap() {
            value[key] = new.clone();
        }
        serde_json::from_value::<DestinationConfig>(value).unwrap().check()
    };
    with(serde_json::json!({})).unwrap();
    for (wrong, says) in [
        (serde_json::json!({"subject": "falco.>"}), "without wildcards"),
        (serde_json::json!({"servers": []}), "nats://host:port"),
        (serde_json::json!({"auth": {"token": "t"}}), "in the clear"),
    ] {
        let error = with(wrong).unwrap_err();
        assert!(error.to_string().contains(says), "{error}");
    }
}
