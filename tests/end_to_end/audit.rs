//! The audit log in a file, under a worker that is killed.

use testbed::kafka::Kafka;

use crate::{
    bad_input::event,
    topic::Topic,
    worker::{Desk, Worker},
};

const SAY: &str = "
apiVersion: stoop.dev/v1alpha1
kind: Playbook
metadata: {name: say}
spec: {mode: enforce, match: {rules: [Tell]}, actions: [notify: {to: [log]}]}
";

#[tokio::test]
async fn the_chain_of_a_worker_that_is_killed_again_and_again_is_whole_and_has_every_event() {
    const ROUNDS: usize = 5;
    const EVENTS: usize = 40;
    let kafka = Kafka::shared().await.unwrap();
    let topic = Topic::new(kafka.bootstrap(), "audit");
    let config = format!("audit: {{file: ./audit.log}}\n{}", topic.subscription());
    let desk = Desk::new(std::path::Path::new("no cluster"), &config, &[SAY]);
    desk.must(&["setup"]).await;
    let lines = || std::fs::read_to_string(desk.path().join("audit.log")).unwrap_or_default();
    for round in 0..ROUNDS {
        for number in 0..EVENTS {
            topic.publish(&event("Tell", round * EVENTS + number)).await;
        }
        let before = lines().lines().count();
        let worker: Worker = desk.run().await;
        worker
            .wait("it writes", async || match lines().lines().count() {
                now if now > before => Ok(()),
                now => Err(format!("{now} lines")),
            })
            .await;
        // In the middle of its work, for all one knows.
        worker.kill().await;
    }
    let worker: Worker = desk.run().await;
    topic.all_committed(&worker).await;
    assert!(worker.audit().is_empty(), "the file is in standard output's place");
    // A second writer would tear the chain.
    let mut second = desk.start();
    second.ended().await;
    second.says("another worker writes it").await;
    worker.kill().await;

    let said = desk.must(&["audit", "verify", "audit.log"]).await;
    assert!(said.starts_with("whole: "), "{said}");
    let text = lines();
    let read = text.lines().filter_map(|line| serde_json::from_str::<serde_json::Value>(line).ok());
    let events: std::collections::BTreeSet<_> =
        read.filter_map(|line| line["eventId"].as_str().map(str::to_owned)).collect();
    assert_eq!(events.len(), ROUNDS * EVENTS);
}
