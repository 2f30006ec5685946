//! What others got wrong: credentials, certificates, settings of a broker, and what is written beside a group's offset. It is
//! said with the setting and the fix, and costs nobody else anything.

use std::{collections::BTreeMap, path::Path};

use async_nats::jetstream::{self, consumer::pull, stream};
use serde_json::{Value, json};
use testbed::{
    kafka::Kafka,
    nats::{Guard, Nats},
    pubsub::PubSub,
};

use crate::{
    sink::Sink,
    topic::Topic,
    worker::{Desk, Worker},
};

pub const TELL: &str = "
apiVersion: stoop.dev/v1alpha1
kind: Playbook
metadata: {name: tell}
spec: {mode: enforce, match: {rules: [Tell]}, actions: [notify: {to: [hook]}]}
";

/// Where the servers are, by a name that is in none of their certificates: what everybody resolves to 127.0.0.1 without a
/// resolver.
const MISNAMED: &str = "0x7f000001";

pub fn event(rule: &str, number: usize) -> Vec<u8> {
    let time = jiff::Timestamp::now().to_string();
    json!({
        "rule": rule, "priority": "Notice", "source": "syscall", "time": time, "output_fields": {"proc.pid": number},
    })
    .to_string()
    .into_bytes()
}

fn misnamed(address: &str) -> String {
    address.replace("localhost", MISNAMED)
}

/// The configuration of a subscription.
fn kafka(bootstrap: &str, topic: &Topic, more: Value) -> Value {
    let name = topic.name();
    let mut kafka = json!({
        "brokers": [bootstrap], "topic": name, "group": name, "deadLetters": format!("{name}.dead"),
    });
    merge(&mut kafka, more);
    json!({"kafka": kafka})
}

fn nats(url: &str, more: Value) -> Value {
    let mut nats = json!({
        "servers": [url], "stream": "FALCO", "consumer": "stoop", "deadLetters": "falco.dead",
    });
    merge(&mut nats, more);
    json!({"nats": nats})
}

fn merge(into: &mut Value, more: Value) {
    into.as_object_mut().unwrap().append(&mut more.as_object().unwrap().clone());
}

/// A stream with a consumer that gives up after five deliveries.
async fn consumer_that_drops(url: &str) {
    let context = jetstream::new(async_nats::connect(url).await.unwrap());
    let like = stream::Config {
        name: "FALCO".to_owned(),
        subjects: vec!["falco.events".to_owned()],
        max_messages_per_subject: -1,
        ..stream::Config::default()
    };
    let stream = context.create_stream(like).await.unwrap();
    let like = pull::Config {
        durable_name: Some("stoop".to_owned()),
        max_deliver: 5,
        ..pull::Config::default()
    };
    stream.create_consumer(like).await.unwrap();
}

/// A subscription that sends what is not acknowledged at once, again and again.
async fn subscription_without_policy(address: &str, name: &str) {
    let put = async |what: &str, body: Value| {
        let url = format!("http://{address}/v1/projects/testbed/{what}/{name}");
        let answer = reqwest::Client::new().put(url).json(&body).send().await.unwrap();
        assert!(answer.status().is_success(), "{answer:?}");
    };
    put("topics", json!({})).await;
    let topic = format!("projects/testbed/topics/{name}");
    put("subscriptions", json!({"topic": topic, "ackDeadlineSeconds": 10})).await;
}

