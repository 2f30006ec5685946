//! What a fleet takes: one, two and four `stoop run` processes on one Kafka group, by the processor time that they use, and
//! what one response asks of the API server.
//!
//! The rates are per second of processor time, for the broker, the API server in memory and the publisher run on the same
//! machine. `STOOP_BENCH_MESSAGES` sets how many events are skipped in a round.

#![allow(clippy::unwrap_used, reason = "a benchmark that can't go on should stop")]
#![allow(clippy::indexing_slicing, reason = "the same")]
#![allow(unreachable_pub, reason = "nothing is reached from outside a benchmark")]

mod attack;
#[path = "../../playbooks/benches/corpus/mod.rs"]
#[allow(dead_code, unreachable_pub, reason = "it is shared with a benchmark that uses more of it")]
mod corpus;
mod fleet;
#[path = "../process/mod.rs"]
#[allow(dead_code, reason = "it is shared with a benchmark that looks at memory")]
mod process;
mod requests;
#[path = "../kafka/topic.rs"]
mod topic;

use serde_json::{Value, json};
use testbed::kafka::Kafka;

use self::{attack::Attacked, fleet::Fleet};

/// As many as there are partitions at the most.
const FLEETS: [usize; 3] = [1, 2, 4];
/// How many pods are attacked, each in an event of its own.
const PODS: usize = 500;

#[tokio::main]
async fn main() {
    rustls::crypto::ring::default_provider().install_default().unwrap();
    let messages: usize =
        std::env::var("STOOP_BENCH_MESSAGES").map_or(1_000_000, |text| text.parse().unwrap());
    let kafka = Kafka::shared().await.unwrap();
    let bootstrap = kafka.bootstrap();
    println!(
        "{:<44} {:>7} {:>9} {:>13} {:>9}",
        "what", "workers", "events", "events/core s", "done twice"
    );
    let corpus = corpus::playbooks(100);
    let unwanted = topic::fill(bootstrap, "skipped", messages, corpus::unwanted).await;
    let kept = topic::fill(bootstrap, "kept", messages / 2, corpus::kept).await;
    let told = topic::fill(bootstrap, "told", messages / 10, attack::on_a_host).await;
    for (what, topic, count, playbooks) in [
        ("skipped by the filter, 100 playbooks", &unwanted, messages, corpus.as_str()),
        ("kept, and found unwanted, 100 playbooks", &kept, messages / 2, corpus.as_str()),
        ("answered by a notification to the log", &told, messages / 10, attack::TELL),
    ] {
        for workers in FLEETS {
            let group = topic::fresh("scale");
            let mut fleet =
                Fleet::start(workers, &on(bootstrap, topic, &group), playbooks, None).await;
            row(what, &mut fleet, count).await;
        }
    }
    for workers in FLEETS {
        let attacked = Attacked::start(PODS).await;
        let topic = topic::create(bootstrap, "deleted").await;
        let subscription = on(bootstrap, &topic, &topic::fresh("scale"));
        let cluster = attacked.server.kubeconfig();
        let mut fleet = Fleet::start(workers, &subscription, attack::DELETE, Some(&cluster)).await;
        topic::publish(bootstrap, &topic, attacked.events()).await;
        row("answered by a delete that is recorded", &mut fleet, PODS).await;
        assert!(attacked.server.pods(attack::NAMESPACE).is_empty(), "a pod is left");
    }
    println!();
    requests::table(bootstrap).await;
}

fn on(bootstrap: &str, topic: &str, group: &str) -> Value {
    json!({"kafka": {"brokers": [bootstrap], "topic": topic, "group": group, "deadLetters": format!("{topic}.dead")}})
}

/// Waits for the fleet to be done, and prints what it took.
async fn row(what: &str, fleet: &mut Fleet, events: usize) {
    let took = fleet.done(events).await;
    println!(
        "{what:<44} {:>7} {events:>9} {:>13.0} {:>9}",
        fleet.size(),
        events as f64 / took.processors.as_secs_f64(),
        took.answered - events,
    );
}
