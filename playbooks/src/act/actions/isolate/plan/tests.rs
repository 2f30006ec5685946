use k8s_openapi::api::core::v1::Pod;
use proptest::{collection, prelude::*};
use serde_json::{Value, json};

use super::{
    super::{
        restriction::tests::restriction,
        scene::Holder,
        selector::tests::{labels, selector},
    },
    *,
};
use crate::act::object::Uid;

const POD_UID: &str = "0b6f1d3c-7e58-4c0e-9a41-3d2f7c1b5a90";

fn id() -> Id {
    Id::of(&Uid::new(POD_UID))
}

fn order(restriction: Restriction) -> Order {
    Order { reach: Reach::Pod(id()), restriction, tier: None, playbook: "test".into() }
}

fn pod(labels: &Labels) -> Pod {
    serde_json::from_value(json!({"metadata": {
        "name": "web", "namespace": "shop", "uid": POD_UID, "resourceVersion": "7", "labels": labels
    }}))
    .unwrap()
}

fn policy(name: &str, selector: &LabelSelector, spec: Value) -> NetworkPolicy {
    let mut policy: NetworkPolicy = serde_json::from_value(
        json!({"metadata": {"name": name, "namespace": "shop"}, "spec": spec}),
    )
    .unwrap();
    if let Some(spec) = &mut policy.spec {
        spec.pod_selector = Some(selector.clone());
    }
    policy
}

fn holder(selector: LabelSelector) -> Holder {
    Holder { kind: "Service".into(), name: "s".into(), selector }
}

fn of(pairs: &[(&str, &str)]) -> Labels {
    pairs.iter().map(|(key, value)| ((*key).into(), (*value).into())).collect()
}

fn on(pairs: &[(&str, &str)]) -> LabelSelector {
    LabelSelector { match_labels: Some(of(pairs)), match_expressions: None }
}

/// The scene after the plan was carried out.
fn carried_out(scene: &Scene, plan: &Plan) -> Scene {
    let mut after = scene.clone();
    if let Some(mut policy) = plan.policy.clone() {
        // As the server stores it.
        if let Some(spec) = &mut policy.spec {
            spec.ingress = spec.ingress.take().filter(|rules| !rules.is_empty());
            spec.egress = spec.egress.take().filter(|rules| !rules.is_empty());
        }
        after.policies.retain(|it| it.metadata.name != policy.metadata.name);
        after.policies.push(policy);
    }
    after.denial = plan.denial.clone().or(after.denial);
    if let Some(relabel) = &plan.relabel {
        let meta = &mut after.pod.metadata;
        for (changes, map) in [
            (&relabel.labels, meta.labels.get_or_insert_default()),
            (&relabel.annotations, meta.annotations.get_or_insert_default()),
        ] {
            for (key, value) in changes {
                match value {
                    Some(value) => map.insert(key.clone(), value.clone()),
                    None => map.remove(key),
                };
            }
        }
    }
    after
}

#[test]
fn only_what_selects_the_pod_costs_it_labels() {
    let scene = Scene {
        pod: pod(&of(&[("app", "web"), ("hash", "5d"), ("team", "shop"), ("note", "x")])),
        policies: vec![
            policy("opens", &on(&[("team", "shop")]), json!({"ingress": [{}]})),
            policy("denies", &on(&[("note", "x")]), json!({})),
        ],
        holders: vec![
            holder(on(&[("app", "web"), ("hash", "5d")])),
            holder(on(&[("note", "of another")])),
        ],
        ..Scene::default()
    };
    let plan = plan(&scene, &order(Restriction::both(BTreeSet::new()))).unwrap();
    assert_eq!(plan.labels, of(&[("note", "x"), (QUARANTINE, id().as_str())]));
    let relabel = plan.relabel.unwrap();
    assert_eq!(relabel.resource_version, "7");
    let kept: Value = serde_json::from_str(relabel.annotations[KEPT].as_ref().unwrap()).unwrap();
    assert_eq!(kept["labels"], json!({"app": "web", "hash": "5d", "team": "shop"}));
    assert_eq!(plan.leaves, ["Service s"]);
}

