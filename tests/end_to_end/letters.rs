//! `stoop dlq` and `stoop replay` on a real Kafka, beside a worker that goes on. No cluster is asked.

use std::path::Path;

use serde_json::{Value, json};
use testbed::kafka::Kafka;

use crate::{
    topic::Topic,
    worker::{Desk, Worker},
};

/// `wary` fails for good on every event, `teller` never.
const PLAYBOOKS: &str = "
apiVersion: stoop.dev/v1alpha1
kind: Playbook
metadata: {name: teller}
spec: {mode: enforce, match: {rules: [Shell]}, actions: [notify: {to: [log]}]}
---
apiVersion: stoop.dev/v1alpha1
kind: Playbook
metadata: {name: wary}
spec: {match: {rules: [Shell], when: 'fields[\"proc.name\"] > 1'}, actions: [notify: {to: [log]}]}
";

fn event(rule: &str, pid: u32) -> Vec<u8> {
    let time = jiff::Timestamp::now().to_string();
    let fields =
        json!({"proc.name": "sh", "proc.pid": pid, "k8s.ns.name": "shop", "k8s.pod.name": "web"});
    json!({"rule": rule, "priority": "Notice", "source": "syscall", "time": time, "output_fields": fields})
        .to_string()
        .into_bytes()
}

async fn letters(desk: &Desk) -> Vec<Value> {
    let listed = desk.must(&["dlq", "list", "--output", "json"]).await;
    listed.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

async fn has_letters(worker: &Worker, desk: &Desk, count: usize) -> Vec<Value> {
    worker
        .wait("dead letters", async || match letters(desk).await {
            letters if letters.len() == count => Ok(letters),
            letters => Err(format!("{letters:?}")),
        })
        .await
}

fn answered(worker: &Worker, playbook: &str) -> usize {
    worker.audit().iter().filter(|line| line["playbook"] == playbook).count()
}

#[tokio::test]
async fn dead_letters_are_redriven_for_those_that_failed_and_history_is_rehearsed() {
    let kafka = Kafka::shared().await.unwrap();
    let topic = Topic::new(kafka.bootstrap(), "letters");
    let desk = Desk::new(Path::new("no cluster"), &topic.subscription(), &[PLAYBOOKS]);
    desk.must(&["setup"]).await;
    let worker = desk.run().await;
    for pid in 1..=3 {
        topic.publish(&event("Shell", pid)).await;
    }
    topic.publish(&event("Other", 4)).await;
    let all = has_letters(&worker, &desk, 3).await;
    assert_eq!((&all[0]["reason"], &all[0]["playbooks"]), (&"failed".into(), &json!(["wary"])));
    topic.all_committed(&worker).await;
    assert_eq!((answered(&worker, "teller"), answered(&worker, "wary")), (3, 3));

    let rehearsed =
        desk.must(&["replay", "--subscription", "falco", "--dry-run", "--output", "json"]);
    let rehearsed: Value = serde_json::from_str(&rehearsed.await).unwrap();
    assert_eq!(rehearsed["messages"]["read"], 4);
    assert_eq!(
        (&rehearsed["playbooks"][0]["name"], &rehearsed["playbooks"][0]["answers"]),
        (&"teller".into(), &3.into())
    );
    assert_eq!(rehearsed["playbooks"][1]["held"][0]["by"], "when-fails");
    assert_eq!(rehearsed["unanswered"][0]["rule"], "Other");
    let before = topic.progress().await;

    let place = all[0]["place"].as_str().unwrap();
    let done = desk.must(&["dlq", "redrive", place, "--max-age", "1h"]).await;
    assert!(done.contains("1 redriven"), "{done}");
    // It fails again, and is a new letter; the one that didn't fail is not run twice.
    let again = has_letters(&worker, &desk, 3).await;
    assert!(again.iter().all(|letter| letter["place"] != place), "{again:?}");
    topic.all_committed(&worker).await;
    assert_eq!((answered(&worker, "teller"), answered(&worker, "wary")), (3, 4));
    let line = worker.audit().into_iter().next_back().unwrap();
    assert_eq!((&line["playbook"], &line["maxAgeOverride"]), (&"wary".into(), &"1h".into()));
    assert_eq!(topic.progress().await.0, before.0 + 1);

    let dropped = desk.must(&["dlq", "drop", "--all", "--yes"]).await;
    assert!(dropped.contains("3 dropped"), "{dropped}");
    assert!(letters(&desk).await.is_empty());

    let published = desk.must(&["replay", "--to", "falco", "--yes"]).await;
    assert!(published.contains("published 5 events of falco into falco"), "{published}");
    topic.all_committed(&worker).await;
    assert_eq!(topic.progress().await.0, before.0 + 6);
    assert_eq!(worker.terminate().await, 0);
}
