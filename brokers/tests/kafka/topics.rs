//! Several topics in one subscription, by name and by pattern.

use std::{collections::BTreeSet, sync::Arc, time::Duration};

use async_trait::async_trait;
use brokers::{
    conformance::{Harness, Record, until},
    kafka::{self, Ledger, Plan, Publisher, Receiver},
};
use bytes::Bytes;

use crate::{
    bench::{Bench, Rival},
    staff::{Log, Staff},
};

/// Two topics, read as one subscription.
struct Both {
    one: Bench,
    other: Bench,
}

impl Both {
    fn benches(&self) -> [&Bench; 2] {
        [&self.one, &self.other]
    }
}

#[async_trait]
impl Harness for Both {
    type Receiver = Receiver;
    type Ledger = Ledger;

    const LEASES_END: bool = true;

    async fn fresh() -> Self {
        let (mut one, mut other) =
            (Bench::with_partitions(1).await, Bench::with_partitions(1).await);
        one.config.topics = vec![one.topic.clone(), other.topic.clone()];
        one.config.topic = None;
        other.config = one.config.clone();
        Self { one, other }
    }

    async fn connect(&self) -> (Receiver, Arc<Ledger>) {
        kafka::connect(&self.one.config, self.one.timing).unwrap()
    }

    async fn publish(&self, records: Vec<Record>) {
        let mut to = self.benches().into_iter().cycle();
        for record in records {
            if let Some(bench) = to.next() {
                bench.publish_in_turn(vec![record]).await;
            }
        }
    }

    async fn unsettled(&self) -> u64 {
        self.one.uncommitted().await + self.other.uncommitted().await
    }

    async fn dead_letters(&self) -> Vec<Record> {
        self.one.read_dead_letters().await
    }

    async fn set_dead_letters_down(&self, down: bool) {
        self.one.set_dead_letters_exist(!down).await;
    }

    async fn revoke(&self) -> Box<dyn std::any::Any + Send> {
        Box::new(self.rival())
    }

    async fn lose(&self) -> Box<dyn std::any::Any + Send> {
        Box::new(self.rival())
    }
}

impl Both {
    fn rival(&self) -> Rival {
        self.one.rival()
    }
}

brokers::conformance!(Both);

fn bodies(texts: &[&'static str]) -> BTreeSet<Bytes> {
    texts.iter().map(|text| Bytes::from_static(text.as_bytes())).collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_pattern_finds_its_topics_and_those_that_are_made_later() {
    let mut bench = Bench::unmade_on_shared(1).await;
    let name = std::mem::take(&mut bench.topic);
    bench.config.topic = None;
    bench.config.topic_pattern = Some(format!(r"{name}\.(a|b)[0-9]*"));
    bench.create(bench.config.dead_letters.clone().unwrap(), 1).await;
    let make = async |suffix: &str, body: &'static str| {
        let topic = format!("{name}.{suffix}");
        bench.create(topic.clone(), 2).await;
        let config =
            kafka::Config { topic: Some(topic), topic_pattern: None, ..bench.config.clone() };
        let publisher = Publisher::new(&config).unwrap();
        publisher.publish(None, body.as_bytes(), &[]).await.unwrap();
    };
    make("a", "first").await;
    make("c", "none of ours").await;
    let plan = Plan::of(&bench.config).await.unwrap();
    assert_eq!(plan.topics(), [format!("{name}.a")]);
    assert!(plan.changes().is_empty());

    let log = Log::default();
    let staff = Staff::start(&bench.config, 10, Duration::ZERO, &log);
    log.has(1).await;
    make("b7", "later").await;
    log.has(2).await;
    until("the lag of both to be known", async || staff.ledger.lag() == kafka::Lag::default())
        .await;
    staff.stop().await;
    assert_eq!(log.bodies(), bodies(&["first", "later"]));
    assert_eq!(Plan::of(&bench.config).await.unwrap().topics().len(), 2);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_missing_of_several_topics_is_named_and_made() {
    let mut bench = Bench::with_partitions(1).await;
    let missing = format!("{}.missing", bench.topic);
    bench.config.topics = vec![bench.topic.clone(), missing.clone()];
    bench.config.topic = None;
    let says = |h: &brokers::Health| matches!(h, brokers::Health::Unavailable(what) if what.contains(&missing));
    let staff = Staff::start(&bench.config, 10, Duration::ZERO, &Log::default());
    staff.is("told which", says).await;
    staff.crash().await;
    let plan = Plan::of(&bench.config).await.unwrap();
    assert_eq!(plan.changes(), [kafka::Change::CreateTopic(missing)]);
    plan.apply().await.unwrap();
    assert!(Plan::of(&bench.config).await.unwrap().changes().is_empty());
}
