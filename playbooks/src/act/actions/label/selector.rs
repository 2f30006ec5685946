//! Whether a pod's owner selects its pods by a label.

use k8s_openapi::{
    api::{
        apps::v1::{DaemonSet, ReplicaSet, StatefulSet},
        batch::v1::Job,
        core::v1::Pod,
    },
    apimachinery::pkg::apis::meta::v1::LabelSelector,
};
use kube::{Resource, ResourceExt as _};
use serde::de::DeserializeOwned;

use crate::act::{
    api::{Api, ApiError, Permission, Place},
    outcome::{Failure, Guardrail, Refusal},
};

/// The owners whose selectors can be read.
const READ: [(&str, &str); 4] =
    [("apps", "replicasets"), ("apps", "statefulsets"), ("apps", "daemonsets"), ("batch", "jobs")];

/// What reading them takes.
pub(super) fn permissions() -> Vec<Permission> {
    READ.iter().map(|(group, resource)| Permission::new(group, resource, "get")).collect()
}

/// The refusal where the owner selects by this label, or where that can't be told and the pod has it.
pub(super) async fn judge(api: &Api, pod: &Pod, key: &str) -> Result<Option<Refusal>, Failure> {
    let Some(owner) = pod.owner_references().iter().find(|owner| owner.controller == Some(true))
    else {
        return Ok(None);
    };
    let namespace = pod.namespace();
    let place = Place { namespace: namespace.as_deref(), name: &owner.name };
    let named = format!("{} {}", owner.kind, owner.name);
    let selector = match (owner.api_version.as_str(), owner.kind.as_str()) {
        ("apps/v1", "ReplicaSet") => {
            read(api, place, &owner.uid, |set: ReplicaSet| set.spec.map(|spec| spec.selector)).await
        }
        ("apps/v1", "StatefulSet") => {
            read(api, place, &owner.uid, |set: StatefulSet| set.spec.map(|spec| spec.selector))
                .await
        }
        ("apps/v1", "DaemonSet") => {
            read(api, place, &owner.uid, |set: DaemonSet| set.spec.map(|spec| spec.selector)).await
        }
        ("batch/v1", "Job") => {
            read(api, place, &owner.uid, |job: Job| job.spec.and_then(|spec| spec.selector)).await
        }
        _ => {
            let has_it = pod.labels().contains_key(key);
            return Ok(has_it.then(|| {
                let why = format!("whether {named} selects its pods by {key} can't be read");
                Refusal::new(Guardrail::SelectedLabel, why)
            }));
        }
    }?;
    Ok(selector.filter(|selector| selects_by(selector, key)).map(|_| {
        let why = format!(
            "{named} selects its pods by {key}: it would let go of this one; `isolate` does that on purpose"
        );
        Refusal::new(Guardrail::SelectedLabel, why)
    }))
}

/// `None` for an owner that is gone, or whose name belongs to another one: it holds nothing any more.
async fn read<K>(
    api: &Api,
    place: Place<'_>,
    uid: &str,
    selector: impl FnOnce(K) -> Option<LabelSelector> + Send,
) -> Result<Option<LabelSelector>, ApiError>
where
    K: Resource<DynamicType = ()> + DeserializeOwned,
{
    let owner =
        api.live::<K>(place).await?.filter(|owner| owner.meta().uid.as_deref() == Some(uid));
    Ok(owner.and_then(selector))
}

fn selects_by(selector: &LabelSelector, key: &str) -> bool {
    let by_value = selector.match_labels.as_ref().is_some_and(|all| all.contains_key(key));
    let by_rule = selector.match_expressions.iter().flatten().any(|rule| rule.key == key);
    by_value || by_rule
}
