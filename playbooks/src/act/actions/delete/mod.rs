//! `delete`: removes the verified pod, so that its owner replaces it.
//!
//! Safe to repeat: the uid is a precondition of the request, a pod that is gone is done, and a second delete
//! of a pod that is ending changes nothing.

mod config;
mod healthy;
mod locks;
mod owners;

pub(super) use config::Written;

use std::sync::Arc;

use async_trait::async_trait;
use serde_json::Value;

use self::{config::DeleteConfig, healthy::MinHealthy};
use crate::act::{
    action::{Action, Context, Subject},
    api::{Api, ApiError, Class, Grace, Permission, Write},
    config::ConfigError,
    outcome::{Failure, FailureKind, Guardrail, Outcome, SkipReason},
    target::{Gone, Verified},
};

pub(in crate::act) use locks::OwnerLocks;
pub(super) use owners::Owners;

/// The configured action.
#[derive(Debug)]
pub(in crate::act) struct Delete {
    grace: Option<Grace>,
    evict: bool,
    min_healthy: Option<MinHealthy>,
    owners: Owners,
    /// Shared with every other `delete` of the worker.
    locks: Arc<OwnerLocks>,
}

impl Delete {
    /// Reads the configuration.
    pub(in crate::act) fn configure(
        config: &Value,
        locks: &Arc<OwnerLocks>,
    ) -> Result<Delete, ConfigError> {
        let DeleteConfig { grace, evict, min_healthy, owners } = DeleteConfig::read(config)?;
        Ok(Delete { grace, evict, min_healthy, owners, locks: Arc::clone(locks) })
    }

    async fn delete(&self, cx: &Context<'_>, target: &Verified) -> Result<Outcome, Failure> {
        let grace = self.grace_for(target);
        if let Some(done) = already_ending(target, grace) {
            return Ok(Outcome::AlreadyDone(done));
        }
        if let Some(refusal) = self.owners.judge(target.owner()) {
            return Ok(refusal.into());
        }
        let write = Write { grace, dry_run: cx.dry_run() };
        let api = cx.api()?;
        let Some(least) = self.min_healthy else { return self.remove(&api, target, write).await };
        // Held until the delete is answered: from then on a list shows the pod as ending.
        // For half of the time: who gets it must have time left to count and delete.
        let turn = tokio::time::timeout_at(cx.limit.half_of_calls(), self.locks.lock(target)).await;
        let Ok(held) = turn else {
            let why = format!("waiting for other deletes below the owner of {}", target.object());
            return Ok(Outcome::Pending(why));
        };
        let outcome = match healthy::judge(&api, target, least).await? {
            Some(refusal) => refusal.into(),
            None => self.remove(&api, target, write).await?,
        };
        drop(held);
        Ok(outcome)
    }

    /// The grace period to end it with: the configured one, else the pod's own, and never zero.
    ///
    /// Always sent, since the server keeps to a longer one that an earlier delete may have brought along.
    fn grace_for(&self, target: &Verified) -> Grace {
        self.grace.unwrap_or_else(|| {
            let own = target.spec().and_then(|spec| spec.termination_grace_period_seconds);
            own.and_then(|own| u32::try_from(own).ok()).and_then(Grace::new).unwrap_or(Grace::LEAST)
        })
    }

    async fn remove(&self, api: &Api, target: &Verified, write: Write) -> Result<Outcome, Failure> {
        let sent = match self.evict {
            false => api.for_half().delete_pod(target, write).await,
            true => {
                // The API server takes an eviction off the disruption budget before it compares uids, so that
                // a stale one would cost a living pod's budget: look first.
                if let Some(gone) = replaced(api, target).await? {
                    return Ok(Outcome::AlreadyDone(gone));
                }
                api.for_half().evict_pod(target, write).await
            }
        };
        let verb = if self.evict { "evicted" } else { "deleted" };
        match sent {
            Ok(()) if write.dry_run => {
                let done = format!(
                    "{} would be {verb}: the API server accepted the dry run",
                    target.object()
                );
                Ok(Outcome::Skipped(SkipReason::DryRun, done))
            }
            Ok(()) => {
                Ok(Outcome::Applied(format!("{verb} {}, uid {}", target.object(), target.uid())))
            }
            Err(error) => self.explain(api, target, error).await,
        }
    }

