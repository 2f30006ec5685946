//! What is done to a pod.

use serde_json::{Map, Value, json};

use super::Item;
use crate::import::talon::document::Action;

pub(super) const TERMINATE: [&str; 5] = [
    "grace_period_seconds",
    "ignore_daemonsets",
    "ignore_standalone_pods",
    "ignore_statefulsets",
    "min_healthy_replicas",
];

pub(super) fn terminate(action: &Action, mut item: Item) -> Item {
    let params = &action.params;
    let mut config = Map::new();
    let grace = params.number("grace_period_seconds").filter(|seconds| *seconds > 0);
    if grace.is_none() {
        let how = "Talon's grace period of 0 takes the object away while its processes may live on unseen";
        item = item.differs(action, how, "here it is a second");
    }
    config.insert("gracePeriod".to_owned(), format!("{}s", grace.unwrap_or(1)).into());
    let counted = params.text("min_healthy_replicas").filter(|least| !least.is_empty());
    if let Some(least) = &counted {
        let least = least.parse::<u32>().map_or_else(|_| least.as_str().into(), Value::from);
        config.insert("minHealthy".to_owned(), least);
        let how = "Talon counts a ReplicaSet's ready pods before the delete, and takes a percentage for a number of pods";
        let what = "here so many stay ready after it, of every owner that can be counted; a Job's pods are not deleted";
        item = item.differs(action, how, what);
    }
    let mut owners = vec!["ReplicaSet"];
    let others = [
        ("StatefulSet", params.is_true("ignore_statefulsets")),
        ("DaemonSet", params.is_true("ignore_daemonsets")),
        // Nothing says so, but a Job's pods are not ignored; they can't be counted.
        ("Job", counted.is_some()),
        ("Standalone", params.is_true("ignore_standalone_pods")),
    ];
    owners.extend(others.iter().filter(|(_, ignored)| !ignored).map(|(kind, _)| *kind));
    config.insert("owners".to_owned(), owners.into());
    item.step("delete", Value::Object(config))
}

pub(super) fn mark(action: &Action, ours: &'static str, theirs: &str, mut item: Item) -> Item {
    if action.params.text("level").as_deref() == Some("node") {
        let why = "nodes get no labels or annotations here";
        return item.lost(action, why, "`taint` marks the pod's node, with a key and a value");
    }
    let marks = action.params.mapping(theirs);
    if marks.is_empty() {
        let why = format!("it names no {theirs}");
        return item.lost(action, &why, "");
    }
    for (key, value) in marks {
        if value.is_empty() {
            let why = format!("`{key}` is to be removed, and stoop only sets");
            item = item.lost(action, &why, "take it off by hand, or set a value that says so");
            continue;
        }
        item = item.step(ours, json!({"key": key, "value": value, "overwrite": true}));
    }
    item
}

pub(super) fn delete(action: &Action, item: Item) -> Item {
    let why = "it deletes whatever object an audit event names, by name, and stoop deletes verified pods alone";
    item.lost(
        action,
        why,
        "for audit events about pods write `delete`; for others `call` a function of yours",
    )
}
