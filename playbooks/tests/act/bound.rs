//! Playbooks that are bound to one namespace: they touch nothing outside of it, and widen nothing.

use std::sync::Arc;

use playbooks::{
    act::{
        Advance, Api, Needs, Notifiers, PlaybookKind, PlaybookObject, Report, Response, Standing,
        Verification, could_cover,
    },
    decide::{Playbook, Reach},
};
use proptest::prelude::*;
use serde_json::{Value, json};

use crate::{
    fixtures::{Bench, Setup, UID, ago, event, event_at, occurrence, pod, pod_with, server, words},
    outside::Inbox,
    wire::{Answer, Wire, list, not_found},
};

const DELETE: &str = "{delete: {}}";

/// The object `NAMESPACE/p`.
fn bound(namespace: &str, spec: Value) -> Playbook {
    let mut whole = json!({"mode": "enforce", "match": {"rules": ["*"]}, "actions": ["delete"]});
    let Value::Object(spec) = spec else { panic!("a spec has keys") };
    spec.into_iter().for_each(|(key, value)| whole[key] = value);
    let object = json!({
        "apiVersion": "stoop.dev/v1alpha1", "kind": "Playbook",
        "metadata": {"name": "p", "namespace": namespace}, "spec": whole,
    });
    Playbook::from_value("p", object).map_err(|errors| errors.to_string()).expect("a playbook")
}

/// These actions, as a file would have them.
fn doing(actions: &str) -> Value {
    json!({"actions": serde_saphyr::from_str::<Value>(&format!("[{actions}]")).expect("YAML")})
}

async fn answer(bench: &Bench, playbook: Playbook, standing: Standing) -> Report {
    let (_, occurrence) = occurrence(&event());
    let plan = bench.bind(playbook).expect("a plan");
    let mut response = Response::new(plan, standing, Arc::new(occurrence));
    match bench.advance(&mut response).await {
        Advance::Finished(report) => *report,
        other => panic!("not finished: {other:?}"),
    }
}

/// What verification makes of an event about the pod.
async fn verified(bench: &Bench, event: &Value) -> Standing {
    Standing::of(bench.verify(event).await).expect("ours")
}

fn bench(api: Api) -> Bench {
    let sink = || Arc::new(Inbox::default());
    let notifiers = Notifiers::default().with("pager", sink()).expect("free");
    let notifiers = notifiers.with("theirs", sink()).expect("free");
    let notifiers = notifiers.with_defaults(&["pager".to_owned()]).expect("there");
    Setup { notifiers, ..Setup::new(api) }.build()
}

#[tokio::test]
async fn a_verified_pod_of_its_own_namespace_is_answered_and_of_another_nothing_is_even_told() {
    for (namespace, outcome) in
        [("shop", "applied"), ("sho", "refused (identity)"), ("shop2", "refused (identity)")]
    {
        let (api, wire) = server(pod());
        let bench = bench(api);
        let standing = verified(&bench, &event()).await;
        let playbook = bound(namespace, doing("{delete: {}}, {notify: {to: [log]}}"));
        let report = answer(&bench, playbook, standing).await;
        assert_eq!(words(&report)[0], format!("delete {outcome}"));
        assert_eq!(wire.writes().len(), usize::from(namespace == "shop"), "{namespace}");
    }
}

#[tokio::test]
async fn without_a_verified_pod_of_its_namespace_no_step_runs_whatever_the_event_claims() {
    let (api, _) = server(pod());
    let gone = {
        let (api, _) = Wire::new(|request| match request.path.as_str() {
            "/api/v1/pods" => list(&[]),
            _ => not_found(),
        });
        verified(&bench(api), &event_at(ago(600))).await
    };
    assert!(matches!(gone, Standing::Gone(_)), "{gone:?}");
    let bench = bench(api);
    let standings = [gone, Standing::NoTarget, Standing::Unidentified("two fit".to_owned())];
    for standing in standings {
        for step in ["{notify: {to: [log]}}", DELETE] {
            let report = answer(&bench, bound("shop", doing(step)), standing.clone()).await;
            assert!(words(&report)[0].ends_with("refused (identity)"), "{standing:?}: {report:?}");
        }
    }
}

