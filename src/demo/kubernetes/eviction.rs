//! Eviction: a deletion that asks the pod's disruption budget first.
//!
//! The order is the API server's: the budget is taken from before the uid is compared, so a stale eviction uses it up.

use k8s_openapi::api::policy::v1::Eviction;
use serde_json::{Value, json};

use super::{
    call::{Call, Resource},
    delete::{self, is_dry_run},
    kinds::DISRUPTION_BUDGET,
    meta, selectors,
    status::{Failure, bad_request, budget_exhausted, internal, not_found, success},
    store::{Key, Store},
};

pub(super) fn evict(
    store: &mut Store,
    on: &Resource,
    name: &str,
    call: &Call,
) -> Result<Value, Failure> {
    let eviction: Eviction =
        serde_json::from_value(call.json()?).map_err(|error| bad_request(&error.to_string()))?;
    if eviction.metadata.name.as_deref() != Some(name) {
        return Err(bad_request("name in URL does not match name in Eviction object"));
    }
    let mut options = eviction.delete_options.unwrap_or_default();
    if call.is_dry_run()? {
        options.dry_run = Some(vec!["All".into()]);
    }
    let key = Key::new(on.kind, &on.namespace, name);
    let pod = store.get(&key).cloned().ok_or_else(|| not_found(on.kind, name))?;
    if !ignores_budgets(&pod)
        && let Some(budget) = budget_of(store, &pod)?
        && !is_spared(&pod, &budget)
    {
        let taken = take(&budget, name)?;
        if !is_dry_run(&options) {
            let budgets = Key::new(&DISRUPTION_BUDGET, &on.namespace, meta::name(&budget));
            store.put(budgets, taken);
        }
    }
    delete::delete(store, on.kind, &key, &options)?;
    Ok(success(None))
}

/// A pod that has ended, hasn't begun or is on its way out disrupts nobody.
fn ignores_budgets(pod: &Value) -> bool {
    let phase = pod["status"]["phase"].as_str().unwrap_or_default();
    ["Succeeded", "Failed", "Pending"].contains(&phase) || meta::is_terminating(pod)
}

fn budget_of(store: &Store, pod: &Value) -> Result<Option<Value>, Failure> {
    let mut budgets = store.all(&DISRUPTION_BUDGET).map(|(_, budget)| budget).filter(|budget| {
        meta::namespace(budget) == meta::namespace(pod)
            && selectors::of_spec(budget).is_some_and(|selector| selectors::selects(&selector, pod))
    });
    let budget = budgets.next().cloned();
    if budgets.next().is_some() {
        return Err(internal(
            "This pod has more than one PodDisruptionBudget, which the eviction subresource does not support.",
        ));
    }
    Ok(budget)
}

/// An unready pod may go without the budget while enough others are healthy (`IfHealthyBudget`, the default policy).
fn is_spared(pod: &Value, budget: &Value) -> bool {
    let status = |field: &str| budget["status"][field].as_i64().unwrap_or_default();
    !is_ready(pod)
        && status("desiredHealthy") > 0
        && status("currentHealthy") >= status("desiredHealthy")
}

pub(super) fn is_ready(pod: &Value) -> bool {
    let conditions = pod["status"]["conditions"].as_array();
    conditions.is_some_and(|conditions| {
        conditions
            .iter()
            .any(|condition| condition["type"] == "Ready" && condition["status"] == "True")
    })
}

/// The budget with one disruption less, and the pod written down as disrupted.
fn take(budget: &Value, pod: &str) -> Result<Value, Failure> {
    let status = |field: &str| budget["status"][field].as_i64().unwrap_or_default();
    let name = meta::name(budget);
    if status("observedGeneration") < budget["metadata"]["generation"].as_i64().unwrap_or_default()
    {
        let cause = format!("The disruption budget {name} is still being processed by the server.");
        return Err(budget_exhausted(cause, 10));
    }
    if status("disruptionsAllowed") < 1 {
        let cause = format!(
            "The disruption budget {name} needs {} healthy pods and has {} currently",
            status("desiredHealthy"),
            status("currentHealthy")
        );
        return Err(budget_exhausted(cause, 0));
    }
    let mut taken = budget.clone();
    taken["status"]["disruptionsAllowed"] = (status("disruptionsAllowed") - 1).into();
    if taken["status"]["disruptedPods"].is_null() {
        taken["status"]["disruptedPods"] = json!({});
    }
    taken["status"]["disruptedPods"][pod] = meta::now().into();
    Ok(taken)
}
