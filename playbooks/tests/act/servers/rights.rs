//! What the server refuses, what it only tries, and the switch that it keeps for us.

use k8s_openapi::api::core::v1::ConfigMap;
use kube::api::{Patch, PatchParams};
use playbooks::act::{Advance, Api, FailureKind, KillSwitchOptions, Permission};
use serde_json::{Value, json};

use super::{
    DELETE, alive, api_server, connect, container_id, event_about, namespace, pod, pods,
    roles::connect_with,
};
use crate::fixtures::{Setup, words};

#[tokio::test]
async fn a_plans_rights_are_enough_and_fewer_are_a_permanent_failure() {
    let access = api_server().await;
    let namespace = namespace(access).await;
    for (user, spec) in [
        ("act-delete", "mode: enforce\nactions: [delete: {owners: [Standalone]}]"),
        (
            "act-evict",
            "mode: enforce\nactions: [delete: {owners: [Standalone], evict: true, minHealthy: 0}]",
        ),
    ] {
        let pod = pod(access, &namespace, user, &container_id(user)).await;
        let event = event_about(&pod, None);
        let permissions = Setup::new(connect(access).await).build().plan(spec).permissions();
        let (reads, _): (Vec<_>, Vec<_>) = permissions
            .iter()
            .cloned()
            .partition(|permission| matches!(permission.verb.as_str(), "get" | "list"));

        let reader = connect_with(access, &format!("{user}-reads"), &reads).await;
        for permission in &permissions {
            assert_eq!(
                reader.can_i(permission).await.expect("an answer"),
                reads.contains(permission),
                "{permission}"
            );
        }
        let report = Setup::new(reader).build().run(spec, &event).await;
        assert_eq!(words(&report), ["delete failed (permanent)"]);
        assert!(
            report.overall.detail().contains("stoop check --cluster"),
            "{}",
            report.overall.detail()
        );

        let worker = connect_with(access, user, &permissions).await;
        assert_eq!(words(&Setup::new(worker).build().run(spec, &event).await), ["delete applied"]);
    }
}

#[tokio::test]
async fn a_pod_that_may_not_be_read_is_not_taken_for_gone() {
    let access = api_server().await;
    let namespace = namespace(access).await;
    let pod = pod(access, &namespace, "a", &container_id("a")).await;
    let nobody = connect_with(access, "act-nobody", &[]).await;
    let (claim, occurrence) = crate::fixtures::occurrence(&event_about(&pod, None));
    let bench = Setup::new(nobody).build();
    let failure =
        bench.engine.verify(&claim, &occurrence, Default::default()).await.expect_err("forbidden");
    assert_eq!(failure.kind, FailureKind::Permanent);
}

#[tokio::test]
async fn a_dry_run_is_judged_by_the_server_and_changes_nothing() {
    let access = api_server().await;
    let namespace = namespace(access).await;
    let pod = pod(access, &namespace, "a", &container_id("a")).await;
    let pods = pods(access, &namespace).await;
    let before = pods.get("a").await.expect("the pod");
    for config in ["{owners: [Standalone]}", "{owners: [Standalone], evict: true}"] {
        let spec = format!("mode: dryRun\nactions: [delete: {config}]");
        let report =
            Setup::new(connect(access).await).build().run(&spec, &event_about(&pod, None)).await;
        assert_eq!(words(&report), ["delete skipped (dry-run)"]);
        assert!(
            report.overall.detail().contains("accepted the dry run"),
            "{}",
            report.overall.detail()
        );
    }
    assert_eq!(pods.get("a").await.expect("the pod"), before);
}

#[tokio::test]
async fn the_kill_switch_is_read_from_the_cluster() {
    let access = api_server().await;
    let namespace = namespace(access).await;
    let pod = pod(access, &namespace, "a", &container_id("a")).await;
    let pods = pods(access, &namespace).await;
    let client = access.client().await.map_err(|error| error.to_string()).expect("a client");
    let maps = kube::Api::<ConfigMap>::namespaced(client, &namespace);
    let turn = async |value: Value| {
        let map = json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "switch"}, "data": {"stop": value}});
        maps.patch("switch", &PatchParams::apply("test").force(), &Patch::Apply(&map))
            .await
            .expect("turned");
    };
    let bench = async |api: Api| {
        let mut setup = Setup::new(api);
        let config_map = Some((namespace.clone(), "switch".to_owned()));
        setup.guardrails.kill_switch = KillSwitchOptions { file: None, config_map };
        setup.build()
    };
    let event = event_about(&pod, None);

    turn(json!("on")).await;
    let refused = bench(connect(access).await).await.run(DELETE, &event).await;
    assert_eq!(words(&refused), ["delete refused (kill-switch)"]);

    // Not allowed to read it: no change, and nothing is finished.
    turn(json!("off")).await;
    let rights = [("get", "pods"), ("list", "pods"), ("delete", "pods")]
        .map(|(verb, what)| Permission::new("", what, verb));
    let blind = bench(connect_with(access, "act-blind", &rights).await).await;
    let mut response = blind.begin(DELETE, &event).await;
    assert!(matches!(blind.advance(&mut response).await, Advance::Retry(_)));
    assert!(alive(&pods, "a").await.is_some());

    assert_eq!(
        words(&bench(connect(access).await).await.run(DELETE, &event).await),
        ["delete applied"]
    );
}
