//! Brings the pods up, changes the policies between the client's parts, and cleans up, whatever came of it.

use std::{collections::BTreeMap, time::Duration};

use k8s_openapi::api::core::v1::Pod;
use kube::api::{DeleteParams, PostParams, Preconditions};
use tokio::time::{Instant, sleep};

use super::{
    Aspect, Finding,
    judge::{address, findings, seen, stuck},
    objects::{NETWORK_POLICY, PLACES, policies},
    pods::{CLIENT, Making, Part, ROLE, SERVER, Saw, client, parts, server},
};
use crate::act::{
    actions::CLUSTER_NETWORK_POLICY,
    api::{Api, ApiError, Class, Grace},
    config::ConfigError,
    outcome::Failure,
};

/// How often a pod is looked at.
const LOOK: Duration = Duration::from_millis(500);
/// How long a pod may take to go.
const GOING: Duration = Duration::from_secs(30);

/// One probe of a cluster's network.
#[derive(Debug, Clone)]
pub struct Probe {
    /// Where the two pods are made, under the names `stoop-probe-server` and `stoop-probe-client`.
    pub namespace: String,
    /// What they run: any image that has `sh` and `nc`.
    pub image: String,
    /// How long it may take in all.
    pub patience: Duration,
}

impl Probe {
    /// Makes the pods and tries the policies. What it makes is for [`Probe::clean`] to take away, before and after,
    /// and where this was dropped.
    ///
    /// # Errors
    ///
    /// Where the API server can't be asked. What it refuses is a finding: it could not be told.
    pub async fn run(&self, api: &Api) -> Result<Vec<(Aspect, Finding)>, Failure> {
        let mut aspects = vec![Aspect::Ingress, Aspect::Egress];
        let served = api.served(&[&CLUSTER_NETWORK_POLICY]).await?;
        aspects.extend((!served.is_empty()).then_some(Aspect::ClusterDeny));
        let mut saw = Vec::new();
        let why = match self.converse(api, &aspects, &mut saw).await {
            Ok(()) => String::new(),
            Err(failure) if failure.is_permanent() => failure.why,
            Err(failure) => return Err(failure),
        };
        Ok(findings(&aspects, &saw, &why))
    }

    /// Takes away what this probe, or one before it that was killed, has made in the namespace.
    ///
    /// # Errors
    ///
    /// Where the API server can't be asked, where something of that name is not a probe's, or where a pod does not go.
    pub async fn clean(&self, api: &Api) -> Result<(), Failure> {
        for (kind, name) in PLACES {
            let policy = match api.custom(kind, &self.namespace, name).await {
                Ok(policy) => policy,
                // A kind that is not served, or that we may not look at: we have made none.
                Err(error)
                    if kind != &NETWORK_POLICY && matches!(error.code(), Some(403 | 404)) =>
                {
                    None
                }
                Err(error) => return Err(error.into()),
            };
            let Some(policy) = policy else { continue };
            self.ours(kind.kind, policy.metadata.labels.as_ref(), name)?;
            gone(api.delete_custom(kind, &policy).await)?;
        }
        for name in [CLIENT, SERVER] {
            if let Some(pod) = api.pod(&self.namespace, name).await? {
                self.ours("pod", pod.metadata.labels.as_ref(), name)?;
                self.remove(api, name, &pod).await?;
            }
        }
        Ok(())
    }

    async fn converse(
        &self,
        api: &Api,
        aspects: &[Aspect],
        saw: &mut Vec<Saw>,
    ) -> Result<(), Failure> {
        let until = Instant::now() + self.patience;
        let making = Making {
            namespace: &self.namespace,
            image: &self.image,
            seconds: self.patience.as_secs() + GOING.as_secs(),
        };
        let pod = self.create(api, server(&making)).await?;
        let address = self.until(api, &pod, until, address).await?;
        let pod = self.create(api, client(&making, &address, aspects)).await?;
        let mut before = None;
        for part in parts(aspects) {
            match part {
                Part::Open(_) => self.lift(api, before).await?,
                Part::Blocked(aspect) => {
                    for (kind, policy) in policies(aspect, &self.namespace) {
                        api.apply_custom(kind, &policy, false).await?;
                    }
                    before = Some(aspect);
                }
            }
            let seen = self.until(api, &pod, until, |pod| seen(pod, part)).await?;
            saw.push(seen);
            if matches!(part, Part::Open(_)) && seen != part.wants() {
                break;
            }
        }
        Ok(())
    }

