//! What is cut off.

use serde_json::{Map, json};

use super::Item;
use crate::import::talon::document::Action;

pub(super) const KUBERNETES: [&str; 2] = ["allow_cidr", "allow_namespaces"];
pub(super) const CALICO: [&str; 3] = ["allow_cidr", "allow_namespaces", "order"];

pub(super) fn kubernetes(action: &Action, mut item: Item) -> Item {
    let (cidrs, namespaces) = allowed(action);
    let mut allow = Map::new();
    if !cidrs.is_empty() {
        allow.insert("cidrs".to_owned(), cidrs.into());
    }
    if !namespaces.is_empty() {
        allow.insert("namespaces".to_owned(), namespaces.into());
        let how = "Talon allows namespaces by the label k8s.io/metadata.name, which none has, and so none";
        item = item.differs(action, how, "here they are allowed, by name");
    }
    let config = match allow.is_empty() {
        true => json!({"egressOnly": true}),
        false => json!({"egressOnly": true, "allow": allow}),
    };
    let how = "Talon's policy holds all pods with the labels of the pod's owner, and stays";
    let what = "here the attacked pod alone is cut off, and only `Effective` is success: see isolate's `accept` and `denyEgressByLabel`";
    item.differs(action, how, what).step("isolate", config)
}

/// Calico's and Cilium's deny one address, the one that the event names.
pub(super) fn one_address(action: &Action, item: Item) -> Item {
    let (cidrs, namespaces) = allowed(action);
    let allow = json!({"cidrs": cidrs, "namespaces": namespaces});
    let instead = format!(
        "to cut the pod off from everything: `isolate: {}`",
        json!({"egressOnly": true, "allow": allow})
    );
    let why = "it denies the one address that the event names, to all pods of the owner: an address out of an \
               event is the attacker's choice, and cutting off everything is more than the rule asks";
    item.lost(action, why, &instead)
}

fn allowed(action: &Action) -> (Vec<String>, Vec<String>) {
    (action.params.list("allow_cidr"), action.params.list("allow_namespaces"))
}
