//! Runs responses: verification, guardrails, then the actions in order.
//!
//! It keeps no state of its own but what the guardrails remember: a response carries its progress, and the
//! worker decides when to come back to it.

mod record;
mod run;

use std::{sync::Arc, time::Duration};

use futures::future::join_all;
use jiff::Timestamp;

use super::{
    action::Limit,
    api::Api,
    guard::Guardrails,
    notify::{Notification, Notifiers},
    object::ClusterId,
    occurrence::Occurrence,
    outcome::Failure,
    registry::Plan,
    report::Report,
    response::{Response, Standing},
    responses::Records,
    roles::Right,
    target::{Identify, Needs, Verification, learn, verify},
};
use crate::decide::{Claim, Mode};

pub use run::Advance;

/// Which cluster is ours, and what events must say about it.
#[derive(Debug, Clone, Default)]
pub struct ClusterPolicy {
    /// The configured name.
    pub name: Option<ClusterId>,
    /// Refuse events that name no cluster.
    pub require: bool,
}

/// What an engine is made of.
pub struct EngineParts {
    /// `None` for a worker without a cluster: what needs a target is refused there.
    pub api: Option<Api>,
    /// Which cluster is ours.
    pub cluster: ClusterPolicy,
    /// The guardrails.
    pub guardrails: Guardrails,
    /// Who can be told.
    pub notifiers: Arc<Notifiers>,
    /// No playbook goes further than this.
    pub mode_cap: Mode,
    /// How long one action may take.
    pub action_timeout: Duration,
}

/// Runs responses; shared by all of a worker's tasks.
pub struct Engine(EngineParts, Option<Records>);

impl Engine {
    /// An engine of these parts.
    pub fn new(parts: EngineParts) -> Engine {
        if let Some(api) = &parts.api {
            parts.notifiers.connect(api);
        }
        Engine(parts, None)
    }

    /// One that writes down what it does.
    #[must_use]
    pub fn recording(self, records: Records) -> Engine {
        Engine(self.0, Some(records))
    }

    /// Where it writes down what it does, if it does.
    pub fn records(&self) -> Option<&Records> {
        self.1.as_ref()
    }

    /// The rights that a plan takes on the API server as far as it goes: its actions', its guardrails', its records'.
    pub fn rights(&self, plan: &Plan) -> Vec<Right> {
        let recorded = self.records().filter(|_| plan.is_recorded());
        let records = recorded.map(|records| Records::rights(records.shelf().namespace()));
        let guardrails = self.0.guardrails.rights([plan]);
        plan.rights().into_iter().chain(guardrails).chain(records.into_iter().flatten()).collect()
    }

    /// The API server, where the worker has one.
    pub fn api(&self) -> Option<&Api> {
        self.0.api.as_ref()
    }

    /// What can hold its actions back.
    pub fn guardrails(&self) -> &Guardrails {
        &self.0.guardrails
    }

    /// Finds out which live object an event is about.
    ///
    /// `needs` is what the matching plans ask about it, see `Plan::needs`. Call it only for events that a plan
    /// with [`Plan::needs_target`](super::Plan::needs_target) answers.
    ///
    /// # Errors
    ///
    /// Where it can't be told now, or not all that is needed of it. A transient failure that waits for the kubelet's
    /// report ends by itself, about half a minute after the event.
    pub async fn verify(
        &self,
        claim: &Claim,
        occurrence: &Occurrence,
        needs: Needs,
    ) -> Result<Verification, Failure> {
        let found = self.identify(claim, occurrence, needs).await?;
        match &found {
            Verification::Target(target) => {
                target.unread(needs).next().cloned().map_or(Ok(()), Err)?
            }
            Verification::Node(_)
            | Verification::Gone(_)
            | Verification::NoTarget
            | Verification::Refused(_)
            | Verification::ForeignCluster => {}
        }
        Ok(found)
    }

    /// The same for several plans, of which one may need what can't be read: a pod is found all the same, and nobody is to
    /// judge by it whose needs are [`unread`](super::Verified::unread).
    ///
    /// # Errors
    ///
    /// Where it can't be told now which object it is.
    pub async fn identify(
        &self,
        claim: &Claim,
        occurrence: &Occurrence,
        needs: Needs,
    ) -> Result<Verification, Failure> {
        if let Some(verification) = self.judge_cluster(occurrence.cluster.as_deref()) {
            return Ok(verification);
        }
        let Some(api) = &self.0.api else {
            return Ok(Verification::Refused("this worker has no cluster: set KUBECONFIG".into()));
        };
        let identify = Identify {
            claim,
            time: occurrence.time,
            sandbox: occurrence.fields.get("k8s.pod.sandbox_id").map(String::as_str),
            now: Timestamp::now(),
            cluster: self.0.cluster.name.as_ref(),
            needs,
        };
        verify(api, identify).await
    }

    /// What was verified, with what these needs ask about it read anew: the very pod, though it may be gone meanwhile.
    pub async fn learn(&self, standing: &Standing, needs: Needs) -> Standing {
        if let (Standing::Target(target), Some(api)) = (standing, &self.0.api)
            && let Some(known) = learn(api, target, needs).await
        {
            return Standing::Target(Arc::new(known));
        }
        standing.clone()
    }

    /// The ladder's first rung.
    fn judge_cluster(&self, named: Option<&str>) -> Option<Verification> {
        match (named, &self.0.cluster.name) {
            (Some(named), Some(ours)) if named != ours.as_str() => Some(Verification::ForeignCluster),
            (Some(_), Some(_)) => None,
            (Some(_), None) => Some(Verification::Refused(
                "the event names a cluster and this worker doesn't know its own: set cluster.name".into(),
            )),
            (None, _) if self.0.cluster.require => Some(Verification::Refused(
                "the event names no cluster and cluster.require is set: let Falco's static_fields name it".into(),
            )),
            (None, _) => None,
        }
    }

    /// Tells `defaultNotifiers` of a containment that did not happen, but for those whom the playbook has told.
    ///
    /// # Errors
    ///
    /// The first notifier's failure; call again, and only those who were not told are.
    pub async fn report(&self, report: &Report, response: &Response) -> Result<(), Failure> {
        if !report.is_alarming() || self.0.mode_cap != Mode::Enforce {
            return Ok(());
        }
        let message = Notification::new(
            response.occurrence(),
            response.standing(),
            &report.playbook,
            report.mode,
            &report.steps,
        );
        let (limit, alarmed) = (Limit::within(self.0.action_timeout), &response.alarmed);
        let untold = |name: &&String| !report.told.contains(name) && !alarmed.is_done(name);
        // At once, so that one who is away keeps no other waiting.
        let sent = self.0.notifiers.defaults().iter().filter(untold).map(async |name| {
            self.0.notifiers.send(name, &message, limit.calls).await?;
            alarmed.done(name);
            Ok(())
        });
        join_all(sent).await.into_iter().collect()
    }
}
