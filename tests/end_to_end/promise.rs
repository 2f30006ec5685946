//! Nothing is lost, no innocent is hurt: also when the worker dies at the worst moment.

use kube::ResourceExt;
use testbed::{cluster::Cluster, kafka::Kafka};

use crate::{sink::Sink, topic::Topic, worker::Desk};

pub const RULE: &str = "Terminal shell in container";

pub const DELETE: &str = r#"
apiVersion: stoop.dev/v1alpha1
kind: Playbook
metadata: {name: shell}
spec:
  mode: enforce
  match: {rules: ["Terminal shell in container"]}
  actions:
    - delete: {gracePeriod: 1s, owners: [ReplicaSet, Standalone]}
"#;

const DELETE_AND_TELL: &str = r#"
apiVersion: stoop.dev/v1alpha1
kind: Playbook
metadata: {name: shell}
spec:
  mode: enforce
  match: {rules: ["Terminal shell in container"]}
  actions:
    - delete: {gracePeriod: 1s}
    - notify: {to: [hook]}
"#;

#[tokio::test]
async fn an_event_deletes_its_pod_and_is_acknowledged_after() {
    let (kafka, cluster) = (Kafka::shared().await.unwrap(), Cluster::shared().await.unwrap());
    let namespace = cluster.create_namespace("promise").await.unwrap();
    let pod = cluster.create_deployment(&namespace, "web", 1).await.unwrap().remove(0);
    let (name, uid) = (pod.name_any(), pod.uid().unwrap());
    let topic = Topic::new(kafka.bootstrap(), "promise");
    let desk = Desk::new(cluster.kubeconfig(), &topic.subscription(), &[DELETE]);
    desk.must(&["setup"]).await;
    let worker = desk.run().await;

    let target = format!("{namespace}/{name}");
    desk.must(&["event", "--rule", RULE, "--pod", &target, "--to", "falco"]).await;

    cluster.pod_gone(&namespace, &name, &uid).await.unwrap();
    let successor = cluster.running_pods(&namespace, "web", 1).await.unwrap().remove(0);
    assert_ne!(successor.uid().unwrap(), uid);
    topic.all_committed(&worker).await;
    let audit = worker.audit();
    assert_eq!(audit.len(), 1, "{audit:?}");
    assert_eq!(audit[0]["uid"], uid);
    assert_eq!(worker.terminate().await, 0);
}

#[tokio::test]
async fn a_successor_of_the_same_name_is_untouched() {
    let (kafka, cluster) = (Kafka::shared().await.unwrap(), Cluster::shared().await.unwrap());
    let namespace = cluster.create_namespace("successor").await.unwrap();
    let topic = Topic::new(kafka.bootstrap(), "successor");
    let desk = Desk::new(cluster.kubeconfig(), &topic.subscription(), &[DELETE]);
    desk.must(&["setup"]).await;
    let worker = desk.run().await;
    let container = |digit: &str| format!("containerd://{}", digit.repeat(64));
    let first =
        cluster.create_pod_with_status(&namespace, "db-0", &[&container("a")]).await.unwrap();
    let target = format!("{namespace}/db-0");
    let event = desk.must(&["event", "--rule", RULE, "--pod", &target]).await;

    topic.publish(event.as_bytes()).await;
    cluster.pod_gone(&namespace, "db-0", &first.uid().unwrap()).await.unwrap();
    let second =
        cluster.create_pod_with_status(&namespace, "db-0", &[&container("b")]).await.unwrap();
    topic.all_committed(&worker).await;
    assert_eq!(worker.terminate().await, 0);
    // To one that remembers it, the event would be answered.
    let worker = desk.run().await;
    topic.publish(event.as_bytes()).await;
    topic.all_committed(&worker).await;

    let audit = worker.audit();
    assert_eq!(audit.len(), 1, "{audit:?}");
    assert_eq!(audit[0]["steps"][0]["outcome"], "already-done", "{audit:?}");
    let survivor = cluster.running_pods(&namespace, "db-0", 1).await.unwrap().remove(0);
    assert_eq!(survivor.uid(), second.uid());
}

