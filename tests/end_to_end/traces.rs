//! A trace goes on from Kafka's headers through the worker to whoever gets the event next.

use testbed::kafka::Kafka;

use crate::{
    bad_input::event,
    collector::Collector,
    topic::Topic,
    worker::{Desk, Worker},
};

const KEEP: &str = r#"
apiVersion: stoop.dev/v1alpha1
kind: Playbook
metadata: {name: keep}
spec: {mode: enforce, match: {rules: ["Tell"]}, actions: [forward: {to: next}]}
"#;

/// A worker that forwards what it reads and says to an address how: its folder, the topic that it reads, and the next.
async fn forwarding(names: [&str; 2], collector: &str) -> (Desk, Topic, Topic, Worker) {
    let bootstrap = Kafka::shared().await.unwrap().bootstrap();
    let [topic, next] = names.map(|name| Topic::new(bootstrap, name));
    let config = format!(
        "destinations: {{next: {{kafka: {{brokers: [\"{bootstrap}\"], topic: {}}}}}}}\n{}",
        next.name(),
        topic.subscription()
    );
    let desk = Desk::new(std::path::Path::new("no cluster"), &config, &[KEEP])
        .with("OTEL_EXPORTER_OTLP_ENDPOINT", collector)
        .with("OTEL_BSP_SCHEDULE_DELAY", "100");
    desk.must(&["setup"]).await;
    next.make().await;
    let worker = desk.run().await;
    (desk, topic, next, worker)
}

#[tokio::test]
async fn a_trace_goes_from_the_header_through_the_worker_to_the_next_topic() {
    const TRACE: &str = "0af7651916cd43dd8448eb211c80319c";
    let collector = Collector::start().await;
    let (_desk, topic, next, worker) = forwarding(["traced", "next"], collector.url()).await;
    let traceparent = format!("00-{TRACE}-b7ad6b7169203331-01");
    topic.publish_with(&event("Tell", 1), &[("traceparent", &traceparent)]).await;
    topic.all_committed(&worker).await;

    let span = worker
        .wait("the event's span comes", async || {
            let spans = collector.spans();
            let found = spans.iter().find(|span| span.name == "event").cloned();
            found.ok_or_else(|| format!("{spans:?}"))
        })
        .await;
    assert_eq!((span.trace.as_str(), span.parent.as_str()), (TRACE, "b7ad6b7169203331"));
    let forwarded = next.read().await;
    assert_eq!(forwarded[0].header("traceparent"), Some(&*format!("00-{TRACE}-{}-01", span.id)));
    worker
        .wait("it is counted", async || {
            match worker.metric("stoop_spans_total", &["exported"]).await {
                exported if exported >= 1.0 => Ok(()),
                exported => Err(format!("{exported} exported")),
            }
        })
        .await;
}

#[tokio::test]
async fn a_collector_that_is_away_holds_nothing_up() {
    let (_desk, topic, _, worker) = forwarding(["untraced", "after"], "http://127.0.0.1:9").await;
    topic.publish(&event("Tell", 1)).await;
    topic.all_committed(&worker).await;
    worker
        .wait("spans are refused", async || {
            match worker.metric("stoop_spans_total", &["refused"]).await {
                refused if refused > 0.0 => Ok(()),
                _ => Err("none yet".to_owned()),
            }
        })
        .await;
}
