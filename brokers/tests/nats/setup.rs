//! What a subscription needs on the servers.

use std::time::Duration;

use async_nats::jetstream::{consumer::pull, stream};
use brokers::{
    Health,
    nats::{Change, Plan},
};

use crate::{
    bench::{Bench, SLOTS},
    staff::{Log, Staff},
};

fn says(what: &'static str) -> impl Fn(&Health) -> bool {
    move |health| matches!(health, Health::Unavailable(text) if text.contains(what))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_missing_is_planned_and_then_made() {
    let bench = Bench::unmade_on_shared().await;
    let plan = Plan::of(&bench.config).await.unwrap();
    let (name, subject) = (bench.stream.clone(), format!("{}.*.*", bench.stream));
    let expected = [
        Change::CreateStream { name: name.clone(), subject },
        Change::CreateConsumer { stream: name.clone(), name: bench.consumer.clone() },
        Change::CreateDeadLetters {
            name: bench.dead_stream().to_uppercase(),
            subject: bench.dead_letters.clone(),
        },
    ];
    assert_eq!(plan.changes(), expected);
    let again = Plan::of(&bench.config).await.unwrap();
    assert_eq!(again.changes(), expected, "a plan changes nothing");
    plan.apply().await.unwrap();
    assert!(Plan::of(&bench.config).await.unwrap().changes().is_empty());
    again.apply().await.expect("what is there already counts as done");

    let log = Log::default();
    let staff = Staff::start(&bench.config, SLOTS, Duration::ZERO, &log);
    bench.publish_bodies(0..3).await;
    log.has(3).await;
    staff.stop().await;
    assert_eq!(bench.kept(name).await, 0, "a work queue keeps what is left to do");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_foreign_setting_is_refused_with_the_fix_and_left_alone() {
    let bench = Bench::unmade_on_shared().await;
    bench.create_stream().await;
    bench.create_consumer_as(pull::Config { max_deliver: 5, ..bench.consumer_config() }).await;
    bench.create_dead_letters().await;
    let refused = Plan::of(&bench.config).await.unwrap_err();
    assert!(refused.is_configuration());
    assert!(refused.to_string().contains("max_deliver to -1"), "{refused}");

    let staff = Staff::start(&bench.config, SLOTS, Duration::ZERO, &Log::default());
    staff.is("the worker waits and says so", says("max_deliver to -1")).await;
    bench.delete_consumer().await;
    bench.create_consumer().await;
    staff.is("well again", |health| *health == Health::Connected).await;
    staff.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn too_few_pending_for_the_slots_are_refused_by_the_worker() {
    let bench = Bench::unmade_on_shared().await;
    bench.create_stream().await;
    bench
        .create_consumer_as(pull::Config { max_ack_pending: 199, ..bench.consumer_config() })
        .await;
    let staff = Staff::start(&bench.config, 100, Duration::ZERO, &Log::default());
    staff.is("it says how many", says("max_ack_pending to at least 200")).await;
    staff.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn dead_letters_in_a_stream_that_would_drop_them_are_refused() {
    let bench = Bench::unmade_on_shared().await;
    bench.create_stream().await;
    bench.create_consumer().await;
    let interest =
        stream::Config { retention: stream::RetentionPolicy::Interest, ..Default::default() };
    bench.create_dead_letters_as(interest).await;
    let refused = Plan::of(&bench.config).await.unwrap_err();
    assert!(refused.to_string().contains("limits retention"), "{refused}");
    let staff = Staff::start(&bench.config, SLOTS, Duration::ZERO, &Log::default());
    staff.is("the worker says so too", says("limits retention")).await;
    staff.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn dead_letters_in_the_stream_of_events_itself_are_refused() {
    let mut bench = Bench::unmade_on_shared().await;
    let all = vec![format!("{}.>", bench.stream)];
    bench.create_stream_as(stream::Config { subjects: all, ..bench.stream_config() }).await;
    bench.config.subject = None;
    let refused = Plan::of(&bench.config).await.unwrap_err();
    assert!(refused.to_string().contains("read again without end"), "{refused}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_stream_without_the_subject_is_refused() {
    let mut bench = Bench::on_shared().await;
    bench.config.subject = Some("falco.other.*".to_owned());
    let refused = Plan::of(&bench.config).await.unwrap_err();
    assert!(refused.to_string().contains("add that to its subjects"), "{refused}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_missing_stream_is_waited_for_and_named() {
    let bench = Bench::unmade_on_shared().await;
    let log = Log::default();
    let staff = Staff::start(&bench.config, SLOTS, Duration::ZERO, &log);
    staff.is("told what to do", says("stoop setup")).await;
    bench.create().await;
    bench.publish_bodies(["a"]).await;
    log.has(1).await;
    staff.is("well again", |health| *health == Health::Connected).await;
    staff.stop().await;
}
