//! What a subscription needs on the brokers.

use std::time::Duration;

use brokers::{
    Health,
    conformance::Record,
    kafka::{Change, Plan},
};

use crate::{
    bench::Bench,
    staff::{Log, Staff},
};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_missing_is_planned_and_then_made() {
    let bench = Bench::unmade_on_shared(6).await;
    let plan = Plan::of(&bench.config).await.unwrap();
    let (topic, dead) = (bench.topic.clone(), bench.config.dead_letters.clone().unwrap());
    let expected = [Change::CreateTopic(topic), Change::CreateDeadLetters(dead)];
    assert_eq!(plan.changes(), expected);
    let again = Plan::of(&bench.config).await.unwrap();
    assert_eq!(again.changes(), expected, "a plan changes nothing");
    plan.apply().await.unwrap();
    assert!(Plan::of(&bench.config).await.unwrap().changes().is_empty());
    again.apply().await.expect("what is there already counts as done");
    assert_eq!(bench.ends().await, [0; 6]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_compacted_topic_is_refused_with_the_fix() {
    let bench = Bench::with_partitions(1).await;
    bench.configure_dead_letters("cleanup.policy", "compact").await;
    let refused = Plan::of(&bench.config).await.unwrap_err();
    assert!(refused.is_configuration());
    assert!(refused.to_string().contains("cleanup.policy to delete"), "{refused}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_missing_topic_is_waited_for_and_named() {
    let bench = Bench::unmade_on_shared(1).await;
    let log = Log::default();
    let staff = Staff::start(&bench.config, 10, Duration::ZERO, &log);
    let says = |h: &Health| matches!(h, Health::Unavailable(what) if what.contains("stoop setup"));
    staff.is("told what to do", says).await;
    bench.create(bench.topic.clone(), 1).await;
    bench.publish_in_turn(vec![Record::new("a")]).await;
    log.has(1).await;
    staff.is("well again", |health| *health == Health::Connected).await;
    staff.stop().await;
}
