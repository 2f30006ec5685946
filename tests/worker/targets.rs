//! Events whose target is not a container's pod: requests to the API server, and processes of a host.

use jiff::{SignedDuration, Timestamp};
use serde_json::{Value, json};

use super::rig::{Rig, delete, header, playbook, until};

/// What the OpenShift seed answers: somebody opens a shell in a pod through the API server.
const EXEC: &str = "Attach/Exec Pod";

/// The event as Falco's k8saudit plugin tells it.
fn exec(resource: &str, time: Timestamp) -> Value {
    json!({
        "rule": EXEC, "priority": "Notice", "source": "k8s_audit", "tags": ["k8s"],
        "time": time.to_string(), "hostname": "falco-k8saudit-7d4b9",
        "output": "Attach/Exec to pod (user=eve pod=web ns=shop action=exec command=sh)",
        "output_fields": {
            "ka.auditid": "0b6f1d3c-7e58-4c0e-9a41-3d2f7c1b5a90", "ka.user.name": "eve",
            "ka.verb": "create", "ka.target.resource": resource, "ka.target.subresource": "exec",
            "ka.target.namespace": "shop", "ka.target.name": "web", "ka.uri.param[command]": "sh"
        }
    })
}

fn answering(rule: &str, actions: Value) -> String {
    let fields = json!({"ka.target.subresource": ["exec", "attach"]});
    let wanted = json!({"rules": [rule], "sources": ["k8s_audit"], "namespaces": ["shop"], "fields": fields});
    playbook("exec-audit", json!({"match": wanted, "actions": actions}))
}

/// The earliest time at which the only pod can be told from an earlier one of its name.
fn a_second_after_creation(rig: &Rig) -> Timestamp {
    let pods = rig.server.pods("shop");
    let created = pods[0]["metadata"]["creationTimestamp"].as_str().unwrap();
    created.parse::<Timestamp>().unwrap() + SignedDuration::from_secs(1)
}

#[tokio::test]
async fn the_pod_of_an_exec_is_answered_and_its_successor_is_not() {
    let actions = json!([delete(), {"notify": {"to": ["log"]}}]);
    let rig = Rig::new(&[answering(EXEC, actions)]).await;
    rig.create_pod();
    let (time, uid) =
        (a_second_after_creation(&rig), rig.server.pods("shop")[0]["metadata"]["uid"].clone());
    let early = exec("pods", time - SignedDuration::from_millis(1));
    let subscription = rig.subscribe([early]);
    subscription.is_settled().await;
    assert_eq!(
        (rig.asked("DELETE"), rig.audit.lines()[0]["steps"][0]["reason"].clone()),
        (0, json!("identity"))
    );

    let event = exec("pods", time);
    subscription.publish(&event);
    subscription.is_settled().await;
    assert_eq!(rig.asked("DELETE"), 1);
    assert!(rig.server.pods("shop").is_empty());
    let done =
        rig.server.requests().into_iter().find(|request| request.method == "DELETE").unwrap();
    assert!(done.body.to_string().contains(uid.as_str().unwrap()), "{}", done.body);
    let line = &rig.audit.lines()[1];
    assert_eq!((&line["uid"], &line["object"]["name"]), (&uid, &json!("web")));
    assert_eq!(line["steps"][0]["outcome"], "applied");

    // Its successor, in a second that can't be taken for the first one's; and the event once more, to another worker.
    until("the pod's second is over", || Timestamp::now() > time + SignedDuration::from_secs(1))
        .await;
    rig.create_pod();
    let other = rig.another().await;
    let again = other.subscribe([event]);
    again.is_settled().await;
    assert_eq!(rig.server.pods("shop").len(), 1);
    assert_eq!(other.audit.lines()[0]["steps"][0]["outcome"], "already-done");
    assert!(
        again.broker.dead_letters().is_empty() && subscription.broker.dead_letters().is_empty()
    );
}

#[tokio::test]
async fn a_pod_that_is_known_by_its_name_alone_is_looked_for_each_time() {
    let rig = Rig::new(&[answering(EXEC, json!([delete()]))]).await;
    let subscription = rig.subscribe([]);
    // Within the cooldown of the one before it.
    for count in 1..=2 {
        rig.create_pod();
        subscription.publish(&exec("pods", a_second_after_creation(&rig)));
        subscription.is_settled().await;
        assert_eq!((rig.asked("DELETE"), rig.server.pods("shop").len()), (count, 0));
    }
}

