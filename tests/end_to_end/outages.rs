//! What stoop depends on goes away, and comes back: nothing is lost, and no attempt is used up.

use std::path::Path;

use k8s_openapi::api::core::v1::Pod;
use kube::ResourceExt;
use testbed::{
    cluster::{Cluster, Size},
    kafka::Kafka,
};

use crate::{
    bad_input::{TELL, event},
    leader::Leader,
    promise::{DELETE, RULE},
    sink::Sink,
    topic::Topic,
    worker::{Desk, Worker},
};

async fn unready(worker: &Worker, because: &str) {
    worker
        .wait("the worker says what is away", async || match worker.get("/readyz").await {
            Ok((503, body)) if body.contains(because) => Ok(()),
            other => Err(format!("{other:?}")),
        })
        .await;
    assert_eq!(worker.get("/healthz").await.unwrap().0, 200, "a restart would not end an outage");
}

#[tokio::test]
async fn an_api_server_that_is_away_is_waited_for() {
    let kafka = Kafka::shared().await.unwrap();
    let mut cluster = Cluster::start(Size::ApiServer).await.unwrap();
    let namespace = cluster.create_namespace("away").await.unwrap();
    let container = format!("containerd://{}", "c".repeat(64));
    let pod = cluster.create_pod_with_status(&namespace, "web", &[&container]).await.unwrap();
    let topic = Topic::new(kafka.bootstrap(), "api-away");
    let desk = Desk::new(cluster.kubeconfig(), &topic.subscription(), &[DELETE]);
    desk.must(&["setup"]).await;
    let target = format!("{namespace}/web");
    let event = desk.must(&["event", "--rule", RULE, "--pod", &target]).await;
    let worker = desk.run().await;

    cluster.kill_api_server();
    topic.publish(event.as_bytes()).await;
    unready(&worker, "Kubernetes").await;
    assert_eq!(topic.progress().await, (1, 0));
    cluster.restart_api_server().await.unwrap();

    worker.ready().await;
    cluster.pod_gone(&namespace, "web", &pod.uid().unwrap()).await.unwrap();
    topic.all_committed(&worker).await;
    assert!(topic.dead_letters().await.is_empty());
}

#[tokio::test]
async fn a_broker_that_restarts_is_waited_for() {
    let mut kafka = Kafka::start().await.unwrap();
    let cluster = Cluster::shared().await.unwrap();
    let namespace = cluster.create_namespace("broker").await.unwrap();
    let pods = cluster.create_deployment(&namespace, "web", 1).await.unwrap();
    let topic = Topic::new(kafka.bootstrap(), "broker-away");
    let desk = Desk::new(cluster.kubeconfig(), &topic.subscription(), &[DELETE]);
    desk.must(&["setup"]).await;
    let worker = desk.run().await;

    kafka.kill();
    kafka.restart().await.unwrap();
    let (name, uid) = (pods[0].name_any(), pods[0].uid().unwrap());
    let target = format!("{namespace}/{name}");
    desk.must(&["event", "--rule", RULE, "--pod", &target, "--to", "falco"]).await;
    cluster.pod_gone(&namespace, &name, &uid).await.unwrap();
    topic.all_committed(&worker).await;
}

/// A desk whose worker is told to leave after a second with an event that nobody answers.
async fn stuck_desk(topic: &Topic, sink: &Sink) -> Desk {
    sink.hold();
    let config = format!(
        "limits: {{drain: 1s}}\nnotifiers: {{hook: {{webhook: {{url: \"{}\"}}}}}}\n{}",
        sink.url(),
        topic.subscription()
    );
    let desk = Desk::new(Path::new("no cluster"), &config, &[TELL]);
    topic.make().await;
    desk.must(&["setup"]).await;
    topic.publish(&event("Tell", 1)).await;
    desk
}

/// It can't commit what it has done, and says that, and that alone.
async fn leaves_without_a_commit(mut worker: Worker) {
    worker.ask_to_leave().await;
    assert_eq!(worker.ended().await, 0);
    worker.says("has not taken the last commit; its messages come again").await;
    assert!(!worker.has_said("can't start"));
}

