use std::collections::BTreeSet;

use k8s_openapi::api::core::v1::Pod;
use proptest::prelude::*;
use serde_json::{Value, json};

use super::{
    super::{quarantine::Reach, restriction::Restriction},
    *,
};
use crate::act::{
    object::Uid,
    target::{Id, QUARANTINE},
};

const UID: &str = "0b6f1d3c-7e58-4c0e-9a41-3d2f7c1b5a90";

struct Case {
    order: Order,
    pod: Pod,
    policies: Vec<NetworkPolicy>,
    enforcement: Enforcement,
    denial: Denial,
}

impl Case {
    /// Isolated as it should be, in both directions.
    fn whole() -> Case {
        Case::of(Restriction::both(BTreeSet::new()))
    }

    fn of(restriction: Restriction) -> Case {
        let id = Id::of(&Uid::new(UID));
        let pod: Pod = serde_json::from_value(json!({
            "metadata": {"name": "web", "namespace": "shop", "uid": UID, "labels": {QUARANTINE: id.as_str(), "note": "x"}},
            "spec": {"containers": []}
        }))
        .unwrap();
        let reach = Reach::Pod(id);
        let ours = reach.policy(&pod, &restriction, "test", None);
        let order = Order { reach, restriction, tier: None, playbook: "test".into() };
        let (enforcement, denial) = (Enforcement::Known, Denial::None);
        Case { order, pod, policies: vec![ours], enforcement, denial }
    }

    fn and(mut self, name: &str, spec: Value) -> Case {
        let policy = json!({"metadata": {"name": name, "namespace": "shop"}, "spec": spec});
        self.policies.push(serde_json::from_value(policy).unwrap());
        self
    }

    fn with(mut self, change: impl FnOnce(&mut Case)) -> Case {
        change(&mut self);
        self
    }

    fn prove(&self) -> Proof {
        prove(
            &self.order,
            &Evidence {
                spec: self.pod.spec.as_ref(),
                uid: UID,
                labels: self.pod.metadata.labels.as_ref().unwrap(),
                policies: &self.policies,
                enforcement: &self.enforcement,
                denial: &self.denial,
            },
        )
    }
}

#[test]
fn effective_is_said_only_where_nothing_lets_the_pod_talk() {
    let on = |labels: Value| json!({"matchLabels": labels});
    let ours = |case: &mut Case| case.policies.remove(0);
    let unknown = |case: &mut Case| case.enforcement = Enforcement::Unknown("flannel".into());
    let table = [
        (Case::whole(), "Effective"),
        (Case::whole().and("p", json!({"podSelector": {}})), "Effective"),
        (Case::whole().and("p", json!({"podSelector": on(json!({"app": "web"})), "ingress": [{}]})), "Effective"),
        (Case::whole().and("p", json!({"podSelector": {}, "ingress": [{}]})), "Partial: the NetworkPolicy p still allows ingress"),
        (
            Case::whole().and("p", json!({"podSelector": {}, "ingress": [{}], "egress": [{}]})).and("q", json!({"egress": [{}]})),
            "Partial: the NetworkPolicy p still allows ingress and egress, the NetworkPolicy q still allows egress",
        ),
        (
            Case::of(Restriction::egress_only(BTreeSet::new())).and("p", json!({"podSelector": {}, "ingress": [{}]})),
            "Effective",
        ),
        (Case::whole().with(|case| case.pod.spec.as_mut().unwrap().host_network = Some(true)), "Ineffective: the pod is on its node's network"),
        (Case::whole().with(|case| drop(ours(case))), "Ineffective: the NetworkPolicy stoop-quarantine-"),
        (Case::whole().with(|case| drop(case.pod.metadata.labels.as_mut().unwrap().remove(QUARANTINE))), "Ineffective: "),
        // Of our name, and somebody else's.
        (Case::whole().with(|case| case.policies[0].metadata.labels = None), "Ineffective: "),
        // Ours, and loosened.
        (
            Case::whole().with(|case| case.policies[0].spec.as_mut().unwrap().policy_types = Some(vec!["Ingress".into()])),
            "Ineffective: ",
        ),
        (
            Case::whole().with(|case| {
                case.policies[0].spec.as_mut().unwrap().ingress = serde_json::from_value(json!([{}])).unwrap();
            }),
            "Partial: the NetworkPolicy stoop-quarantine-",
        ),
        (
            Case::whole().and("p", json!({"podSelector": {"matchExpressions": [{"key": "note", "operator": "Like"}]}, "ingress": [{}]})),
            "Unproven: whether the NetworkPolicy p selects the pod can't be told",
        ),
        (Case::whole().with(unknown), "Unproven: flannel"),
        (
            Case::whole().with(unknown).and("p", json!({"ingress": [{}]})),
            "Partial: the NetworkPolicy p still allows ingress; Unproven: flannel",
        ),
    ];
    for (at, (case, words)) in table.into_iter().enumerate() {
        let proof = case.prove();
        assert!(proof.to_string().starts_with(words), "{at}: {proof}");
        assert_eq!(proof.is_effective(), words == "Effective", "{at}");
    }
}

