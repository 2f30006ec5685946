//! Whether a worker stays within `limits.memory` and a constant, at full speed: before a backlog of a million events, and
//! with bodies of a megabyte, on a real Kafka and a real NATS.
//!
//! Each row is a `stoop run` of its own that works a backlog off; what is looked at is the most that it ever had resident.
//! `STOOP_BENCH_MESSAGES` sets how many events a backlog of small ones has.

#![allow(clippy::unwrap_used, reason = "a benchmark that can't go on should stop")]
#![allow(unreachable_pub, reason = "nothing is reached from outside a benchmark")]

#[path = "../../playbooks/benches/corpus/mod.rs"]
#[allow(dead_code, unreachable_pub, reason = "it is shared with a benchmark that uses more of it")]
mod corpus;
#[path = "../process/mod.rs"]
#[allow(dead_code, reason = "it is shared with a benchmark that looks at processor time")]
mod process;
mod receiver;
mod stream;
#[path = "../kafka/topic.rs"]
mod topic;

use std::sync::LazyLock;

use serde_json::{Value, json};
use testbed::{kafka::Kafka, nats::Nats};

/// `limits.memory` as it is by default, in MiB: what the events may take that a worker holds.
const LIMIT: f64 = 64.0;

/// What it may have beside them, in MiB: itself, what its broker's client has fetched ahead, and what becomes of an event
/// while it is decoded and answered.
const CONSTANT: f64 = 128.0;

/// How many large bodies there are: several times what a worker may hold.
const LARGE: usize = 400;

/// Answers every large body, by a receiver that takes its time.
const ANSWER: &str = "\
---
apiVersion: stoop.dev/v1alpha1
kind: Playbook
metadata: {name: answer}
spec: {mode: enforce, match: {rules: [Answer]}, actions: [notify: {to: [hook]}]}
";

/// An event of about a megabyte that is answered.
fn large(number: usize) -> String {
    static PADDING: LazyLock<String> = LazyLock::new(|| "x".repeat(999_000));
    let (padding, now) = (&*PADDING, jiff::Timestamp::now());
    format!(
        "{{\"rule\":\"Answer\",\"priority\":\"Notice\",\"source\":\"syscall\",\"time\":\"{now}\",\
         \"output\":\"{padding}\",\"output_fields\":{{\"evt.num\":{number}}}}}"
    )
}

#[tokio::main]
async fn main() {
    rustls::crypto::ring::default_provider().install_default().unwrap();
    let many: usize =
        std::env::var("STOOP_BENCH_MESSAGES").map_or(1_000_000, |text| text.parse().unwrap());
    let kafka = Kafka::shared().await.unwrap().bootstrap().to_owned();
    let nats = Nats::shared().await.unwrap().url().to_owned();
    println!("resident at most, in MiB; goal: limits.memory {LIMIT} + {CONSTANT}\n");
    println!("{:<8} {:<44} {:>10} {:>8}", "broker", "backlog", "resident", "");

    for (what, event) in [
        ("of 0.8 KB, skipped by the filter", corpus::unwanted as fn(usize) -> String),
        ("of 0.8 KB, decoded, then found unwanted", corpus::kept),
    ] {
        let what = format!("{many} {what}");
        let backlog = topic::fill(&kafka, "small", many, event).await;
        show("Kafka", &what, measure(of_topic(&kafka, &backlog), many).await);
        let backlog = stream::fill(&nats, "small", many, event).await;
        show("NATS", &what, measure(of_stream(&nats, &backlog), many).await);
    }
    let what = format!("{LARGE} of 1 MB, each answered");
    let backlog = topic::fill(&kafka, "large", LARGE, large).await;
    show("Kafka", &what, measure(of_topic(&kafka, &backlog), LARGE).await);
    let backlog = stream::fill(&nats, "large", LARGE, large).await;
    show("NATS", &what, measure(of_stream(&nats, &backlog), LARGE).await);
}

async fn measure(subscription: Value, messages: usize) -> f64 {
    let hook = receiver::start().await;
    let more = json!({
        "notifiers": {"hook": {"webhook": {"url": hook}}},
        "limits": {"memory": format!("{LIMIT}MiB")},
    });
    let playbooks = corpus::playbooks(100) + ANSWER;
    process::peak(&subscription, messages, &playbooks, more).await
}

fn of_topic(bootstrap: &str, topic: &str) -> Value {
    json!({"kafka": {
        "brokers": [bootstrap], "topic": topic, "group": topic, "deadLetters": format!("{topic}.dead"),
    }})
}

fn of_stream(url: &str, stream: &str) -> Value {
    json!({"nats": {
        "servers": [url], "stream": stream, "consumer": "stoop", "deadLetters": format!("{stream}.dead"),
    }})
}

fn show(broker: &str, backlog: &str, peak: f64) {
    let verdict = if peak <= LIMIT + CONSTANT { "within" } else { "over" };
    println!("{broker:<8} {backlog:<44} {peak:>10.1} {verdict:>8}");
}