#[tokio::test]
async fn an_audit_event_on_anything_but_pods_has_no_target() {
    let wanted = json!({"rules": [EXEC]});
    let rig = Rig::new(&[playbook("any", json!({"match": wanted, "actions": [delete()]}))]).await;
    rig.create_pod();
    let time = a_second_after_creation(&rig);
    for resource in ["configmaps", "pods/exec", "PODS", ""] {
        let subscription = rig.subscribe([exec(resource, time)]);
        subscription.is_settled().await;
        let lines = rig.audit.lines();
        let last = lines.last().unwrap();
        assert_eq!(last["steps"][0]["reason"], "identity", "{resource}");
        assert_eq!(last["object"], json!(null), "{resource}");
    }
    assert_eq!(rig.server.requests().len(), 0);
}

#[tokio::test]
async fn a_host_event_marks_its_node_where_that_is_asked_for_and_concerns_nobody_who_selects_pods()
{
    let wanted = json!({"rules": ["Write below binary dir"]});
    let pods = json!({"rules": ["Write below binary dir"], "namespaces": {"exclude": ["ci-*"]}});
    let actions = json!([{"cordon": {"hostEvents": true, "maxShare": "100%"}}]);
    let rig = Rig::new(&[
        playbook("host", json!({"match": wanted, "actions": actions})),
        playbook("pods", json!({"match": pods, "actions": actions})),
    ])
    .await;
    for name in ["node-1", "node-2"] {
        let ready = json!({"conditions": [{"type": "Ready", "status": "True"}]});
        let node = json!({"apiVersion": "v1", "kind": "Node", "metadata": {"name": name}, "spec": {}, "status": ready});
        rig.server.create(node).unwrap();
    }
    let event = |host: &str, ahead: i64| {
        let time = Timestamp::now() + SignedDuration::from_secs(ahead);
        json!({
            "rule": "Write below binary dir", "priority": "Error", "source": "syscall",
            "time": time.to_string(), "hostname": host, "output": "a write",
            "output_fields": {"container.id": "host", "proc.name": "sh"}
        })
    };
    // Later than the nodes' creation by more than its second.
    let subscription = rig.subscribe([event("node-1", 2)]);
    subscription.is_settled().await;
    subscription.publish(&event("falco-ctj9r", 2));
    subscription.is_settled().await;
    let lines = rig.audit.lines();
    let of: Vec<_> = lines.iter().map(|line| (&line["playbook"], &line["steps"][0])).collect();
    assert_eq!(lines.len(), 2, "{lines:?}");
    assert_eq!((of[0].0, &of[0].1["outcome"]), (&json!("host"), &json!("applied")), "{lines:?}");
    assert_eq!(lines[0]["object"], json!({"kind": "Node", "name": "node-1"}));
    assert_eq!((of[1].0, &of[1].1["reason"]), (&json!("host"), &json!("identity")), "{lines:?}");
    assert_eq!(rig.asked("PATCH"), 1);
}

#[tokio::test]
async fn a_namespace_whose_exemption_cannot_be_read_is_left_alone_and_the_event_is_kept() {
    let rig = Rig::new(&[playbook("p", json!({"actions": [delete()]}))]).await;
    let metadata = json!({"name": "shop", "annotations": {"stoop.dev/ignore-until": "tomorrow"}});
    rig.server
        .create(json!({"apiVersion": "v1", "kind": "Namespace", "metadata": metadata}))
        .unwrap();
    rig.create_pod();
    let subscription = rig.subscribe([rig.event_about_pod(Timestamp::now()).await]);
    subscription.is_settled().await;
    let letters = subscription.broker.dead_letters();
    assert_eq!(letters.len(), 1);
    assert_eq!(header(&letters[0], "stoop-reason"), "held-back");
    assert_eq!(rig.pager.told(), ["p"]);
    assert_eq!(rig.server.pods("shop").len(), 1);
}

#[tokio::test]
async fn two_workers_spend_one_budget() {
    let spec = json!({"actions": [delete()], "limits": {"budget": "1 per 5m"}});
    let rig = Rig::new(&[playbook("p", spec)]).await;
    rig.server
        .create(json!({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "stoop"}}))
        .unwrap();
    let other = rig.another().await;
    for (worker, left) in [(&rig, 0), (&other, 1)] {
        worker.create_pod();
        let subscription = worker.subscribe([worker.event_about_pod(Timestamp::now()).await]);
        subscription.is_settled().await;
        assert_eq!(rig.server.pods("shop").len(), left);
        assert_eq!(subscription.broker.dead_letters().len(), left);
    }
    assert_eq!(other.audit.lines()[0]["steps"][0]["reason"], "budget");
    assert_eq!(rig.asked("DELETE"), 1);
}
