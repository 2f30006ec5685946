//! Disruption budgets: how many pods are healthy, and how many of them may go.

use serde_json::{Value, json};

use crate::demo::kubernetes::{
    eviction::is_ready,
    kinds::{DISRUPTION_BUDGET, POD},
    meta, selectors,
    store::{Key, Store},
};

pub(super) fn judge(store: &mut Store) {
    let budgets: Vec<(Key, Value)> =
        store.all(&DISRUPTION_BUDGET).map(|(key, budget)| (key.clone(), budget.clone())).collect();
    for (key, mut budget) in budgets {
        budget["status"] = status(store, &budget);
        store.put_changed(key, budget);
    }
}

fn status(store: &Store, budget: &Value) -> Value {
    let namespace = meta::namespace(budget);
    let selector = selectors::of_spec(budget);
    let pods = store.pods(namespace, |pod| {
        selector.as_ref().is_some_and(|selector| selectors::selects(selector, pod))
    });
    // A pod on its way out by eviction counts as gone until it is, or for two minutes; here it never takes that long.
    let mut disrupted = budget["status"]["disruptedPods"].as_object().cloned().unwrap_or_default();
    disrupted.retain(|name, _| {
        let pod = store.get(&Key::new(&POD, namespace, name));
        pod.is_some_and(|pod| !meta::is_terminating(pod))
    });
    let healthy = pods
        .iter()
        .filter(|pod| {
            is_ready(pod) && !meta::is_terminating(pod) && !disrupted.contains_key(meta::name(pod))
        })
        .count();
    let desired = desired(&budget["spec"], pods.len());
    let mut status = json!({
        "observedGeneration": budget["metadata"]["generation"],
        "expectedPods": pods.len(),
        "currentHealthy": healthy,
        "desiredHealthy": desired,
        "disruptionsAllowed": healthy.saturating_sub(desired),
    });
    if !disrupted.is_empty() {
        status["disruptedPods"] = disrupted.into();
    }
    status
}

/// The least number of healthy pods, from a count or a percentage that is rounded up.
fn desired(spec: &Value, expected: usize) -> usize {
    let count = |value: &Value| match value {
        Value::String(text) => {
            let percent: usize = text.trim_end_matches('%').parse().ok()?;
            Some((expected * percent).div_ceil(100))
        }
        other => other.as_u64()?.try_into().ok(),
    };
    match (count(&spec["minAvailable"]), count(&spec["maxUnavailable"])) {
        (Some(least), _) => least,
        (None, Some(most)) => expected.saturating_sub(most),
        (None, None) => expected,
    }
}
