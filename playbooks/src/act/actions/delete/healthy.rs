//! `minHealthy`: whether enough of an owner's pods are left once this one is gone.

use std::fmt;

use k8s_openapi::api::{
    apps::v1::{DaemonSet, ReplicaSet, StatefulSet},
    core::v1::Pod,
};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{LabelSelector, OwnerReference};
use serde_json::Value;

use crate::act::{
    api::{Api, ApiError, Class, PodSelector},
    config::ConfigError,
    outcome::{Failure, Guardrail, Refusal},
    target::Verified,
};

/// How many of an owner's pods must be healthy after the delete.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum MinHealthy {
    /// So many.
    Count(u32),
    /// This share of the pods that the owner wants, rounded up.
    Percent(u32),
}

impl MinHealthy {
    pub(super) fn read(written: &Value) -> Result<MinHealthy, ConfigError> {
        let help = "write a count such as `2`, or a share such as `50%`";
        let read = match written {
            Value::Number(count) => {
                count.as_u64().and_then(|count| u32::try_from(count).ok()).map(MinHealthy::Count)
            }
            Value::String(text) => match text.trim().strip_suffix('%') {
                Some(percent) => percent.trim().parse().ok().map(MinHealthy::Percent),
                None => text.trim().parse().ok().map(MinHealthy::Count),
            },
            _ => None,
        };
        match read {
            Some(MinHealthy::Percent(percent)) if percent > 100 => {
                Err(ConfigError::new("minHealthy can't be more than 100%").help(help))
            }
            Some(least) => Ok(least),
            None => Err(ConfigError::new(format!("minHealthy can't be {written}")).help(help)),
        }
    }

    /// How many that is of the pods that the owner wants.
    fn of(self, desired: u32) -> u32 {
        match self {
            MinHealthy::Count(count) => count,
            MinHealthy::Percent(percent) => {
                let share = (u64::from(desired) * u64::from(percent)).div_ceil(100);
                u32::try_from(share).unwrap_or(u32::MAX)
            }
        }
    }
}

impl fmt::Display for MinHealthy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            MinHealthy::Count(count) => write!(f, "{count}"),
            MinHealthy::Percent(percent) => write!(f, "{percent}%"),
        }
    }
}

/// Counts, by live reads, what would be left. Whatever can't be counted is a no.
///
/// The count is this worker's own: two workers that delete pods of one owner at the same moment can each see
/// one to spare. Where that matters, a budget of one for each owner lets one of them through, and `evict` has the API
/// server count by a PodDisruptionBudget.
pub(super) async fn judge(
    api: &Api,
    target: &Verified,
    least: MinHealthy,
) -> Result<Option<Refusal>, Failure> {
    let Some(owner) = target.owner() else {
        return Ok(decide(least, 1, 0, "the pod has no owner"));
    };
    let name = format!("{} {}", owner.kind, owner.name);
    let scale = match scale(api, target.namespace(), owner).await {
        Ok(Some(scale)) => scale,
        Ok(None) => {
            return Ok(Some(Refusal::new(
                Guardrail::MinHealthy,
                format!(
                    "the healthy pods of {name} can't be counted: leave minHealthy out for its kind"
                ),
            )));
        }
        Err(error) if *error.class() == Class::NotFound => {
            return Ok(Some(Refusal::new(
                Guardrail::MinHealthy,
                format!("{name} is gone and replaces nothing"),
            )));
        }
        Err(error) => return Err(error.into()),
    };
    let healthy = others_healthy(api, target, owner, &scale.selector).await?;
    Ok(decide(least, scale.desired, healthy, &name))
}

fn decide(least: MinHealthy, desired: u32, healthy: u32, owner: &str) -> Option<Refusal> {
    let needed = least.of(desired);
    (healthy < needed).then(|| {
        Refusal::new(
            Guardrail::MinHealthy,
            format!("{owner}: {healthy} of {desired} pods would be left healthy, minHealthy wants {needed}"),
        )
    })
}

struct Scale {
    desired: u32,
    selector: Option<LabelSelector>,
}

