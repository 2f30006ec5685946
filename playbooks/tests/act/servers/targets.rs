//! Targets that only a name identifies, by the times that the real server writes.

use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use k8s_openapi::api::core::v1::Pod;
use kube::{
    ResourceExt as _,
    api::{DeleteParams, PostParams},
};
use playbooks::act::Verification;
use serde_json::{Value, json};

use super::{
    DELETE, alive, api_server, connect, container_id, namespace, nodes, pod, pods,
    roles::connect_with,
};
use crate::fixtures::{Setup, event_at, words};

/// The OpenShift seed's event, as Falco's k8saudit plugin tells it.
fn exec(pod: &Pod, time: Timestamp) -> Value {
    let mut event = event_at(time);
    event["rule"] = json!("Attach/Exec Pod");
    event["source"] = json!("k8s_audit");
    event["hostname"] = json!("falco-k8saudit-7d4b9");
    event["output_fields"] = json!({
        "ka.auditid": "0b6f1d3c-7e58-4c0e-9a41-3d2f7c1b5a90", "ka.user.name": "eve",
        "ka.verb": "create", "ka.target.resource": "pods", "ka.target.subresource": "exec",
        "ka.target.namespace": pod.namespace(), "ka.target.name": pod.name_any(),
        "ka.uri.param[command]": "sh"
    });
    event
}

fn created(pod: &Pod) -> Timestamp {
    pod.creation_timestamp().expect("a time").0
}

fn word(verification: &Verification) -> &'static str {
    match verification {
        Verification::Target(_) => "target",
        Verification::Gone(_) => "gone",
        Verification::Refused(_) => "refused",
        Verification::Node(_) | Verification::NoTarget | Verification::ForeignCluster => "other",
    }
}

#[tokio::test]
async fn the_pod_of_an_exec_is_the_one_that_was_there_a_second_before() {
    let access = api_server().await;
    let namespace = namespace(access).await;
    let first = pod(access, &namespace, "web", &container_id("first")).await;
    let bench = Setup::new(connect(access).await).build();
    let time = created(&first) + SignedDuration::from_secs(1);
    let before = exec(&first, time - SignedDuration::from_millis(1));
    assert_eq!(word(&bench.verify(&before).await), "refused");
    let Verification::Target(target) = bench.verify(&exec(&first, time)).await else {
        panic!("not verified")
    };
    assert_eq!(Some(target.uid().to_string()), first.uid());

    // Its successor, once the server's clock shows another second.
    let pods = pods(access, &namespace).await;
    let second = loop {
        pods.delete("web", &DeleteParams::default().grace_period(0)).await.expect("deleted");
        let second = pod(access, &namespace, "web", &container_id("second")).await;
        if created(&second) > time {
            break second;
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
    };
    assert_eq!(word(&bench.verify(&exec(&first, time)).await), "gone");
    assert_eq!(words(&bench.run(DELETE, &exec(&first, time)).await), ["delete already-done"]);
    assert_eq!(alive(&pods, "web").await, second.uid());
}

#[tokio::test]
async fn an_exec_is_answered_under_the_printed_roles() {
    let access = api_server().await;
    let namespace = namespace(access).await;
    let pod = pod(access, &namespace, "web", &container_id("web")).await;
    let rights = Setup::new(connect(access).await).build().plan(DELETE).permissions();
    let worker = connect_with(access, &format!("{namespace}-exec"), &rights).await;
    let event = exec(&pod, created(&pod) + SignedDuration::from_secs(1));
    let bench = Setup::new(worker).build();
    assert_eq!(words(&bench.run(DELETE, &event).await), ["delete applied"]);
    assert_eq!(alive(&pods(access, &namespace).await, "web").await, None);
}

#[tokio::test]
async fn a_host_events_node_is_marked_under_the_printed_roles_and_its_successor_is_not() {
    let access = api_server().await;
    let namespace = namespace(access).await;
    let (name, spare) = (format!("{namespace}-n"), format!("{namespace}-spare"));
    let first = nodes::node(access, &name).await;
    nodes::node(access, &spare).await;
    let spec = "mode: enforce\nactions: [taint: {hostEvents: true, maxShare: 100%}]";
    let rights = Setup::new(connect(access).await).build().plan(spec).permissions();
    let worker = connect_with(access, &format!("{namespace}-host"), &rights).await;
    let bench = Setup::new(worker).build();
    let there = first.creation_timestamp().expect("a time").0;
    let mut event = event_at(there + SignedDuration::from_secs(1));
    event["hostname"] = json!(name);
    event["output_fields"] = json!({"container.id": "host", "proc.name": "sh"});
    let mut response = bench.begin(spec, &event).await;
    assert_eq!(words(&bench.run(spec, &event).await), ["taint applied"]);

    // Made anew under the same name while a response to it is under way.
    let all = nodes::nodes(access).await;
    all.delete(&name, &DeleteParams::default()).await.expect("deleted");
    let new = serde_json::from_value(json!({"metadata": {"name": name}})).expect("a node");
    let second = all.create(&PostParams::default(), &new).await.expect("created");
    let playbooks::act::Advance::Finished(report) = bench.advance(&mut response).await else {
        panic!("not finished")
    };
    assert_eq!(words(&report), ["taint skipped (gone)"]);
    let now = all.get(&name).await.expect("the node");
    assert_eq!((now.uid(), now.spec), (second.uid(), second.spec));
    for name in [name, spare] {
        all.delete(&name, &DeleteParams::default()).await.expect("deleted");
    }
}