#[tokio::test]
async fn actions_that_reach_beyond_are_refused_wherever_they_stand_in_it() {
    let (api, _) = server(pod());
    let bench = bench(api);
    let refused =
        |actions: &str| bench.bind(bound("shop", doing(actions))).err().unwrap_or_default();
    for within in [
        DELETE,
        "{label: {key: a.example/b, value: c}}",
        "{annotate: {key: a.example/b, value: c}}",
        "{scale: {}}",
        "{isolate: {}}",
        "{isolate: {tier: cilium}}",
        "{notify: {to: [log, pager]}}",
    ] {
        assert_eq!(refused(within), "", "{within}");
    }
    let table = [
        ("{taint: {}}", "spec.actions[0].taint: `taint` reaches beyond"),
        ("{cordon: {hostEvents: true}}", "reaches beyond"),
        ("{drain: {evictsPods: true}}", "reaches beyond"),
        (
            "{isolate: {tier: clusterNetworkPolicy}}",
            "isolate.tier: a ClusterNetworkPolicy is the cluster's",
        ),
        ("{isolate: {tier: auto}}", "isolate.tier: a ClusterNetworkPolicy is the cluster's"),
        ("{notify: {to: [log, theirs]}}", "notify.to: `theirs` is none of the defaultNotifiers"),
        (RUN, "`run` reaches beyond"),
        (
            "{delete: {}, onFailure: [{delete: {}, onFailure: [{taint: {}}]}]}",
            "spec.actions[0].onFailure[0].onFailure[0].taint: `taint` reaches beyond",
        ),
    ];
    let is_missed = |(beyond, why): &(&str, &str)| {
        let refusal = refused(beyond);
        !refusal.contains(why) || !refusal.contains("make it a ClusterPlaybook")
    };
    let missed: Vec<_> = table.into_iter().filter(is_missed).collect();
    assert!(missed.is_empty(), "{missed:#?}");
}

#[tokio::test]
async fn no_file_is_looked_for_that_an_object_names_wherever_it_does() {
    let (api, _) = server(pod());
    let bench = bench(api);
    let run = "{run: {namespace: a, serviceAccount: b, templateFile: /no/such/file}}";
    let steps = [
        run.to_owned(),
        format!("{{delete: {{}}, onFailure: [{{delete: {{}}, onFailure: [{run}]}}]}}"),
    ];
    for step in steps {
        let refusal = bench.bind(bound("shop", doing(&step))).err().unwrap_or_default();
        assert!(refusal.contains("`run` reaches beyond"), "{refusal}");
        assert!(!refusal.contains("can't be read"), "{refusal}");
        for (kind, namespace) in PlaybookKind::ALL.into_iter().zip([None, Some("shop")]) {
            let mut spec = json!({"match": {"rules": ["*"]}});
            spec["actions"] = doing(&step)["actions"].take();
            let object = json!({
                "metadata": {"name": "p", "namespace": namespace, "uid": "u", "generation": 1, "resourceVersion": "1"},
                "spec": spec,
            });
            let object = serde_json::from_value(object).expect("an object");
            let object = PlaybookObject::of(kind, object).expect("stored");
            let refusal = object.read().expect_err("refused").to_string();
            assert!(
                refusal.contains("run.templateFile: an object may not name a file"),
                "{refusal}"
            );
        }
    }
}

const RUN: &str = "{run: {namespace: scans, serviceAccount: a, template: {apiVersion: batch/v1, kind: Job, spec: {template: {spec: {restartPolicy: Never, containers: [{name: c, image: i}]}}}}}}";

#[tokio::test]
async fn no_limit_is_looser_than_where_there_is_none() {
    let (api, _) = server(pod());
    let bench = bench(api);
    let refused = |limits: Value| {
        bench.bind(bound("shop", json!({"limits": limits}))).err().unwrap_or_default()
    };
    let narrow = json!({"timeout": "10m", "attempts": 5, "maxEventAge": "5m", "cooldown": "1d", "budget": "1 per 1m per rule"});
    assert_eq!(refused(narrow), "");
    let table = [
        (json!({"timeout": "11m"}), "timeout: at most 10m"),
        (json!({"attempts": 6}), "attempts: at most 5"),
        (json!({"maxEventAge": "6m"}), "maxEventAge: at most 5m"),
        (
            json!({"budget": "9 per 1m per cluster"}),
            "budget: may not use up the budget that the whole cluster shares",
        ),
    ];
    let missed: Vec<_> = table
        .iter()
        .filter(|(loose, key)| !refused(loose.clone()).contains(&format!("spec.limits.{key}")))
        .collect();
    assert!(missed.is_empty(), "{missed:#?}");
    for (loose, _) in table {
        let file = crate::fixtures::playbook(&format!("limits: {loose}\nactions: [delete]"));
        let file = Arc::into_inner(file).expect("nobody else has it");
        assert!(bench.bind(file).is_ok(), "a file's may: {loose}");
    }
}

