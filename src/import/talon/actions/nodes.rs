//! What is done to the pod's node.

use serde_json::json;

use super::Item;
use crate::import::talon::document::Action;

pub(super) const DRAIN: [&str; 6] = [
    "ignore_daemonsets",
    "ignore_errors",
    "ignore_statefulsets",
    "max_wait_period",
    "min_healthy_replicas",
    "wait_period_excluded_namespaces",
];

pub(super) fn cordon(action: &Action, item: Item) -> Item {
    let how = "Talon cordons any number of nodes";
    let what =
        "here a quarter of them at most, never the last or one of the control plane: `maxShare`";
    item.differs(action, how, what).step("cordon", json!({}))
}

pub(super) fn drain(action: &Action, mut item: Item) -> Item {
    let params = &action.params;
    let how =
        "Talon evicts whatever it doesn't ignore, DaemonSets' pods too, and leaves the node open";
    let what = "here the node is cordoned first, DaemonSets' and protected pods stay, and a quarter of the nodes \
                is the most: `maxShare`, `maxPods`";
    if params.text("min_healthy_replicas").is_some_and(|least| !least.is_empty()) {
        let why =
            "`min_healthy_replicas` of a drain: without it pods would be evicted that Talon spares";
        let help =
            "write PodDisruptionBudgets, which hold evictions back, leave it out and import again";
        return item.lost(action, why, help);
    }
    item = item.differs(action, how, what);
    if params.number("max_wait_period").is_some_and(|seconds| seconds > 0) {
        let how = "`max_wait_period` is for each pod";
        item = item.differs(action, how, "here `limits.timeout` (10m) is for the whole answer");
    }
    let mut owners = vec!["ReplicaSet"];
    if !params.is_true("ignore_statefulsets") {
        owners.push("StatefulSet");
    }
    owners.extend(["Job", "Standalone"]);
    let mut item = item.step("drain", json!({"evictsPods": true, "owners": owners}));
    if params.is_true("ignore_errors") {
        item = item.differs(
            action,
            "Talon calls a drain with errors a success",
            "here it fails, and is told",
        );
    }
    item
}
