//! What the chart makes of values.

use serde_json::{Value, json};

use crate::chart::{NAMESPACE, VALUES, Worker, of_kind, rendered, values, with};

fn pod(objects: &[Value]) -> &Value {
    let workload =
        objects.iter().find(|it| it["kind"] == "Deployment" || it["kind"] == "StatefulSet");
    &workload.expect("a workload")["spec"]["template"]["spec"]
}

#[test]
fn helm_finds_nothing_to_say_of_the_chart() {
    for name in VALUES {
        let ran = with("lint", &values(name));
        assert!(
            ran.ok && !ran.out.contains("[ERROR]") && !ran.out.contains("[WARNING]"),
            "{name}: {}{}",
            ran.out,
            ran.err
        );
    }
}

#[test]
fn a_worker_takes_the_configuration_and_playbooks_that_are_rendered() {
    for name in VALUES {
        let objects = rendered(&values(name));
        let worker = Worker::of(&objects);
        worker.prints(&["rbac"]);
    }
}

#[test]
fn a_journal_has_a_volume_that_outlives_its_worker() {
    let objects = rendered(&values("journal"));
    let set = of_kind(&objects, "StatefulSet");
    let claim = &set["spec"]["volumeClaimTemplates"][0];
    assert_eq!(claim["spec"]["resources"]["requests"]["storage"], "5Gi");
    assert_eq!(
        set["spec"]["persistentVolumeClaimRetentionPolicy"],
        json!({"whenDeleted": "Retain", "whenScaled": "Retain"})
    );
    let mounts = pod(&objects)["containers"][0]["volumeMounts"].as_array().expect("mounts");
    let mount =
        mounts.iter().find(|it| it["mountPath"] == "/var/lib/stoop").expect("one of the journals");
    assert_eq!(mount["name"], claim["metadata"]["name"]);
    let config = &of_kind(&objects, "ConfigMap")["data"]["stoop.yaml"];
    assert!(
        config.as_str().is_some_and(|it| it.contains("path: /var/lib/stoop/intake")),
        "{config}"
    );
    let service =
        objects.iter().find(|it| it["kind"] == "Service" && it["metadata"]["name"] == "stoop");
    assert_eq!(service.expect("a service")["spec"]["ports"][0]["port"], 2805);
    assert!(!rendered(&values("kafka")).iter().any(|it| it["kind"] == "StatefulSet"));
}

#[test]
fn a_pod_has_longer_than_its_worker_needs_to_drain() {
    for (name, seconds) in [("kafka", 90 + 15), ("nats", 20 + 15), ("everything", 1 + 15)] {
        let objects = rendered(&values(name));
        assert_eq!(pod(&objects)["terminationGracePeriodSeconds"], seconds, "{name}");
    }
}

#[test]
fn no_variable_of_kubernetes_is_taken_for_a_setting() {
    for name in VALUES {
        assert_eq!(pod(&rendered(&values(name)))["enableServiceLinks"], false, "{name}");
    }
}

#[test]
fn lag_adds_up_over_the_partitions_of_workers_and_is_the_same_for_all_of_a_consumer() {
    let objects = rendered(&values("keda"));
    let triggers = &of_kind(&objects, "ScaledObject")["spec"]["triggers"];
    let query = |index: usize| triggers[index]["metadata"]["query"].as_str().unwrap_or_default();
    assert_eq!(query(0), r#"max(stoop_lag{namespace="security",subscription="events"})"#);
    assert_eq!(query(1), r#"sum(stoop_lag{namespace="security",subscription="falco"})"#);
    assert!(of_kind(&objects, "Deployment")["spec"].get("replicas").is_none());
    assert_eq!(of_kind(&objects, "ServiceMonitor")["metadata"]["labels"]["release"], "prometheus");
    let objects = rendered(&values("nats"));
    assert_eq!(of_kind(&objects, "HorizontalPodAutoscaler")["spec"]["maxReplicas"], 10);
    assert!(of_kind(&objects, "Deployment")["spec"].get("replicas").is_none());
}

#[test]
fn the_network_lets_through_what_is_configured_and_nothing_else() {
    let objects = rendered(&values("kafka"));
    let policy = &of_kind(&objects, "NetworkPolicy")["spec"];
    assert_eq!(policy["ingress"], json!([{"ports": [{"port": 2806}]}]));
    assert_eq!(policy["egress"][2], json!({"ports": [{"port": 9093}]}));
    let objects = rendered(&values("everything"));
    let policy = &of_kind(&objects, "NetworkPolicy")["spec"];
    let of = |name: &str| json!([{"namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": name}}}]);
    let ingress = policy["ingress"].as_array().expect("rules");
    let rule =
        |port: u16| ingress.iter().find(|it| it["ports"][0]["port"] == port).expect("a rule");
    assert_eq!(rule(2805)["from"], of("falco"));
    assert_eq!(rule(2809)["from"], of("stoop-captures"));
    assert_eq!((ingress.len(), rule(2808).get("from")), (5, None));
    assert_eq!(policy["egress"][1]["to"], json!([{"ipBlock": {"cidr": "10.0.0.1/32"}}]));
}

#[test]
fn the_kill_switch_is_read_where_the_chart_puts_it_and_no_upgrade_turns_it_off() {
    let objects = rendered(&values("kafka"));
    let switch = objects
        .iter()
        .find(|it| it["metadata"]["name"] == "stoop-kill-switch" && it["kind"] == "ConfigMap");
    assert!(switch.expect("a switch").get("data").is_none());
    let config =
        objects.iter().find_map(|it| it["data"]["stoop.yaml"].as_str()).expect("a configuration");
    assert!(config.contains("configMap: stoop-kill-switch"), "{config}");
    assert!(config.contains(&format!("namespace: {NAMESPACE}")), "{config}");
}

#[test]
fn the_values_of_the_page_are_values() {
    let page = include_str!("../../docs/deploy.md");
    let blocks = page.split("```yaml\n").skip(1).filter_map(|rest| rest.split("```").next());
    let mut seen = 0;
    for block in blocks {
        rendered(block);
        seen += 1;
    }
    assert_eq!(seen, 5);
}
