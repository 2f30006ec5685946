//! The audit log in a file, under a worker that is killed.

use std::collections::BTreeSet;

use serde_json::Value;

use crate::{
    bad_input::event,
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
    // A message that five workers died on would be taken for poison.
    const ROUNDS: usize = 3;
    const EVENTS: usize = 60;
    let port = testbed::Port::reserve().unwrap();
    let listen = format!("127.0.0.1:{}", port.number());
    let config = format!(
        "audit: {{file: ./audit.log}}\nsubscriptions: {{intake: {{journal: {{path: ./data, listen: \"{listen}\"}}}}}}\n"
    );
    let desk = Desk::new(std::path::Path::new("no cluster"), &config, &[SAY]);
    let (http, url) = (reqwest::Client::new(), format!("http://{listen}/"));
    let mut published = Vec::new();
    for round in 0..ROUNDS {
        let worker: Worker = desk.run().await;
        for number in 0..EVENTS {
            let event = event("Tell", round * EVENTS + number);
            let read: Value = serde_json::from_slice(&event).unwrap();
            published.push(read["time"].as_str().unwrap().to_owned());
            let taken = http.post(&url).body(event).send().await.unwrap();
            assert!(taken.status().is_success(), "{taken:?}");
        }
        // In the middle of its work, for all one knows.
        worker.kill().await;
    }
    let worker: Worker = desk.run().await;
    worker
        .wait("every event is in it", async || {
            let text = std::fs::read_to_string(desk.path().join("audit.log")).unwrap();
            // The last line may still be written.
            let lines = text.lines().filter_map(|line| serde_json::from_str::<Value>(line).ok());
            let answered: BTreeSet<_> =
                lines.filter_map(|line| line["eventTime"].as_str().map(str::to_owned)).collect();
            let missing: Vec<_> =
                (0..).zip(&published).filter(|(_, time)| !answered.contains(*time)).collect();
            if missing.is_empty() { Ok(()) } else { Err(format!("{missing:?} aren't")) }
        })
        .await;
    assert!(worker.audit().is_empty(), "the file is in standard output's place");
    // A second writer would tear the chain.
    let mut second = desk.start();
    assert_eq!(second.ended().await, 2);
    second.says("another worker writes it").await;
    worker.kill().await;

    let said = desk.must(&["audit", "verify", "audit.log"]).await;
    assert!(said.starts_with("whole: "), "{said}");
}
