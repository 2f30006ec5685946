//! What can't be proven is not said: each doubt by its name, and accepted only by that name.

use playbooks::act::{Advance, FailureKind};
use serde_json::json;

use super::{Cluster, ISOLATE, POLICIES, enforcing, isolate, quarantine};
use crate::{
    fixtures::{Setup, event, words},
    wire::error,
};

#[tokio::test]
async fn a_policy_that_cannot_be_left_makes_it_partial() {
    let open = json!({"podSelector": {}, "policyTypes": ["Ingress"], "ingress": [{"from": [{"podSelector": {}}]}]});
    for (config, outcome) in [
        ("{}", "isolate failed (permanent)"),
        ("{accept: [Unproven]}", "isolate failed (permanent)"),
        ("{accept: [Partial]}", "isolate applied"),
    ] {
        let cluster = Cluster::new().with_policy("open", open.clone());
        let (api, _) = cluster.serve();
        let report = enforcing(api).run(&isolate(config), &event()).await;
        assert_eq!(words(&report), [outcome], "{config}");
        let detail = report.overall.detail();
        assert!(
            detail.contains("Partial: the NetworkPolicy open still allows ingress"),
            "{detail}"
        );
        assert!(!detail.contains("Effective"), "{detail}");
        assert!(cluster.state().policies.contains_key(&quarantine()), "what can be cut off is");
    }
}

#[tokio::test]
async fn a_policy_that_appears_while_it_runs_is_in_the_proof() {
    let cluster = Cluster::new();
    let mut looks = 0;
    let (api, _) = cluster.serve_with(move |state, request| {
        looks += u32::from(request.path == POLICIES);
        if looks == 2 && !state.policies.contains_key("late") {
            state.add_policy("late", json!({"podSelector": {}, "egress": [{}]}));
        }
        None
    });
    let report = enforcing(api).run(ISOLATE, &event()).await;
    assert_eq!(words(&report), ["isolate failed (permanent)"]);
    assert!(report.overall.detail().contains("the NetworkPolicy late still allows egress"));
}

#[tokio::test]
async fn a_network_that_nobody_vouches_for_makes_it_unproven() {
    for (config, outcome) in [
        ("{}", "isolate failed (permanent)"),
        ("{accept: [Partial]}", "isolate failed (permanent)"),
        ("{accept: [Unproven]}", "isolate applied"),
    ] {
        let (api, wire) = Cluster::new().serve();
        let report = Setup::new(api).build().run(&isolate(config), &event()).await;
        assert_eq!(words(&report), [outcome], "{config}");
        let detail = report.overall.detail();
        assert!(
            detail.contains("Unproven") && detail.contains("cluster.enforcesNetworkPolicies"),
            "{detail}"
        );
        assert!(wire.requests().iter().all(|request| request.path != "/apis"));
    }
}

#[tokio::test]
async fn policies_of_other_kinds_make_it_unproven_where_there_are_any() {
    let cilium = "/apis/cilium.io/v2/namespaces/shop/ciliumnetworkpolicies";
    let calico = "/apis/projectcalico.org/v3/namespaces/shop/networkpolicies";
    let admin = "/apis/policy.networking.k8s.io/v1alpha1/adminnetworkpolicies";
    let table = [
        (cilium, vec![], "Effective"),
        (cilium, vec!["theirs"], "there are ciliumnetworkpolicies.cilium.io"),
        (admin, vec!["theirs"], "there are adminnetworkpolicies.policy.networking.k8s.io"),
        (calico, vec!["knp.default.ours"], "Effective"),
        (
            calico,
            vec!["knp.default.ours", "default.theirs"],
            "there are networkpolicies.projectcalico.org",
        ),
    ];
    for (path, names, said) in table {
        let cluster = Cluster::new();
        let names: Vec<_> = names.into_iter().map(str::to_owned).collect();
        cluster.state().rivals.insert(path.to_owned(), names);
        let (api, wire) = cluster.serve();
        let report = enforcing(api).run(ISOLATE, &event()).await;
        assert!(report.overall.detail().contains(said), "{path}: {}", report.overall);
        assert_eq!(report.overall.ended_well(), said == "Effective");
        assert!(wire.requests().len() < 20);
    }
    let cluster = Cluster::new();
    cluster.state().rivals.insert(cilium.to_owned(), vec![]);
    // A group's own server is away, and not the API server.
    let (api, _) = cluster.serve_with(move |_, request| {
        (request.path == "/apis/cilium.io/v2").then(|| error(503, "ServiceUnavailable", "away"))
    });
    let bench = enforcing(api);
    let mut response = bench.begin(ISOLATE, &event()).await;
    let Advance::Retry(failure) = bench.advance(&mut response).await else { panic!("not retried") };
    assert_eq!(failure.kind, FailureKind::Transient);

    let (api, _) = cluster.serve_with(move |_, request| {
        (request.path == cilium).then(|| error(403, "Forbidden", "forbidden"))
    });
    let report = enforcing(api).run(ISOLATE, &event()).await;
    let said = "ciliumnetworkpolicies.cilium.io may not be listed";
    assert!(report.overall.detail().contains(said), "{}", report.overall);
}
