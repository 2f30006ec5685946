//! What the worker costs beside the raw client, on a real Kafka: events nobody wants, and events that only decoding finds unwanted.
//!
//! Both sides run in this one process on the same topic with the same consumer settings, in turn, A B A B, a fresh group each;
//! the clock runs from the first message to the last. The ratio is the median of the pairs' ratios.
//! `STOOP_BENCH_MESSAGES` sets how many messages a round has.

#![allow(clippy::unwrap_used, reason = "a benchmark that can't go on should stop")]
#![allow(unreachable_pub, reason = "nothing is reached from outside a benchmark")]

#[path = "../../playbooks/benches/corpus/mod.rs"]
#[allow(dead_code, unreachable_pub, reason = "it is shared with a benchmark that uses more of it")]
mod corpus;
#[path = "../process/mod.rs"]
#[allow(dead_code, reason = "it is shared with a benchmark of several processes")]
mod process;
mod raw;
mod topic;
mod worker;

use std::time::Duration;

use serde_json::json;
use testbed::kafka::Kafka;

use topic::fresh;

const PAIRS: usize = 5;

/// One run over a topic.
struct Round {
    took: Duration,
    cpu: Duration,
}

impl Round {
    fn per_second(&self, messages: usize) -> f64 {
        messages as f64 / self.took.as_secs_f64()
    }

    fn cpu_per_100k(&self, messages: usize) -> f64 {
        self.cpu.as_secs_f64() * 100_000.0 / messages as f64
    }
}

fn median(mut numbers: Vec<f64>) -> f64 {
    numbers.sort_by(f64::total_cmp);
    numbers[numbers.len() / 2]
}

#[tokio::main]
async fn main() {
    rustls::crypto::ring::default_provider().install_default().unwrap();
    let messages: usize =
        std::env::var("STOOP_BENCH_MESSAGES").map_or(1_000_000, |text| text.parse().unwrap());
    let kafka = Kafka::shared().await.unwrap();
    let bootstrap = kafka.bootstrap().to_owned();
    let playbooks = corpus::playbooks(100);
    println!("{messages} events a round, 4 partitions, 100 playbooks, medians of {PAIRS} pairs\n");
    println!(
        "{:<34} {:>12} {:>12} {:>7} {:>6}   CPU s per 100 k",
        "events", "raw /s", "stoop /s", "ratio", "goal"
    );
    let unwanted = topic::fill(&bootstrap, "unwanted", messages, corpus::unwanted).await;
    let mut pairs = Vec::new();
    for _ in 0..PAIRS {
        let raw = raw::count(&bootstrap, &unwanted, messages).await;
        pairs.push((raw, worker::skip(&bootstrap, &unwanted, messages, &playbooks).await));
    }
    show("no playbook could want", messages, &pairs, 0.8);

    let kept = topic::fill(&bootstrap, "kept", messages / 2, corpus::kept).await;
    let mut pairs = Vec::new();
    for _ in 0..PAIRS {
        let raw = raw::decode(&bootstrap, &kept, messages / 2).await;
        pairs.push((raw, worker::acknowledge(&bootstrap, &kept, messages / 2, &playbooks).await));
    }
    show("kept, then found unwanted", messages / 2, &pairs, 0.85);

    let group = fresh("memory");
    let subscription = json!({"kafka": {
        "brokers": [bootstrap], "topic": unwanted, "group": group, "deadLetters": format!("{unwanted}.dead"),
    }});
    let peak = process::peak(&subscription, messages, &playbooks, json!({})).await;
    println!("\nresident at most while skipping, `stoop run` by itself: {peak:.1} MiB (goal: 64)");
}

fn show(events: &str, messages: usize, pairs: &[(Round, Round)], goal: f64) {
    let of = |number: &dyn Fn(&(Round, Round)) -> f64| median(pairs.iter().map(number).collect());
    println!(
        "{events:<34} {:>12.0} {:>12.0} {:>7.2} {goal:>6.2}   {:.2} and {:.2}",
        of(&|(raw, _)| raw.per_second(messages)),
        of(&|(_, stoop)| stoop.per_second(messages)),
        of(&|(raw, stoop)| raw.took.as_secs_f64() / stoop.took.as_secs_f64()),
        of(&|(raw, _)| raw.cpu_per_100k(messages)),
        of(&|(_, stoop)| stoop.cpu_per_100k(messages)),
    );
}

/// Processor time of this process so far.
fn cpu() -> Duration {
    process::usage::processors(std::process::id())
}
