//! The examples before anybody has changed a mode.

use super::{
    cluster::is_alive,
    event::{CONNECTION, SHELL, about, exec, miner, recorded},
    setting::{Setting, steps},
    stream::{OnNats, Stream},
};

#[tokio::test]
async fn as_they_stand_they_say_what_they_would_do_and_do_nothing() {
    let setting = Setting::new(None, OnNats::new().await).await;
    let cluster = setting.cluster;
    let namespace = cluster.create_namespace("critical").await.unwrap();
    let pod = cluster.create_deployment(&namespace, "web", 1).await.unwrap().remove(0);
    let shop = cluster.create_namespace("shop").await.unwrap();
    let other = cluster.create_deployment(&shop, "web", 1).await.unwrap().remove(0);
    let worker = setting.desk.run().await;
    let events = [
        miner(&other),
        about(recorded(SHELL, "Notice"), &pod),
        about(recorded(CONNECTION, "Warning"), &pod),
        exec(&pod, "mallory", "sh"),
    ];
    for event in &events {
        setting.stream.publish(event).await;
    }
    setting.settled(&worker, events.len()).await;

    let audit = worker.audit();
    let mut answered: Vec<_> =
        audit.iter().map(|line| line["playbook"].as_str().unwrap()).collect();
    answered.sort_unstable();
    let all = [
        "cryptominer",
        "delete-by-priority",
        "exec-audit",
        "exec-audit-sensitive",
        "shell-in-a-container",
        "unexpected-connection",
    ];
    assert_eq!(answered, all);
    assert!(audit.iter().flat_map(steps).all(|(_, outcome)| outcome == "skipped"), "{audit:?}");
    assert!(is_alive(cluster, &pod).await && is_alive(cluster, &other).await);
    assert!(setting.captures().is_empty() && setting.sinks.messages().is_empty());
    setting.leaves_nothing(worker).await;
}
