//! OpenShift's demo with audit logs: two topics, and what each may hold.

use k8s_openapi::api::core::v1::Pod;
use kube::ResourceExt;
use serde_json::Value;
use testbed::{cluster::Access, kafka::Kafka};

use super::{
    cluster::{is_alive, pods},
    event::exec,
    setting::{Setting, lines_of},
    stream::{OnKafka, Stream},
};
use crate::topic::{DeadLetter, Topic};

const LABEL: &str = "forensics.example/exec";

fn parsed(messages: &[DeadLetter]) -> Vec<Value> {
    messages.iter().map(|message| serde_json::from_slice(&message.payload).unwrap()).collect()
}

async fn label(cluster: &Access, pod: &Pod) -> Option<String> {
    assert!(is_alive(cluster, pod).await);
    let now = pods(cluster, &pod.namespace().unwrap()).await.get(&pod.name_any()).await.unwrap();
    now.labels().get(LABEL).cloned()
}

#[tokio::test]
async fn who_attached_is_told_whole_to_the_few_and_nameless_to_all() {
    let bootstrap = Kafka::shared().await.unwrap().bootstrap();
    let [sensitive, others] = ["sensitive", "others"].map(|name| Topic::new(bootstrap, name));
    let brokers = format!("[\"{bootstrap}\"]");
    let filled_in = [
        ("STOOP_DESTINATIONS__SENSITIVE__KAFKA__BROKERS", brokers.as_str()),
        ("STOOP_DESTINATIONS__SENSITIVE__KAFKA__TOPIC", sensitive.name()),
        ("STOOP_DESTINATIONS__OTHERS__KAFKA__BROKERS", &brokers),
        ("STOOP_DESTINATIONS__OTHERS__KAFKA__TOPIC", others.name()),
    ];
    let stream = OnKafka::new("audit").await;
    let setting = Setting::with(Some("exec-audit.yaml"), stream, &filled_in).await;
    let cluster = setting.cluster;
    let payments = cluster.create_namespace("critical").await.unwrap();
    let shop = cluster.create_namespace("shop").await.unwrap();
    let (guarded, plain) = tokio::join!(
        cluster.create_deployment(&payments, "web", 2),
        cluster.create_deployment(&shop, "web", 1),
    );
    let (guarded, plain) = (guarded.unwrap(), plain.unwrap());
    let worker = setting.desk.run().await;

    let into_guarded = exec(&guarded[0], "mallory@corp.example", "cat /etc/shadow");
    let into_plain = exec(&plain[0], "alice@corp.example", "printenv");
    setting.stream.publish(&into_guarded).await;
    worker.does_without("the destination others").await;
    assert_eq!(setting.stream.unsettled().await, 1, "it was acknowledged before it was forwarded");
    others.make().await;
    sensitive.make().await;
    setting.stream.publish(&into_plain).await;
    setting.settled(&worker, 2).await;

    let whole = sensitive.read().await;
    assert_eq!(whole.len(), 1, "of other namespaces too: {whole:?}");
    assert_eq!(whole[0].payload, into_guarded.to_string().into_bytes(), "not byte for byte");
    let nameless = worker
        .wait("both are told of", async || match others.read().await {
            all if all.len() == 2 => Ok(all),
            all => Err(format!("{} are there; {:?}", all.len(), worker.audit())),
        })
        .await;
    for message in &nameless {
        let text = String::from_utf8_lossy(&message.payload);
        for secret in ["mallory", "alice", "/etc/shadow", "printenv"] {
            assert!(!text.contains(secret), "{secret} is in {text}");
        }
    }
    let mut named: Vec<_> = parsed(&nameless)
        .iter()
        .map(|event| event["output_fields"]["ka.target.namespace"].as_str().unwrap().to_owned())
        .collect();
    named.sort();
    assert_eq!(named, [payments, shop]);
    assert!(parsed(&nameless).iter().all(|event| !event["output"].as_str().unwrap().is_empty()));

    assert_eq!(label(cluster, &guarded[0]).await.as_deref(), Some("seen"));
    for other in [&guarded[1], &plain[0]] {
        assert_eq!(
            label(cluster, other).await,
            None,
            "nobody attached to it, or to none that matters"
        );
    }
    assert_eq!(lines_of(&worker, "exec-audit").len(), 2);
    assert_eq!(lines_of(&worker, "exec-audit-sensitive").len(), 1);
    setting.leaves_nothing(worker).await;
}