#[tokio::test]
async fn a_worker_killed_between_delete_and_notify_tells_after_its_restart_and_deletes_nothing_twice()
 {
    let (kafka, cluster) = (Kafka::shared().await.unwrap(), Cluster::shared().await.unwrap());
    let namespace = cluster.create_namespace("killed").await.unwrap();
    let pod = cluster.create_deployment(&namespace, "web", 1).await.unwrap().remove(0);
    let (name, uid) = (pod.name_any(), pod.uid().unwrap());
    let sink = Sink::start().await;
    sink.hold();
    let topic = Topic::new(kafka.bootstrap(), "killed");
    let config = format!(
        "{}notifiers: {{hook: {{webhook: {{url: \"{}\"}}}}}}\n",
        topic.subscription(),
        sink.url()
    );
    let desk = Desk::new(cluster.kubeconfig(), &config, &[DELETE_AND_TELL]);
    desk.must(&["setup"]).await;
    let worker = desk.run().await;

    let target = format!("{namespace}/{name}");
    desk.must(&["event", "--rule", RULE, "--pod", &target, "--to", "falco"]).await;
    worker.wait("the notification is under way", async || sink.asked(1)).await;
    cluster.pod_gone(&namespace, &name, &uid).await.unwrap();
    let successor = cluster.running_pods(&namespace, "web", 1).await.unwrap().remove(0);
    worker.kill().await;
    assert_eq!(
        topic.progress().await,
        (1, 0),
        "it was acknowledged before its playbook had succeeded"
    );

    sink.release();
    let worker = desk.run().await;
    topic.all_committed(&worker).await;
    let told = sink.received();
    assert_eq!(told.len(), 1, "{told:?}");
    let audit = worker.audit();
    assert_eq!(audit[0]["steps"][0]["outcome"], "already-done", "{audit:?}");
    assert_eq!(audit[0]["steps"][1]["outcome"], "applied", "{audit:?}");
    let survivor = cluster.running_pods(&namespace, "web", 1).await.unwrap().remove(0);
    assert_eq!(survivor.uid(), successor.uid(), "the successor was deleted as well");
}

/// Falcosidekick sends no key, so one pod's events land on all partitions and on several workers at once.
#[tokio::test]
async fn two_workers_with_the_same_event_delete_once() {
    let (kafka, cluster) = (Kafka::shared().await.unwrap(), Cluster::shared().await.unwrap());
    let namespace = cluster.create_namespace("twice").await.unwrap();
    let pods = cluster.create_deployment(&namespace, "web", 2).await.unwrap();
    let topic = Topic::new(kafka.bootstrap(), "twice");
    let desk = Desk::new(cluster.kubeconfig(), &topic.subscription(), &[DELETE]);
    desk.must(&["setup"]).await;
    let other = Desk::new(cluster.kubeconfig(), &topic.subscription(), &[DELETE]);
    let workers = [desk.run().await, other.run().await];

    let name = pods[0].name_any();
    let event =
        desk.must(&["event", "--rule", RULE, "--pod", &format!("{namespace}/{name}")]).await;
    for _ in 0..20 {
        topic.publish(event.as_bytes()).await;
    }
    topic.all_committed(&workers[0]).await;

    let pods_now = cluster.running_pods(&namespace, "web", 2).await.unwrap();
    assert!(pods_now.iter().any(|pod| pod.uid() == pods[1].uid()), "an innocent pod was deleted");
    let applied = workers.iter().flat_map(|worker| worker.audit());
    let applied = applied.filter(|line| line["steps"][0]["outcome"] == "applied").count();
    assert!((1..=2).contains(&applied), "{applied} deletes");
}

#[tokio::test]
async fn a_worker_that_is_asked_to_leave_finishes_what_it_began() {
    let (kafka, cluster) = (Kafka::shared().await.unwrap(), Cluster::shared().await.unwrap());
    let namespace = cluster.create_namespace("leaving").await.unwrap();
    let pod = cluster.create_deployment(&namespace, "web", 1).await.unwrap().remove(0);
    let sink = Sink::start().await;
    sink.hold();
    let topic = Topic::new(kafka.bootstrap(), "leaving");
    let config = format!(
        "{}notifiers: {{hook: {{webhook: {{url: \"{}\"}}}}}}\n",
        topic.subscription(),
        sink.url()
    );
    let desk = Desk::new(cluster.kubeconfig(), &config, &[DELETE_AND_TELL]);
    desk.must(&["setup"]).await;
    let worker = desk.run().await;

    let target = format!("{namespace}/{}", pod.name_any());
    desk.must(&["event", "--rule", RULE, "--pod", &target, "--to", "falco"]).await;
    worker.wait("the notification is under way", async || sink.asked(1)).await;
    let (code, ()) = tokio::join!(worker.terminate(), async { sink.release() });
    assert_eq!(code, 0);
    assert_eq!(sink.received().len(), 1);
    assert_eq!(topic.progress().await, (1, 1));
}