#[test]
fn a_selector_that_a_taken_label_brings_in_is_left_as_well() {
    let gone = json!([{"key": "app", "operator": "DoesNotExist"}]);
    let wants_it_gone = LabelSelector {
        match_labels: Some(of(&[("tier", "front")])),
        match_expressions: serde_json::from_value(gone).unwrap(),
    };
    let scene = Scene {
        pod: pod(&of(&[("app", "web"), ("tier", "front")])),
        policies: vec![policy("p", &wants_it_gone, json!({"ingress": [{}]}))],
        holders: vec![holder(on(&[("app", "web")]))],
        ..Scene::default()
    };
    let after = plan(&scene, &order(Restriction::both(BTreeSet::new()))).unwrap().labels;
    assert_eq!(after, of(&[(QUARANTINE, id().as_str())]));
}

#[test]
fn where_ingress_stays_no_policy_that_limits_it_is_left() {
    let limits = |name: &str, spec: Value| policy(name, &on(&[("app", "web")]), spec);
    let of_egress = json!({"policyTypes": ["Egress"], "egress": [{}]});
    let of_both = json!({"policyTypes": ["Ingress", "Egress"], "egress": [{}]});
    let order = order(Restriction::egress_only(BTreeSet::new()));
    for (spec, taken) in [(of_egress, true), (of_both, false)] {
        let scene = Scene {
            pod: pod(&of(&[("app", "web")])),
            policies: vec![limits("p", spec)],
            ..Scene::default()
        };
        let after = plan(&scene, &order).unwrap().labels;
        assert_eq!(!after.contains_key("app"), taken);
    }
}

#[test]
fn a_policy_of_our_name_that_is_not_ours_is_left_alone() {
    let order = order(Restriction::both(BTreeSet::new()));
    let foreign = policy(&order.reach.policy_name(), &LabelSelector::default(), json!({}));
    let scene = Scene { pod: pod(&Labels::new()), policies: vec![foreign], ..Scene::default() };
    assert!(plan(&scene, &order).unwrap_err().why.contains("left alone"));
}

#[test]
fn labels_that_are_taken_later_are_kept_beside_the_first() {
    let order = order(Restriction::both(BTreeSet::new()));
    let mut scene = Scene {
        pod: pod(&of(&[("app", "web"), ("tier", "front")])),
        holders: vec![holder(on(&[("app", "web")]))],
        ..Scene::default()
    };
    scene = carried_out(&scene, &plan(&scene, &order).unwrap());
    // A Service that came later.
    scene.holders.push(holder(on(&[("tier", "front")])));
    scene = carried_out(&scene, &plan(&scene, &order).unwrap());
    let kept = Kept::of(&scene.pod, &id()).unwrap();
    assert_eq!(kept.labels, of(&[("app", "web"), ("tier", "front")]));
    assert!(plan(&scene, &order).unwrap().is_done());
}

#[test]
fn a_looser_order_never_loosens_what_is_in_place() {
    let strict = order(Restriction::both(BTreeSet::new()));
    let loose = order(Restriction::egress_only(BTreeSet::new()));
    let scene = Scene { pod: pod(&Labels::new()), ..Scene::default() };
    let scene = carried_out(&scene, &plan(&scene, &strict).unwrap());
    assert!(plan(&scene, &loose).unwrap().is_done());
}

#[test]
fn a_deny_covers_what_every_playbook_has_asked_for_and_only_ever_grows() {
    use Direction::{Egress, Ingress};
    for tier in Tier::ALL {
        let of = |restriction| Order { tier: Some(tier), ..order(restriction) };
        let cut = |scene: &Scene| {
            let spec = scene.denial.as_ref().map(|it| it.data["spec"].clone());
            tier.cut_by(&spec.unwrap_or_default())
        };
        let (loose, strict) =
            (of(Restriction::egress_only(BTreeSet::new())), of(Restriction::both(BTreeSet::new())));
        let mut scene = Scene { pod: pod(&Labels::new()), ..Scene::default() };
        for (order, expected) in [
            (&loose, vec![Egress]),
            (&strict, vec![Ingress, Egress]),
            (&loose, vec![Ingress, Egress]),
        ] {
            scene = carried_out(&scene, &plan(&scene, order).unwrap());
            assert_eq!(cut(&scene), expected, "{tier:?}");
            assert!(plan(&scene, order).unwrap().is_done());
        }
    }
}