    /// Tells a pod that is gone from a write that failed: only the live object knows.
    async fn explain(
        &self,
        api: &Api,
        target: &Verified,
        error: ApiError,
    ) -> Result<Outcome, Failure> {
        // An eviction in a namespace that is being deleted is forbidden, though the pod is on its way out.
        let namespace_ends = error.has_cause("NamespaceTerminating");
        // One pod's slow admission must not look like an outage, which holds everything: that takes a read
        // that fails as well.
        let unanswered = error.code().is_none()
            && matches!(error.class(), Class::Failed(FailureKind::Unavailable(_)));
        let absent = matches!(error.class(), Class::NotFound | Class::Conflict);
        if absent || namespace_ends || unanswered {
            if let Some(gone) = replaced(api, target).await? {
                return Ok(Outcome::AlreadyDone(gone));
            }
            let hint = match unanswered {
                true => "; it answers reads: does an admission webhook hang?",
                false => "",
            };
            let why = format!("{} is still there: {error}{hint}", target.object());
            return Err(Failure::transient(why));
        }
        match error.code() {
            Some(429) if self.evict && error.has_cause("DisruptionBudget") => {
                let failure = Failure::from(error);
                let why = format!("a PodDisruptionBudget holds the eviction back: {failure}");
                Err(Failure::transient(why).after(failure.retry_after).held_up())
            }
            // A fault of the budgets, which no retry mends; every other 500 is retried.
            Some(500)
                if self.evict
                    && error.to_string().contains("more than one PodDisruptionBudget") =>
            {
                Err(Failure::permanent(format!(
                    "{error}; leave the pod to one PodDisruptionBudget, or set delete.evict: false"
                )))
            }
            _ => Err(error.into()),
        }
    }
}

#[async_trait]
impl Action for Delete {
    fn name(&self) -> &'static str {
        "delete"
    }

    fn describe(&self) -> String {
        let verb = if self.evict { "evict" } else { "delete" };
        let grace = match self.grace {
            Some(grace) => format!("a grace period of {}s", grace.seconds()),
            None => "its own grace period".to_owned(),
        };
        let least = self
            .min_healthy
            .map(|least| format!(", if {least} healthy pods of its owner are left"));
        format!("{verb} the pod with {grace}{}", least.unwrap_or_default())
    }

    fn within_namespace(&self) -> Result<(), ConfigError> {
        Ok(())
    }

    fn needs_target(&self) -> bool {
        true
    }

    fn changes_cluster(&self) -> bool {
        true
    }

    fn supports_dry_run(&self) -> bool {
        true
    }

    fn permissions(&self) -> Vec<Permission> {
        let mut all = match self.evict {
            true => vec![Permission::new("", "pods/eviction", "create")],
            false => vec![Permission::new("", "pods", "delete")],
        };
        if self.min_healthy.is_some() {
            all.extend(self.owners.permissions());
        }
        all
    }

    fn on_gone(&self, gone: &Gone) -> Outcome {
        Outcome::AlreadyDone(gone.why.clone())
    }

    async fn apply(&self, cx: &Context<'_>, subject: Subject<'_>) -> Outcome {
        match subject {
            Subject::Target(target) => self.delete(cx, target).await.unwrap_or_else(Outcome::from),
            Subject::Gone(gone) => self.on_gone(gone),
            Subject::Node(_) | Subject::Event => {
                Outcome::refused(Guardrail::Identity, "the event is about no verified pod")
            }
        }
    }
}

/// The words for a pod that was ending when it was read, unless our grace period ends it sooner.
fn already_ending(target: &Verified, grace: Grace) -> Option<String> {
    let meta = &target.pod().metadata;
    meta.deletion_timestamp.as_ref()?;
    let remaining = meta.deletion_grace_period_seconds.unwrap_or_default();
    let is_sooner = i64::from(grace.seconds()) < remaining;
    (!is_sooner).then(|| format!("{} is being deleted", target.object()))
}

/// The words for a target that is no longer there, or is ending; `None` where it lives on.
async fn replaced(api: &Api, target: &Verified) -> Result<Option<String>, Failure> {
    let live =
        api.pod(target.namespace(), target.name()).await.map_err(|error| match error.class() {
            // Another's word for it: not an answer about the pod.
            Class::NotFound | Class::Conflict => Failure::transient(error.to_string()),
            Class::Failed(
                FailureKind::Permanent | FailureKind::Transient | FailureKind::Unavailable(_),
            ) => error.into(),
        })?;
    Ok(match live {
        None => Some(format!("{} is gone", target.object())),
        Some(pod) if pod.metadata.uid.as_deref() != Some(target.uid().as_str()) => {
            Some(format!("{} is gone, its name belongs to another pod now", target.object()))
        }
        Some(pod) if pod.metadata.deletion_timestamp.is_some() => {
            Some(format!("{} is being deleted", target.object()))
        }
        Some(_) => None,
    })
}