/// How many pods the owner wants; `None` for a kind that wants no number of them at a time.
async fn scale(
    api: &Api,
    namespace: &str,
    owner: &OwnerReference,
) -> Result<Option<Scale>, ApiError> {
    let name = owner.name.as_str();
    let (uid, desired, selector) = match (owner.api_version.as_str(), owner.kind.as_str()) {
        ("apps/v1", "ReplicaSet") => {
            let set = api
                .call(|client| async move {
                    kube::Api::<ReplicaSet>::namespaced(client, namespace).get(name).await
                })
                .await?;
            let spec = set.spec.unwrap_or_default();
            (set.metadata.uid, spec.replicas.unwrap_or(1), spec.selector)
        }
        ("apps/v1", "StatefulSet") => {
            let set = api
                .call(|client| async move {
                    kube::Api::<StatefulSet>::namespaced(client, namespace).get(name).await
                })
                .await?;
            let spec = set.spec.unwrap_or_default();
            (set.metadata.uid, spec.replicas.unwrap_or(1), spec.selector)
        }
        ("apps/v1", "DaemonSet") => {
            let set = api
                .call(|client| async move {
                    kube::Api::<DaemonSet>::namespaced(client, namespace).get(name).await
                })
                .await?;
            let status = set.status.unwrap_or_default();
            (
                set.metadata.uid,
                status.desired_number_scheduled,
                set.spec.unwrap_or_default().selector,
            )
        }
        _ => return Ok(None),
    };
    // Another of the same name wants its own number of pods.
    if uid.as_deref() != Some(owner.uid.as_str()) {
        return Ok(None);
    }
    Ok(u32::try_from(desired).ok().map(|desired| Scale { desired, selector: Some(selector) }))
}

/// The owner's healthy pods but for the target: ready, and not about to go.
async fn others_healthy(
    api: &Api,
    target: &Verified,
    owner: &OwnerReference,
    selector: &Option<LabelSelector>,
) -> Result<u32, ApiError> {
    // The labels only narrow the list down; the owner reference decides.
    let labels =
        selector.as_ref().and_then(|selector| selector.match_labels.as_ref()).map(|labels| {
            labels.iter().map(|(key, value)| format!("{key}={value}")).collect::<Vec<_>>().join(",")
        });
    let select =
        PodSelector { namespace: Some(target.namespace()), labels, ..PodSelector::default() };
    let mut healthy = 0;
    let mut token = None;
    loop {
        let page = api.pods(&select, token).await?;
        let others = page.items.iter().filter(|pod| {
            pod.metadata.uid.as_deref() != Some(target.uid().as_str())
                && is_owned(pod, &owner.uid)
                && is_healthy(pod)
        });
        healthy += u32::try_from(others.count()).unwrap_or(u32::MAX);
        token = page.metadata.continue_.filter(|token| !token.is_empty());
        if token.is_none() {
            return Ok(healthy);
        }
    }
}

fn is_owned(pod: &Pod, uid: &str) -> bool {
    let owners = pod.metadata.owner_references.iter().flatten();
    owners.into_iter().any(|owner| owner.controller == Some(true) && owner.uid == uid)
}

fn is_healthy(pod: &Pod) -> bool {
    let conditions = pod.status.iter().flat_map(|status| status.conditions.iter().flatten());
    let is_ready = conditions
        .into_iter()
        .any(|condition| condition.type_ == "Ready" && condition.status == "True");
    is_ready && pod.metadata.deletion_timestamp.is_none()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_left_is_counted_after_the_delete() {
        let percent = MinHealthy::Percent;
        let table = [
            // (least, desired, healthy without the target, allowed)
            (percent(50), 2, 1, true),
            (percent(50), 3, 1, false),
            (percent(50), 3, 2, true),
            (percent(100), 3, 2, false),
            (percent(0), 1, 0, true),
            (percent(34), 3, 1, false),
            (percent(33), 3, 1, true),
            (MinHealthy::Count(2), 10, 2, true),
            (MinHealthy::Count(2), 10, 1, false),
            (MinHealthy::Count(0), 1, 0, true),
            (percent(50), 1, 0, false),
        ];
        for (least, desired, healthy, allowed) in table {
            assert_eq!(
                decide(least, desired, healthy, "x").is_none(),
                allowed,
                "{least} of {desired}, {healthy} left"
            );
        }
    }
}
