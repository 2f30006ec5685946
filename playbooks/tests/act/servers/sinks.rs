//! An event of Kubernetes that the real API server takes, once.

use std::{collections::BTreeMap, time::Duration};

use k8s_openapi::api::events::v1::Event;
use playbooks::act::{NotifierConfig, Notifiers};
use serde_json::json;

use super::{api_server, connect, container_id, event_about, namespace, pod, roles::connect_with};
use crate::fixtures::{Setup, words};

#[tokio::test]
async fn an_event_about_a_pod_is_made_once_and_with_no_other_right() {
    let access = api_server().await;
    let namespace = namespace(access).await;
    let pod = pod(access, &namespace, "told", &container_id("told")).await;
    let configs: BTreeMap<String, NotifierConfig> =
        serde_json::from_value(json!({"events": {"kubernetesEvents": {"namespace": namespace}}}))
            .expect("a notifier");
    let notifiers = || Notifiers::new(&configs, &[], Duration::from_secs(5)).expect("notifiers");
    let spec =
        "mode: enforce\nactions: [label: {key: suspect, value: 'yes'}, notify: {to: [events]}]";
    let label = "mode: enforce\nactions: [label: {key: suspect, value: 'yes'}]";
    let plan = Setup::new(connect(access).await).build().plan(label);
    let mut rights = plan.permissions();
    rights.extend(notifiers().rights().into_iter().map(|right| right.permission));

    let mut setup = Setup::new(connect_with(access, "act-events", &rights).await);
    setup.notifiers = notifiers();
    let bench = setup.build();
    let mut event = event_about(&pod, None);
    event["rule"] = json!("A rule\nwith <!channel> \u{1b}[31m".repeat(100));
    let mut host = event.clone();
    host["output_fields"] = json!({"container.id": "host"});
    for _ in 0..2 {
        let report = bench.run(spec, &event).await;
        assert_eq!(report.steps[1].outcome.as_str(), "applied", "{:?}", words(&report));
    }
    let tell = "mode: enforce\nactions: [notify: {to: [events]}]";
    assert_eq!(words(&bench.run(tell, &host).await), ["notify applied"]);

    let client = access.client().await.map_err(|error| error.to_string()).expect("a client");
    let events = kube::Api::<Event>::namespaced(client, &namespace);
    let all = events.list(&Default::default()).await.expect("events").items;
    let mut about: Vec<_> =
        all.iter().filter_map(|event| event.regarding.as_ref()?.kind.clone()).collect();
    about.sort_unstable();
    assert_eq!(about, ["Namespace", "Pod"]);

    // Without the right it says which one is missing, for good.
    let mut setup = Setup::new(connect_with(access, "act-no-events", &plan.permissions()).await);
    setup.notifiers = notifiers();
    let report = setup.build().run(tell, &host).await;
    assert_eq!(words(&report), ["notify failed (permanent)"]);
    let detail = report.overall.detail();
    assert!(detail.contains("create") && detail.contains("events"), "{detail}");
}