#[tokio::test]
async fn a_worker_whose_broker_takes_no_last_commit_leaves_all_the_same_and_says_so() {
    let kafka = Kafka::start().await.unwrap();
    let (topic, sink) = (Topic::new(kafka.bootstrap(), "silent"), Sink::start().await);
    let desk = stuck_desk(&topic, &sink).await;
    let worker = desk.run().await;
    worker.wait("it is worked on", async || sink.asked(1)).await;
    kafka.pause().unwrap();
    leaves_without_a_commit(worker).await;
}

#[tokio::test]
async fn a_worker_leaves_a_group_that_never_settles() {
    let kafka = Kafka::shared().await.unwrap();
    let (topic, sink) = (Topic::new(kafka.bootstrap(), "unsettled"), Sink::start().await);
    let desk = stuck_desk(&topic, &sink).await;
    // Asked once, Kafka can coordinate.
    assert_eq!(topic.progress().await, (1, 0));
    let mut leader = Leader::of(kafka.bootstrap(), topic.name(), topic.name()).await;
    let worker = desk.start();
    worker
        .wait("the worker joins the group", async || {
            leader.join().await;
            match leader.settle().await && !leader.others.is_empty() {
                true => Ok(()),
                false => Err("it has not".to_owned()),
            }
        })
        .await;
    worker.wait("it is worked on", async || sink.asked(1)).await;
    leader.join().await;
    leaves_without_a_commit(worker).await;
}

#[tokio::test]
async fn a_sink_that_is_away_keeps_nobody_from_being_contained_and_repeats_no_containment() {
    let (kafka, cluster) = (Kafka::shared().await.unwrap(), Cluster::shared().await.unwrap());
    let namespace = cluster.create_namespace("sink").await.unwrap();
    let pods = cluster.create_deployment(&namespace, "web", 2).await.unwrap();
    let sink = Sink::start().await;
    sink.turn_away();
    let topic = Topic::new(kafka.bootstrap(), "sink-away");
    let playbook =
        DELETE.replace("ReplicaSet, Standalone]}", "ReplicaSet]}\n    - notify: {to: [hook]}");
    let config = format!(
        "{}notifiers: {{hook: {{webhook: {{url: \"{}\"}}}}}}\n",
        topic.subscription(),
        sink.url()
    );
    let desk = Desk::new(cluster.kubeconfig(), &config, &[&playbook]);
    desk.must(&["setup"]).await;
    let worker = desk.run().await;

    let attacked = async |pod: &Pod| {
        let (name, uid) = (pod.name_any(), pod.uid().unwrap());
        let target = format!("{namespace}/{name}");
        desk.must(&["event", "--rule", RULE, "--pod", &target, "--to", "falco"]).await;
        cluster.pod_gone(&namespace, &name, &uid).await.unwrap();
    };
    attacked(&pods[0]).await;
    // More tries than the playbook's five attempts.
    worker.wait("the sink was asked again and again", async || sink.asked(7)).await;
    worker.does_without("hook").await;
    attacked(&pods[1]).await;
    assert_eq!(topic.progress().await, (2, 0));
    sink.release();
    topic.all_committed(&worker).await;

    assert_eq!(sink.received().len(), 2);
    let audit = worker.audit();
    for step in audit.iter().flat_map(|line| line["steps"].as_array().unwrap()) {
        assert_eq!(step["outcome"], "applied", "{audit:?}");
    }
}

#[tokio::test]
async fn an_event_whose_dead_letters_are_away_is_not_acknowledged() {
    let (kafka, cluster) = (Kafka::shared().await.unwrap(), Cluster::shared().await.unwrap());
    let topic = Topic::new(kafka.bootstrap(), "dead-away");
    let unburied = topic.subscription().replace(".dead", ".elsewhere");
    let first = Desk::new(cluster.kubeconfig(), &topic.subscription(), &[DELETE]);
    first.must(&["setup"]).await;
    let desk = Desk::new(cluster.kubeconfig(), &unburied, &[DELETE]);
    let worker = desk.run().await;

    topic.publish(b"not an event").await;
    unready(&worker, "dead letters").await;
    assert_eq!(topic.progress().await, (1, 0));
    desk.must(&["setup"]).await;

    worker.ready().await;
    topic.all_committed(&worker).await;
}
