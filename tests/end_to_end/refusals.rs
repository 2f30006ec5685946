//! What is refused is told and on record; what is no event is kept with its bytes.

use kube::ResourceExt;
use testbed::{cluster::Cluster, kafka::Kafka};

use crate::{
    promise::{DELETE, RULE},
    sink::Sink,
    topic::Topic,
    worker::Desk,
};

#[tokio::test]
async fn what_is_no_event_goes_to_the_dead_letters_with_its_bytes() {
    let (kafka, cluster) = (Kafka::shared().await.unwrap(), Cluster::shared().await.unwrap());
    let topic = Topic::new(kafka.bootstrap(), "malformed");
    let desk = Desk::new(cluster.kubeconfig(), &topic.subscription(), &[DELETE]);
    desk.must(&["setup"]).await;
    let worker = desk.run().await;
    let event = r#"{"priority":"Notice","rule":"Terminal shell in container","time":"2026-01-01T00:00:00Z""#;
    let deep = format!("{event},\"x\":{}{}}}", "[".repeat(50_000), "]".repeat(50_000));
    let bodies: Vec<Vec<u8>> = vec![
        b"not json".to_vec(),
        b"[1]".to_vec(),
        b"".to_vec(),
        br#"{"priority":"Notice","time":"2026-01-01T00:00:00Z"}"#.to_vec(),
        br#"{"priority":"Loud","rule":"Terminal shell in container","time":"2026-01-01T00:00:00Z"}"#.to_vec(),
        br#"{"priority":7,"rule":"Terminal shell in container","time":"2026-01-01T00:00:00Z"}"#.to_vec(),
        [event.as_bytes(), b",\"output\":\"\xff\xfe\"}"].concat(),
        deep.into_bytes(),
    ];
    for body in &bodies {
        topic.publish(body).await;
    }
    topic.all_committed(&worker).await;

    let letters = topic.dead_letters().await;
    let mut kept: Vec<_> = letters.iter().map(|letter| letter.payload.clone()).collect();
    let mut sent = bodies.clone();
    kept.sort();
    sent.sort();
    assert_eq!(kept, sent);
    for letter in &letters {
        assert_eq!(letter.header("stoop-reason"), Some("malformed"), "{letter:?}");
        assert!(letter.header("stoop-error").is_some_and(|error| !error.is_empty()));
        assert!(letter.header("stoop-worker").is_some());
    }
    let malformed = worker.metric("stoop_events_total", &["malformed"]).await;
    assert_eq!(malformed as usize, bodies.len());
}

#[tokio::test]
async fn a_protected_namespace_is_refused_acknowledged_and_told() {
    let (kafka, cluster) = (Kafka::shared().await.unwrap(), Cluster::shared().await.unwrap());
    let namespace = cluster.create_namespace("payments").await.unwrap();
    let pod = cluster.create_deployment(&namespace, "web", 1).await.unwrap().remove(0);
    let sink = Sink::start().await;
    let topic = Topic::new(kafka.bootstrap(), "protected");
    let config = format!(
        "{}notifiers: {{hook: {{webhook: {{url: \"{}\"}}}}}}\ndefaultNotifiers: [hook]\nprotect: {{namespaces: [\"payments-*\"]}}\n",
        topic.subscription(),
        sink.url()
    );
    let desk = Desk::new(cluster.kubeconfig(), &config, &[DELETE]);
    desk.must(&["setup"]).await;
    let worker = desk.run().await;

    let target = format!("{namespace}/{}", pod.name_any());
    desk.must(&["event", "--rule", RULE, "--pod", &target, "--to", "falco"]).await;
    topic.all_committed(&worker).await;

    let audit = worker.audit();
    assert_eq!(audit[0]["steps"][0]["outcome"], "refused", "{audit:?}");
    assert_eq!(audit[0]["steps"][0]["reason"], "protected-namespace", "{audit:?}");
    assert_eq!(sink.received().len(), 1, "the default notifier was not told");
    let survivor = cluster.running_pods(&namespace, "web", 1).await.unwrap().remove(0);
    assert_eq!(survivor.uid(), pod.uid());
    assert!(topic.dead_letters().await.is_empty());
}

#[tokio::test]
async fn the_kill_switch_holds_containment_back_for_a_redrive() {
    let (kafka, cluster) = (Kafka::shared().await.unwrap(), Cluster::shared().await.unwrap());
    let namespace = cluster.create_namespace("switch").await.unwrap();
    let pod = cluster.create_deployment(&namespace, "web", 1).await.unwrap().remove(0);
    let topic = Topic::new(kafka.bootstrap(), "switch");
    let config = format!("{}killSwitch: {{file: ./stop}}\n", topic.subscription());
    let desk = Desk::new(cluster.kubeconfig(), &config, &[DELETE]);
    desk.must(&["setup"]).await;
    let worker = desk.run().await;
    std::fs::write(desk.path().join("stop"), "").unwrap();

    let target = format!("{namespace}/{}", pod.name_any());
    desk.must(&["event", "--rule", RULE, "--pod", &target, "--to", "falco"]).await;
    topic.all_committed(&worker).await;

    let letters = topic.dead_letters().await;
    assert_eq!(letters.len(), 1, "{letters:?}");
    assert_eq!(letters[0].header("stoop-reason"), Some("held-back"));
    assert_eq!(letters[0].header("stoop-failed"), Some("shell"));
    let survivor = cluster.running_pods(&namespace, "web", 1).await.unwrap().remove(0);
    assert_eq!(survivor.uid(), pod.uid());
}

#[tokio::test]
async fn observe_is_the_most_that_a_capped_worker_does() {
    let (kafka, cluster) = (Kafka::shared().await.unwrap(), Cluster::shared().await.unwrap());
    let namespace = cluster.create_namespace("observe").await.unwrap();
    let pod = cluster.create_deployment(&namespace, "web", 1).await.unwrap().remove(0);
    let topic = Topic::new(kafka.bootstrap(), "observe");
    let desk = Desk::new(cluster.kubeconfig(), &topic.subscription(), &[DELETE]);
    desk.must(&["setup"]).await;
    let worker = desk.start_with(&["run", "--mode", "observe"]);
    worker.ready().await;

    let target = format!("{namespace}/{}", pod.name_any());
    desk.must(&["event", "--rule", RULE, "--pod", &target, "--to", "falco"]).await;
    topic.all_committed(&worker).await;

    let audit = worker.audit();
    assert_eq!(audit[0]["mode"], "observe", "{audit:?}");
    assert_eq!(audit[0]["steps"][0]["outcome"], "skipped", "{audit:?}");
    let survivor = cluster.running_pods(&namespace, "web", 1).await.unwrap().remove(0);
    assert_eq!(survivor.uid(), pod.uid());
}