#[tokio::test]
async fn its_actions_take_rights_in_its_namespace_alone() {
    let (api, _) = server(pod());
    let plan = bench(api)
        .bind(bound("shop", doing("{isolate: {expireAfter: 1h}}, {delete: {evict: true}}")))
        .expect("a plan");
    let rights = plan.rights();
    assert!(rights.len() > 10);
    for right in rights {
        let verifies = right.needed_by == "shop/p: its target";
        let within = right.permission.namespace.as_deref();
        assert_eq!(within, (!verifies).then_some("shop"), "{right:?}");
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    /// Nobody is passed over whose pod it turns out to be: as far as verification ever gets.
    #[test]
    fn whatever_an_event_says_its_pods_namespace_is_one_that_it_could_be_about(
        claimed in prop::option::of(prop::sample::select(vec!["shop", "other", "<NA>", "SHOP", ""])),
        named in any::<bool>(), uid in any::<bool>(), container in prop::option::of(prop::sample::select(vec!["6ac7d190134e", "host"])),
        source in prop::sample::select(vec!["syscall", "k8s_audit"]),
    ) {
        let mut event = event();
        event["source"] = json!(source);
        let fields = event["output_fields"].as_object_mut().expect("fields");
        let mut put = |key: &str, value: Option<&str>| match value {
            Some(value) => drop(fields.insert(key.to_owned(), json!(value))),
            None => drop(fields.remove(key)),
        };
        put("k8s.ns.name", claimed);
        put("ka.target.namespace", claimed);
        put("k8s.pod.name", named.then_some("web"));
        put("ka.target.name", named.then_some("web"));
        put("ka.target.resource", Some("pods"));
        put("k8s.pod.uid", uid.then_some(UID));
        put("container.id", container);
        let (claim, _) = occurrence(&event);
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().start_paused(true).build().expect("a runtime");
        let found = runtime.block_on(async {
            let (api, _) = server(pod());
            let bench = bench(api);
            let (claim, occurrence) = occurrence(&event);
            bench.engine.verify(&claim, &occurrence, Needs::default()).await
        });
        let reach = |namespace: &str| Reach::Namespace(namespace.to_owned());
        if let Ok(Verification::Target(target)) = &found {
            prop_assert!(could_cover(&reach(target.namespace()), &claim), "{:?}", claim);
        }
        prop_assert!(could_cover(&Reach::Cluster, &claim));
        prop_assert!(claimed != Some("other") || !could_cover(&reach("shop"), &claim));
        prop_assert!(container != Some("host") || source != "syscall" || !could_cover(&reach("shop"), &claim));
    }

    /// The guard of the engine alone: whoever selects may be wrong.
    #[test]
    fn whatever_namespace_a_playbook_is_bound_to_only_its_pods_are_written_to(
        own in "[a-z]([a-z-]{0,6}[a-z])?", of_pod in "[a-z]([a-z-]{0,6}[a-z])?", same in any::<bool>()
    ) {
        let of_pod = if same { own.clone() } else { of_pod };
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().start_paused(true).build().expect("a runtime");
        let (written, told) = runtime.block_on(async {
            let pod = pod_with(|pod| pod["metadata"]["namespace"] = json!(of_pod));
            let path = format!("/api/v1/namespaces/{of_pod}/pods/web");
            let (api, wire) = Wire::new(move |request| match request.path == path {
                true => Answer::Json(200, pod.clone()),
                false => list(std::slice::from_ref(&pod)),
            });
            let bench = bench(api);
            let mut event = event();
            event["output_fields"]["k8s.ns.name"] = json!(of_pod);
            let found = bench.verify(&event).await;
            assert!(matches!(found, Verification::Target(_)), "{found:?}");
            let standing = Standing::of(found).expect("ours");
            let steps = "{label: {key: a.example/b, value: c}}, {notify: {to: [log]}}";
            let report = answer(&bench, bound(&own, doing(steps)), standing).await;
            let told = words(&report).contains(&"notify applied".to_owned());
            (wire.writes().len(), told)
        });
        prop_assert!(own == of_pod || (written == 0 && !told), "{} acted on {}", own, of_pod);
        prop_assert!(own != of_pod || told);
    }
}
