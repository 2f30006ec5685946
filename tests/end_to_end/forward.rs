//! An event that is to be kept elsewhere is acknowledged once it is there, and not before.

use testbed::kafka::Kafka;

use crate::{
    bad_input::event,
    topic::Topic,
    worker::{Desk, Worker},
};

const SPLIT: &str = r#"
apiVersion: stoop.dev/v1alpha1
kind: Playbook
metadata: {name: split}
spec:
  mode: enforce
  match: {rules: ["Tell"]}
  actions:
    - forward: {to: sensitive}
    - forward: {to: others, remove: [proc.cmdline]}
"#;

#[tokio::test]
async fn a_destination_that_is_away_holds_the_acknowledgement() {
    let kafka = Kafka::shared().await.unwrap();
    let [topic, sensitive, others] =
        ["forward", "sensitive", "others"].map(|name| Topic::new(kafka.bootstrap(), name));
    let place = |topic: &Topic| {
        format!("{{kafka: {{brokers: [\"{}\"], topic: {}}}}}", kafka.bootstrap(), topic.name())
    };
    let config = format!(
        "destinations: {{sensitive: {}, others: {}}}\n{}",
        place(&sensitive),
        place(&others),
        topic.subscription()
    );
    let desk = Desk::new(std::path::Path::new("no cluster"), &config, &[SPLIT]);
    desk.must(&["setup"]).await;
    sensitive.make().await;
    let worker: Worker = desk.run().await;

    let mut event: serde_json::Value = serde_json::from_slice(&event("Tell", 1)).unwrap();
    event["output_fields"]["proc.cmdline"] = "sh -c secret".into();
    event["output"] = "it was sh -c secret".into();
    topic.publish(event.to_string().as_bytes()).await;
    worker.does_without("the destination others").await;
    assert_eq!(topic.progress().await, (1, 0));
    others.make().await;
    topic.all_committed(&worker).await;

    let whole = sensitive.read().await;
    assert_eq!(whole.len(), 1, "what was done is not done again");
    assert_eq!(whole[0].payload, event.to_string().into_bytes());
    assert_eq!(whole[0].header("stoop-playbook"), Some("split"));
    let part = others.read().await;
    assert_eq!(part.len(), 1);
    assert!(!String::from_utf8_lossy(&part[0].payload).contains("secret"));
    assert_eq!(whole[0].header("stoop-event-id"), part[0].header("stoop-event-id"));
    assert_ne!(whole[0].header("stoop-id"), part[0].header("stoop-id"));
}

/// What `stoop check` says of a destination and a subscription of these brokers, each in YAML's flow style.
async fn refusal(destination: &str, subscription: &str) -> Option<String> {
    let config = format!(
        "destinations: {{again: {{{destination}}}}}\nsubscriptions: {{falco: {{{subscription}}}}}\n"
    );
    let desk = Desk::new(std::path::Path::new("no cluster"), &config, &[]);
    let (code, _, err) = desk.call(&["check"]).await;
    (code != 0).then_some(err)
}

#[tokio::test]
async fn a_destination_that_the_worker_would_read_again_is_refused() {
    const KAFKA: &str = "kafka: {brokers: [\"127.0.0.1:9\"], topic: falco";
    const NATS: &str = "nats: {servers: [\"nats://127.0.0.1:9\"], stream: FALCO";
    const PUBSUB: &str = "pubsub: {project: acme";
    let reads = "might read what is forwarded to again";
    let again = "would read what is forwarded to again";
    let table = [
        (format!("{KAFKA}}}"), format!("{KAFKA}, group: g, deadLetters: dead}}"), Some(again)),
        (format!("{KAFKA}2}}"), format!("{KAFKA}, group: g, deadLetters: dead}}"), None),
        (
            format!("{NATS}, subject: a}}"),
            format!("{NATS}, consumer: c, deadLetters: dead}}"),
            Some(again),
        ),
        (
            format!("{PUBSUB}, topic: falco}}"),
            format!("{PUBSUB}, subscription: falco, deadLetters: dead}}"),
            Some(reads),
        ),
        (
            format!("{PUBSUB}, topic: projects/acme/topics/falco}}"),
            format!("{PUBSUB}, subscription: falco, topic: falco, deadLetters: dead}}"),
            Some(again),
        ),
        (
            format!("{PUBSUB}, topic: others}}"),
            format!("{PUBSUB}, subscription: falco, topic: falco, deadLetters: dead}}"),
            None,
        ),
    ];
    for (destination, subscription, says) in table {
        let refused = refusal(&destination, &subscription).await;
        let is_as_said = match (&refused, says) {
            (Some(refused), Some(says)) => refused.contains(says),
            (None, None) => true,
            _ => false,
        };
        assert!(is_as_said, "{destination} and {subscription}: {refused:?}");
    }
}