#[tokio::test]
async fn what_can_not_be_served_names_the_setting_and_the_others_are_served() {
    let broker = Kafka::start().await.unwrap();
    let (secure, encrypted) = (broker.secure(), broker.encrypted());
    let (named, tls) = Nats::guarded(Guard::Tls).await.unwrap();
    let (expiring, credentials) = Nats::guarded(Guard::Credentials).await.unwrap();
    let plain = Nats::start().await.unwrap();
    consumer_that_drops(plain.url()).await;
    let cloud = PubSub::shared().await.unwrap();
    let subscription = format!("policy-{}", std::process::id());
    subscription_without_policy(cloud.address(), &subscription).await;

    let sink = Sink::start().await;
    let topic = Topic::new(broker.bootstrap(), "served");
    let scram = json!({
        "tls": {"ca": secure.ca},
        "sasl": {"mechanism": "SCRAM-SHA-512", "username": secure.username, "password": "wrong"},
    });
    // What is wrong with each, and what has to be said of it.
    let broken = BTreeMap::from([
        ("password", (kafka(&secure.bootstrap, &topic, scram), ["sasl.password", "`stoop`"])),
        (
            "kafka-name",
            (
                kafka(
                    &misnamed(&encrypted.bootstrap),
                    &topic,
                    json!({"tls": {"ca": encrypted.ca}}),
                ),
                ["by a name in it", "brokers"],
            ),
        ),
        (
            "nats-name",
            (
                nats(&misnamed(named.url()), json!({"tls": {"ca": tls.ca}})),
                ["not for the name", "`servers`"],
            ),
        ),
        (
            "expired",
            (
                nats(
                    expiring.url(),
                    json!({
                        "tls": {"ca": credentials.ca},
                        "auth": {"credentials": {"file": credentials.expired_credentials}},
                    }),
                ),
                ["check auth", "expired"],
            ),
        ),
        (
            "consumer",
            (nats(plain.url(), json!({})), ["consumer stoop", "set its max_deliver to -1"]),
        ),
        (
            "cloud",
            (
                json!({"pubsub": {
                    "project": "testbed", "subscription": subscription, "deadLetters": subscription,
                    "endpoint": format!("http://{}", cloud.address()),
                }}),
                ["retry policy", "--min-retry-delay=10s"],
            ),
        ),
    ]);
    let mut subscriptions = json!({"falco": kafka(broker.bootstrap(), &topic, json!({}))});
    for (name, (subscription, _)) in &broken {
        subscriptions[name] = subscription.clone();
    }
    let config = format!(
        "notifiers: {{hook: {{webhook: {{url: \"{}\"}}}}}}\nsubscriptions: {subscriptions}\n",
        sink.url()
    );
    let desk = Desk::new(Path::new("no cluster"), &config, &[TELL]);
    desk.must(&["setup", "falco"]).await;
    let worker = desk.start();

    worker
        .wait("each says what is wrong with it", async || {
            let (_, body) = worker.get("/readyz").await?;
            let waiting: Value = serde_json::from_str(&body).map_err(|error| error.to_string())?;
            // In the order of their names, as they are here; what is served is not among them.
            let lines: Vec<_> =
                waiting["waiting"].as_array().unwrap().iter().flat_map(Value::as_str).collect();
            let says = |line: &str, (name, (_, texts)): (&&str, &(Value, [&str; 2]))| {
                line.starts_with(&format!("subscription {name}: "))
                    && texts.iter().all(|text| line.contains(text))
            };
            let all = lines.len() == broken.len()
                && lines.iter().zip(&broken).all(|(line, broken)| says(line, broken));
            if all { Ok(()) } else { Err(body) }
        })
        .await;
    assert_eq!(worker.get("/healthz").await.unwrap().0, 200, "a restart would mend none of them");
    topic.publish(&event("Tell", 1)).await;
    topic.all_committed(&worker).await;
    assert_eq!(sink.received().len(), 1);
    assert_eq!(worker.terminate().await, 0);
}

/// A group in whose only partition the lowest message is stuck and what is above it is done.
async fn with_a_note(topic: &Topic, desk: &Desk, sink: &Sink) -> (i64, String) {
    topic.publish(&event("Tell", 1)).await;
    for number in 2..=6 {
        topic.publish(&event("Other", number)).await;
    }
    sink.hold();
    let worker = desk.run().await;
    worker.wait("it works on the first", async || sink.asked(1)).await;
    worker
        .wait("the others are done", async || {
            let skipped = worker.metric("stoop_messages_total", &["skipped"]).await;
            if skipped == 5.0 { Ok(()) } else { Err(format!("{skipped} skipped")) }
        })
        .await;
    assert_eq!(worker.terminate().await, 0);
    let (offset, note) = topic.commit_of_group().await;
    assert!(offset == 0 && !note.is_empty(), "{offset}: {note}");
    (offset, note)
}

/// A worker says `what`, and works on the message that is stuck all the same.
async fn disbelieves(desk: &Desk, sink: &Sink, asked: usize, what: &str) -> Worker {
    let worker = desk.run().await;
    worker.says(what).await;
    worker.wait("the event is worked on again", async || sink.asked(asked)).await;
    worker
}

#[tokio::test]
async fn what_is_not_ours_beside_an_offset_is_said_and_costs_no_event() {
    let broker = Kafka::shared().await.unwrap();
    let sink = Sink::start().await;
    let topic = Topic::new(broker.bootstrap(), "beside");
    let config = format!(
        "limits: {{drain: 1s}}\nnotifiers: {{hook: {{webhook: {{url: \"{}\"}}}}}}\n{}",
        sink.url(),
        topic.subscription()
    );
    let desk = Desk::new(Path::new("no cluster"), &config, &[TELL]);
    topic.make().await;
    desk.must(&["setup"]).await;
    let (offset, ours) = with_a_note(&topic, &desk, &sink).await;

    let corrupt = ours[..ours.len() - 1].to_owned();
    for (asked, note) in [(2, "consumed by legacy".to_owned()), (3, corrupt)] {
        topic.commit_as_another(offset, &note).await;
        let worker = disbelieves(&desk, &sink, asked, "is not ours").await;
        assert_eq!(worker.terminate().await, 0);
    }

    // Where Kafka is restored from elsewhere, a note can be beside an offset of another log.
    topic.delete().await;
    topic.make().await;
    for number in 11..=16 {
        topic.publish(&event("Tell", number)).await;
    }
    topic.commit_as_another(offset, &ours).await;
    let worker = disbelieves(&desk, &sink, 4, "the log is not the one").await;
    sink.release();
    topic.all_committed(&worker).await;
    let answered = worker.audit().len();
    assert_eq!(answered, 6, "all that the note of the other log called done");
    assert_eq!(worker.terminate().await, 0);
}
