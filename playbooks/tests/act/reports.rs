//! What a response says of itself, to whom, and what a plan says before it runs.

use std::sync::Arc;

use playbooks::{
    act::{Failure, Guardrail, Notifiers, Outcome},
    decide::Mode,
};
use serde_json::json;

use crate::{
    engine::{bench, to_the_end},
    fixtures::{Setup, event, pod, server, words},
    outside::{Inbox, Scripted},
};

#[tokio::test]
async fn those_who_are_told_by_default_are_told_once_of_what_was_not_done() {
    let default = ["inbox".to_owned()];
    let tell = async |action: &Scripted, spec: &str| {
        let inbox = Inbox::default();
        let (api, _) = server(pod());
        let mut setup = Setup::new(api);
        setup.registry = action.register(setup.registry);
        setup.notifiers = Notifiers::default()
            .with("inbox", Arc::new(inbox.clone()))
            .and_then(|notifiers| notifiers.with_defaults(&default))
            .expect("notifiers");
        let bench = setup.build();
        let mut response = bench.begin(spec, &event()).await;
        let (report, _) = to_the_end(&bench, &mut response).await;
        bench.engine.report(&report, &response).await.expect("told");
        inbox.messages().len()
    };
    let failing = || Scripted::containing("act", [Failure::permanent("forbidden").into()]);
    let refused = || Scripted::containing("act", [Outcome::refused(Guardrail::MinHealthy, "few")]);
    assert_eq!(tell(&failing(), "mode: enforce\nactions: [act]").await, 1);
    assert_eq!(tell(&refused(), "mode: enforce\nactions: [act]").await, 1);
    assert_eq!(tell(&Scripted::containing("act", []), "mode: enforce\nactions: [act]").await, 0);
    assert_eq!(tell(&failing(), "mode: observe\nactions: [act]").await, 0);
    // The playbook has told the same one already.
    assert_eq!(tell(&failing(), "mode: enforce\nactions: [act, notify: {to: [inbox]}]").await, 1);
    assert_eq!(tell(&failing(), "mode: enforce\nactions: [notify: {to: [inbox]}, act]").await, 2);
}

#[tokio::test]
async fn a_worker_that_only_observes_tells_nobody_by_default() {
    for (cap, told) in [(Mode::Enforce, 1), (Mode::DryRun, 0), (Mode::Observe, 0)] {
        let inbox = Inbox::default();
        let mut setup = Setup::new(server(pod()).0);
        setup.cap = cap;
        setup.notifiers = Notifiers::default()
            .with("inbox", Arc::new(inbox.clone()))
            .and_then(|notifiers| notifiers.with_defaults(&["inbox".to_owned()]))
            .expect("notifiers");
        let bench = setup.build();
        let mut response = bench.begin("mode: enforce\nactions: [delete]", &event()).await;
        // Nothing had begun, so that it is as the playbook is meant.
        let report = response.abandon(Failure::transient("attempts used up"));
        assert!(report.is_alarming());
        bench.engine.report(&report, &response).await.expect("told");
        assert_eq!(inbox.messages().len(), told, "{cap:?}");
    }
}

#[tokio::test]
async fn a_response_that_is_given_up_says_so_for_every_step() {
    let act = Scripted::containing("act", []);
    let bench = bench(&[&act], &Inbox::default());
    let mut response = bench.begin("mode: enforce\nactions: [act, delete]", &event()).await;
    let report = response.abandon(Failure::transient("attempts used up"));
    assert_eq!(words(&report), ["act failed (transient)", "delete skipped (stopped)"]);
    assert!(report.wants_redrive());
}

#[tokio::test]
async fn the_audit_line_is_json_with_closed_words() {
    let (api, _) = server(pod());
    let report = Setup::new(api).build().run("mode: enforce\nactions: [delete]", &event()).await;
    let line = serde_json::to_value(&report).expect("JSON");
    assert_eq!(line["object"], json!({"kind": "Pod", "namespace": "shop", "name": "web"}));
    assert_eq!(line["overall"]["outcome"], "applied");
    assert_eq!(line["steps"][0]["action"], "delete");
    assert_eq!(line["mode"], "enforce");
}

#[test]
fn a_plan_says_what_it_needs() {
    let (api, _) =
        tokio::runtime::Runtime::new().expect("a runtime").block_on(async { server(pod()) });
    let bench = Setup::new(api).build();
    let rights = |spec: &str| -> Vec<String> {
        bench.plan(spec).permissions().iter().map(ToString::to_string).collect()
    };
    assert_eq!(rights("actions: [notify: {to: [log]}]"), [] as [&str; 0]);
    assert_eq!(
        rights("actions: [delete]"),
        ["get namespaces", "delete pods", "get pods", "list pods"]
    );
    assert_eq!(
        rights("actions: [delete: {evict: true, minHealthy: 1}]"),
        ["get namespaces", "get pods", "list pods", "create pods/eviction", "get replicasets.apps"]
    );
    let tells = bench.plan("actions: [notify: {to: [log]}]");
    assert!(!tells.needs_target() && !tells.contains());
    let nested = bench.plan("actions: [{notify: {to: [log]}, onFailure: [delete]}]");
    assert!(nested.needs_target() && nested.contains());
}