    async fn create(&self, api: &Api, pod: Result<Pod, ConfigError>) -> Result<Pod, Failure> {
        let pod = pod.map_err(|error| Failure::permanent(error.to_string()))?;
        let created = api.call(|client| async move {
            kube::Api::namespaced(client, &self.namespace)
                .create(&PostParams::default(), &pod)
                .await
        });
        Ok(created.await?)
    }

    /// Takes the policies of an aspect away.
    async fn lift(&self, api: &Api, aspect: Option<Aspect>) -> Result<(), Failure> {
        for (kind, policy) in aspect.map(|it| policies(it, &self.namespace)).unwrap_or_default() {
            let name = policy.metadata.name.unwrap_or_default();
            if let Some(stored) = api.custom(kind, &self.namespace, &name).await? {
                gone(api.delete_custom(kind, &stored).await)?;
            }
        }
        Ok(())
    }

    /// Looks at the pod until something can be told of it.
    async fn until<T>(
        &self,
        api: &Api,
        pod: &Pod,
        until: Instant,
        told: impl Fn(&Pod) -> Option<Result<T, String>>,
    ) -> Result<T, Failure> {
        let name = pod.metadata.name.as_deref().unwrap_or_default();
        let of = |why: &str| Failure::permanent(format!("the pod {name}: {why}"));
        loop {
            let live = api.pod(&self.namespace, name).await?;
            let live = live.filter(|live| live.metadata.uid == pod.metadata.uid);
            let live = live.ok_or_else(|| of("it is gone: has another probe begun?"))?;
            if let Some(told) = told(&live) {
                return told.map_err(|why| of(&why));
            }
            if Instant::now() >= until {
                return Err(of(&stuck(&live).unwrap_or_else(|| {
                    let patience = humantime::format_duration(self.patience);
                    format!("nothing was heard of it within {patience}")
                })));
            }
            sleep(LOOK).await;
        }
    }

    /// Deletes the very pod that was read, and waits until it is gone.
    async fn remove(&self, api: &Api, name: &str, pod: &Pod) -> Result<(), Failure> {
        let params = DeleteParams {
            grace_period_seconds: Some(Grace::LEAST.seconds()),
            preconditions: Some(Preconditions {
                uid: pod.metadata.uid.clone(),
                resource_version: None,
            }),
            ..DeleteParams::default()
        };
        let asked = api.call(|client| async move {
            kube::Api::<Pod>::namespaced(client, &self.namespace)
                .delete(name, &params)
                .await
                .map(drop)
        });
        gone(asked.await)?;
        let until = Instant::now() + GOING;
        while Instant::now() < until {
            let live = api.pod(&self.namespace, name).await?;
            if live.is_none_or(|live| live.metadata.uid != pod.metadata.uid) {
                return Ok(());
            }
            sleep(LOOK).await;
        }
        Err(Failure::permanent(format!(
            "the pod {}/{name} is deleted and does not go: is its node away?",
            self.namespace
        )))
    }

    fn ours(
        &self,
        kind: &str,
        labels: Option<&BTreeMap<String, String>>,
        name: &str,
    ) -> Result<(), Failure> {
        let is_ours = labels.and_then(|labels| labels.get(ROLE)).is_some_and(|role| role == name);
        is_ours.then_some(()).ok_or_else(|| {
            Failure::permanent(format!(
                "the {kind} {name} in {} is not a probe's: rename it, or probe in another namespace",
                self.namespace
            ))
        })
    }
}

/// Gone already, or another now: nothing of ours to take away.
fn gone(deleted: Result<(), ApiError>) -> Result<(), Failure> {
    match deleted {
        Err(error) if !matches!(error.class(), Class::NotFound | Class::Conflict) => {
            Err(error.into())
        }
        _ => Ok(()),
    }
}
