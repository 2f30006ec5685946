//! What a person does: set up, look into the dead letters, read the history.

use brokers::{
    DeadLetter, DeadLetterError, Error, History as _,
    conformance::{Record, Worker, until},
    dead_letter::Queue as _,
    pubsub::{self, Plan},
};
use jiff::{Timestamp, ToSpan as _};
use serde_json::json;

use crate::{
    bench::{Bench, shared},
    conformance::AtLeastOnce,
    rest::PROJECT,
};

fn letter(failed: &[&str]) -> DeadLetter {
    DeadLetter {
        reason: "failed".into(),
        error: "no".into(),
        attempts: 1,
        first_failed: Timestamp::UNIX_EPOCH,
        last_failed: Timestamp::UNIX_EPOCH,
        failed: failed.iter().map(|&name| name.to_owned()).collect(),
        worker: "w".into(),
    }
}

async fn plan(bench: &Bench) -> Result<Vec<String>, Error> {
    let plan = Plan::of(&bench.config).await?;
    Ok(plan.changes().iter().map(ToString::to_string).collect())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_missing_is_planned_and_then_made() {
    let bench = Bench::unmade_on(shared().await).await;
    let planned = plan(&bench).await.unwrap();
    assert_eq!(planned.len(), 4, "{planned:?}");
    assert_eq!(plan(&bench).await.unwrap(), planned, "a plan changes nothing");
    let again = Plan::of(&bench.config).await.unwrap();
    Plan::of(&bench.config).await.unwrap().apply().await.unwrap();
    assert_eq!(plan(&bench).await.unwrap(), Vec::<String>::new());
    again.apply().await.expect("what is there already counts as done");

    let path = format!("subscriptions/{}", bench.config.subscription);
    let made = bench.rest.get(&path).await.unwrap();
    assert_eq!(made["retryPolicy"], json!({"minimumBackoff": "10s", "maximumBackoff": "600s"}));
    assert_eq!(made["messageRetentionDuration"], "604800s");
    assert_eq!(made["expirationPolicy"], json!({}), "never");
    assert_eq!(made["deadLetterPolicy"]["maxDeliveryAttempts"], 100);
    let kept = bench.rest.get(&format!("subscriptions/{}", bench.dead())).await.unwrap();
    assert_eq!(kept["enableExactlyOnceDelivery"], true);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_foreign_setting_is_refused_with_the_fix() {
    for (like, fix) in [
        (json!({"retryPolicy": null}), "--min-retry-delay=10s"),
        (json!({"pushConfig": {"pushEndpoint": "https://example.com"}}), "make another for stoop"),
        (json!({"enableMessageOrdering": true}), "without --enable-message-ordering"),
        (json!({"filter": "attributes:x"}), "without it"),
        (json!({"messageRetentionDuration": "3600s"}), "--message-retention-duration=7d"),
        (json!({"expirationPolicy": {"ttl": "86400s"}}), "--expiration-period=never"),
    ] {
        let bench = Bench::on_shared(like).await;
        let refused = plan(&bench).await.unwrap_err();
        assert!(refused.is_configuration() && refused.to_string().contains(fix), "{refused}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_worker_is_not_given_a_subscription_without_a_retry_policy() {
    let bench = Bench::on_shared(json!({"retryPolicy": null})).await;
    let Err(refused) = pubsub::connect(&bench.config, bench.limits).await else {
        panic!("it was given one")
    };
    assert!(refused.is_configuration() && refused.to_string().contains("--min-retry-delay=10s"));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn dead_letters_are_listed_redriven_and_dropped() {
    let bench = Bench::on_shared(json!({})).await;
    // As setup makes it.
    bench.unmake_dead_letters().await;
    Plan::of(&bench.config).await.unwrap().apply().await.unwrap();
    let bench = AtLeastOnce(bench);
    let own = vec![("traceparent".to_owned(), "00-1".into())];
    let records = ["a", "b", "c"].map(|body| Record { headers: own.clone(), ..Record::new(body) });
    bench.0.publish(records.to_vec()).await;
    let mut worker = Worker::start(&bench).await;
    for delivery in worker.take(3).await {
        let buried = delivery.dead_letter(&letter(&["isolate", "delete"])).await;
        buried.map_err(|(_, error)| error).unwrap();
    }

    let mut queue = pubsub::dead_letters(&bench.0.config).await.unwrap();
    let mut found = Vec::new();
    while let Some(buried) = queue.next().await.unwrap() {
        found.push(buried);
    }
    found.sort_by_key(|buried| buried.message.payload.clone());
    let [a, b, _] = found.as_slice() else { panic!("three, not {found:?}") };
    assert_eq!((a.message.payload.as_ref(), a.letter.reason.as_str()), (&b"a"[..], "failed"));
    assert_eq!(a.message.headers, own);
    assert_eq!(a.letter.failed, ["isolate", "delete"]);
    queue.redrive(a, &[("stoop-max-age".to_owned(), "7d".into())]).await.unwrap();
    queue.remove(b).await.unwrap();
    assert!(queue.remove(b).await.unwrap_err().to_string().contains("any more"));
    drop(queue);

    let again = worker.next().await;
    assert_eq!(again.message().payload, "a");
    let meant = brokers::dead_letter::meant_for(again.message());
    assert_eq!(meant, Some(vec!["isolate", "delete"]));
    again.ack().await;
    worker.stop().await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_dead_letter_that_nobody_would_keep_is_not_published_and_its_message_not_acked() {
    let bench = AtLeastOnce(Bench::on_shared(json!({})).await);
    bench.0.rest.delete(&format!("subscriptions/{}", bench.0.dead())).await;
    bench.0.publish(vec![Record::new("a")]).await;
    let mut worker = Worker::start(&bench).await;
    let buried = worker.next().await.dead_letter(&letter(&[])).await;
    let (delivery, error) = buried.expect_err("there is no subscription for it");
    let DeadLetterError::Unavailable(why) = error else { panic!("{error}") };
    assert!(why.to_string().contains("stoop setup"), "{why}");
    let topic = format!("projects/{PROJECT}/topics/{}", bench.0.dead());
    bench.0.rest.put(&format!("subscriptions/{}", bench.0.dead()), json!({"topic": topic})).await;
    delivery.dead_letter(&letter(&[])).await.map_err(|(_, error)| error).unwrap();
    worker.stop().await.unwrap();
    assert_eq!(bench.0.read_dead_letters().await.len(), 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_was_acknowledged_is_read_again_as_history_and_nothing_of_it_settled() {
    let bench = AtLeastOnce(Bench::on_shared(json!({})).await);
    bench.0.publish(vec![Record::new("acked"), Record::new("held")]).await;
    let mut worker = Worker::start(&bench).await;
    let (done, held): (Vec<_>, Vec<_>) =
        worker.take(2).await.into_iter().partition(|d| d.message().payload == "acked");
    for delivery in done {
        delivery.ack().await;
    }
    until("the ack to be there", async || bench.0.unsettled().await == 1).await;

    let since = Timestamp::now() - 1.hour();
    let mut history = pubsub::history(&bench.0.config, since).await.unwrap();
    let mut bodies = Vec::new();
    while let Some(message) = history.next().await.unwrap() {
        bodies.push(message.payload);
    }
    bodies.sort();
    assert_eq!(bodies, ["acked", "held"]);
    worker.crash(held).await;
    assert_eq!(bench.0.unsettled().await, 1);
    let all = bench.0.rest.get("subscriptions").await.unwrap().to_string();
    let ours = format!("projects/{PROJECT}/subscriptions/stoop-history-");
    assert!(!all.contains(&ours), "it was deleted: {all}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_topic_that_keeps_nothing_has_no_history() {
    let bench = Bench::unmade_on(shared().await).await;
    bench.rest.put(&format!("topics/{}", bench.topic()), json!({})).await;
    bench.make_subscription(json!({})).await;
    let refused = pubsub::history(&bench.config, Timestamp::UNIX_EPOCH).await.unwrap_err();
    assert!(refused.is_configuration());
    assert!(refused.to_string().contains("--message-retention-duration=7d"), "{refused}");
}