#[test]
fn every_doubt_has_to_be_accepted_by_its_name() {
    use Accepted::{Partial, Unproven};
    let partial = || Case::whole().and("p", json!({"ingress": [{}]}));
    let unknown = |case: &mut Case| case.enforcement = Enforcement::Unknown("flannel".into());
    let words: [&[Accepted]; 4] = [&[], &[Partial], &[Unproven], &[Unproven, Partial]];
    let table = [
        (Case::whole(), [true, true, true, true]),
        (partial(), [false, true, false, true]),
        (Case::whole().with(unknown), [false, false, true, true]),
        (partial().with(unknown), [false, false, false, true]),
        (Case::whole().with(|case| case.policies.clear()), [false, false, false, false]),
    ];
    for (case, enough) in table {
        let proof = case.prove();
        assert_eq!(words.map(|accept| proof.is_enough(accept)), enough, "{proof}");
    }
}

#[test]
fn a_deny_settles_its_directions_and_no_others_where_it_is_known_to_be_enforced() {
    let (cilium, cluster) =
        (Denial::Enforced(Tier::Cilium), Denial::Enforced(Tier::ClusterNetworkPolicy));
    let moot = Denial::Moot("nobody home".into());
    let open = |ingress: bool, egress: bool| {
        let rules = |there: bool| if there { json!([{}]) } else { json!(null) };
        Case::whole().and("p", json!({"ingress": rules(ingress), "egress": rules(egress)}))
    };
    let unknown = |case: &mut Case| case.enforcement = Enforcement::Unknown("flannel".into());
    let egress_only = || Case::of(Restriction::egress_only(BTreeSet::new()));
    let table = [
        (open(true, true), &cilium, "Effective"),
        (open(true, true).with(unknown), &cilium, "Effective"),
        (open(false, true), &cluster, "Effective"),
        (open(true, true), &cluster, "Partial: the NetworkPolicy p still allows ingress"),
        (Case::whole().with(unknown), &cluster, "Unproven: flannel"),
        (egress_only().with(unknown), &cluster, "Effective"),
        (
            open(true, false),
            &moot,
            "Partial: the NetworkPolicy p still allows ingress; no deny makes up for that: nobody home",
        ),
        (Case::whole(), &moot, "Effective"),
        // The deny selects the same label: without it, it holds nobody either.
        (Case::whole().with(|case| case.policies.clear()), &cilium, "Ineffective: "),
        (
            Case::whole()
                .with(|case| drop(case.pod.metadata.labels.as_mut().unwrap().remove(QUARANTINE))),
            &cilium,
            "Ineffective: ",
        ),
        (
            Case::whole().with(|case| case.pod.spec.as_mut().unwrap().host_network = Some(true)),
            &cilium,
            "Ineffective: ",
        ),
    ];
    for (at, (case, denial, words)) in table.into_iter().enumerate() {
        let proof = case.with(|case| case.denial = denial.clone()).prove();
        assert!(proof.to_string().starts_with(words), "{at}: {proof}");
        assert_eq!(proof.is_effective(), words == "Effective", "{at}");
        assert!(
            words != "Partial: the NetworkPolicy p still allows ingress"
                || !proof.to_string().contains("egress")
        );
    }
}

proptest! {
    /// By a second way to judge it: nothing that selects the pod may have a rule in a direction that is cut off.
    #[test]
    fn effective_means_that_no_policy_that_selects_the_pod_has_a_rule(
        selectors in proptest::collection::vec((super::super::selector::tests::selector(), any::<bool>(), any::<bool>()), 0..4),
        labels in super::super::selector::tests::labels(),
    ) {
        let mut case = Case::whole();
        case.pod.metadata.labels.as_mut().unwrap().extend(labels);
        for (at, (selector, ingress, egress)) in selectors.iter().enumerate() {
            let rules = |there: &bool| if *there { json!([{}]) } else { json!(null) };
            case = case.and(&format!("p{at}"), json!({"ingress": rules(ingress), "egress": rules(egress)}));
            case.policies.last_mut().unwrap().spec.as_mut().unwrap().pod_selector = Some(selector.clone());
        }
        let labels = case.pod.metadata.labels.clone().unwrap();
        let any_open = selectors.iter().any(|(selector, ingress, egress)| {
            (*ingress || *egress) && selects(selector, &labels) == Ok(true)
        });
        prop_assert_eq!(case.prove().is_effective(), !any_open);
    }
}