fn rules() -> impl Strategy<Value = Value> {
    prop_oneof![
        Just(json!({})),
        Just(json!({"policyTypes": ["Ingress", "Egress"]})),
        Just(json!({"ingress": [{}]})),
        Just(json!({"policyTypes": ["Egress"], "egress": [{}]})),
        Just(json!({"ingress": [{}], "egress": [{}]})),
    ]
}

prop_compose! {
    fn scenes()(
        labels in labels(),
        policies in collection::vec((selector(), rules()), 0..4),
        holders in collection::vec(selector(), 0..3),
    ) -> Scene {
        let policies = policies.iter().enumerate();
        Scene {
            pod: pod(&labels),
            policies: policies.map(|(at, (on, rules))| policy(&format!("p{at}"), on, rules.clone())).collect(),
            holders: holders.into_iter().map(holder).collect(),
            ..Scene::default()
        }
    }
}

proptest! {
    #[test]
    fn what_can_be_left_is_left(scene in scenes()) {
        let order = order(Restriction::both(BTreeSet::new()));
        let after = plan(&scene, &order).unwrap().labels;
        let holders = scene.holders.iter().map(|holder| holder.selector.clone());
        let open = scene.policies.iter().filter(|policy| !order.restriction.opened_by(policy).is_empty());
        let open = open.filter_map(|policy| policy.spec.as_ref()?.pod_selector.clone());
        for selector in holders.chain(open) {
            // Whatever wants a label to be there can be left by taking that label away.
            if needed_keys(&selector).next().is_some() {
                prop_assert_eq!(selects(&selector, &after), Ok(false));
            }
        }
    }

    #[test]
    fn a_plan_that_was_carried_out_leaves_nothing_to_do(scene in scenes(), restriction in restriction()) {
        prop_assume!(restriction.cuts(Direction::Ingress) || restriction.cuts(Direction::Egress));
        let order = order(restriction);
        let mut scene = scene;
        // A policy that wants a label gone can come in with the first round.
        for _ in 0..2 {
            scene = carried_out(&scene, &plan(&scene, &order).unwrap());
        }
        prop_assert!(plan(&scene, &order).unwrap().is_done());
    }

    #[test]
    fn no_label_is_lost_and_none_changed_but_the_quarantine(scene in scenes()) {
        let order = order(Restriction::both(BTreeSet::new()));
        let before = scene.labels();
        let after = carried_out(&scene, &plan(&scene, &order).unwrap());
        let kept = Kept::of(&after.pod, &id()).unwrap();
        let mut whole = after.labels();
        whole.remove(QUARANTINE);
        for (key, value) in &whole {
            prop_assert_eq!(before.get(key), Some(value));
        }
        whole.extend(kept.labels);
        prop_assert_eq!(whole, before);
    }

    #[test]
    fn no_policy_that_limits_ingress_is_left_where_ingress_stays(scene in scenes()) {
        let order = order(Restriction::egress_only(BTreeSet::new()));
        let (before, after) = (scene.labels(), plan(&scene, &order).unwrap().labels);
        for policy in &scene.policies {
            let Some(spec) = &policy.spec else { continue };
            let selector = spec.pod_selector.clone().unwrap_or_default();
            // One that needs a label gone can't be kept out by keeping labels: it only ever adds limits.
            if governs(spec, Direction::Ingress) && selects(&selector, &before) == Ok(true) {
                prop_assert_eq!(selects(&selector, &after), Ok(true));
            }
        }
    }
}
