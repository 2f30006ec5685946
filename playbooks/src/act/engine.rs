//! Runs responses: verification, guardrails, then the actions in order.
//!
//! It keeps no state of its own but what the guardrails remember: a response carries its progress, and the
//! worker decides when to come back to it.

use std::{
    sync::{Arc, OnceLock},
    time::Duration,
};

use futures::future::join_all;
use jiff::Timestamp;
use tokio_util::sync::CancellationToken;

use super::{
    action::{Context, Limit},
    api::{Api, Permission},
    guard::{Guardrails, judge_age},
    notify::{Notification, Notifiers},
    object::ClusterId,
    occurrence::Occurrence,
    outcome::{Failure, FailureKind, Guardrail, Outcome, Refusal, SkipReason},
    progress::Todo,
    report::Report,
    response::{Response, Standing, Start},
    target::{Identify, Needs, Verification, verify},
};
use crate::decide::{Claim, Mode};

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
pub struct Engine(EngineParts);

/// What one pass over a response came to.
#[derive(Debug)]
pub enum Advance {
    /// Every step has its outcome.
    Finished(Box<Report>),
    /// Call again later, with the same response. Attempts and the playbook's time limit are counted here:
    /// what has used them up is finished, not retried.
    Retry(Failure),
    /// `lost` fired: stopped before the next action. The delivery must not be settled.
    Lost,
}

impl Engine {
    /// An engine of these parts.
    pub fn new(parts: EngineParts) -> Engine {
        Engine(parts)
    }

    /// The API server, where the worker has one.
    pub fn api(&self) -> Option<&Api> {
        self.0.api.as_ref()
    }

    /// The rights that the guardrails take, beside those of the plans.
    pub fn permissions(&self) -> Vec<Permission> {
        self.0.guardrails.permissions()
    }

    /// Finds out which live object an event is about.
    ///
    /// `needs` is what the matching plans ask about it, see `Plan::needs`. Call it only for events that a plan
    /// with [`Plan::needs_target`](super::Plan::needs_target) answers.
    ///
    /// # Errors
    ///
    /// Where it can't be told now. A transient failure that waits for the kubelet's report ends by itself,
    /// about half a minute after the event.
    pub async fn verify(
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

    /// One pass over a response: guardrails, then the steps that have no outcome yet, in order.
    ///
    /// Cancel safe: a step that was running when the call is dropped is done again by the next one, and finds
    /// out what it had already changed.
    pub async fn advance(&self, response: &mut Response, lost: &CancellationToken) -> Advance {
        self.start(response);
        while let Some(at) = response.progress().next() {
            if lost.is_cancelled() {
                return Advance::Lost;
            }
            let Some(todo) = response.progress().todo(at) else { break };
            let Some(outcome) = self.step(response, todo, lost).await else { return Advance::Lost };
            let waits_for = response.waits_for(todo, &outcome);
            response.clock(&outcome);
            match waits_for {
                None => response.progress_mut().conclude(at, outcome),
                Some(failure) => {
                    if let Some(failure) = response.progress_mut().again(at, failure) {
                        return Advance::Retry(failure);
                    }
                }
            }
        }
        match response.progress_mut().waiting() {
            Some(failure) => Advance::Retry(failure),
            None => Advance::Finished(Box::new(response.report())),
        }
    }

    fn start(&self, response: &mut Response) {
        if response.start().is_some() {
            return;
        }
        let at = Timestamp::now();
        let mode = response.plan().playbook.mode.min(self.0.mode_cap);
        let scope = self.0.guardrails.judge_scope(response.occurrence(), response.standing(), at);
        let budget = OnceLock::new();
        response.set_start(Start { at, mode, scope, budget });
    }

    /// `None` where the delivery was lost before the action began.
    async fn step(
        &self,
        response: &Response,
        todo: &Todo,
        lost: &CancellationToken,
    ) -> Option<Outcome> {
        let start = response.start()?;
        let (action, standing) = (&todo.step.action, response.standing());
        if let Some(why) = todo.held_by.as_ref().filter(|_| todo.step.acts()) {
            return Some(Outcome::Skipped(SkipReason::Stopped, why.clone()));
        }
        if action.needs_target() {
            match standing {
                Standing::Target(_) => {}
                Standing::Gone(gone) => return Some(action.on_gone(gone)),
                Standing::NoTarget => {
                    return Some(Outcome::refused(
                        Guardrail::Identity,
                        "the event is about no pod",
                    ));
                }
                Standing::Unidentified(why) => {
                    return Some(Outcome::refused(Guardrail::Identity, why));
                }
            }
        }
        match self.judge(response, todo, start).await {
            Ok(None) => {}
            Ok(Some(refused)) => return Some(refused),
            // A guard that can't be judged is never a yes, and no failure of the action either.
            Err(failure) => return Some(Outcome::Failed(retryable(failure))),
        }
        let would = || format!("would {}", action.describe());
        match start.mode {
            Mode::Observe => return Some(Outcome::Skipped(SkipReason::Observe, would())),
            Mode::DryRun if !action.supports_dry_run() => {
                return Some(Outcome::Skipped(SkipReason::DryRun, would()));
            }
            Mode::DryRun | Mode::Enforce => {}
        }
        // The guards may have taken a while.
        if lost.is_cancelled() {
            return None;
        }
        let outcome = self.apply(response, todo, start).await;
        if action.changes_cluster() && start.mode == Mode::Enforce {
            self.0.guardrails.learn(&outcome);
        }
        Some(outcome)
    }

    async fn judge(
        &self,
        response: &Response,
        todo: &Todo,
        start: &Start,
    ) -> Result<Option<Outcome>, Failure> {
        let action = &todo.step.action;
        let (occurrence, limits) = (response.occurrence(), &response.plan().playbook.limits);
        // `limits.maxEventAge` is about changes: an event that is too old to act on can still be told of.
        let age = match (action.changes_cluster(), limits.max_event_age) {
            (true, Some(limit)) => limit,
            (false, Some(limit)) => limit.max(action.max_event_age()),
            (_, None) => action.max_event_age(),
        };
        let age = || judge_age(occurrence.time, start.at, age);
        if !action.changes_cluster() {
            // A playbook that only tells is held by its budget as well; one that contains still tells of it.
            let counts = !response.plan().contains();
            let budget = || counts.then(|| self.judge_budget(response, start)).flatten();
            let refusal = age().or_else(budget);
            return Ok(refusal.map(Outcome::from));
        }
        let budget = || self.judge_budget(response, start);
        if let Some(refusal) = start.scope.clone().or_else(age).or_else(budget) {
            return Ok(Some(refusal.into()));
        }
        let target = response.standing().target().map(AsRef::as_ref);
        let refusal =
            self.0.guardrails.judge_change(self.0.api.as_ref(), target, start.mode).await?;
        Ok(refusal.map(Outcome::from))
    }

    /// Once for a response, however often it is tried.
    fn judge_budget(&self, response: &Response, start: &Start) -> Option<Refusal> {
        let (playbook, guardrails) = (&response.plan().playbook, &self.0.guardrails);
        let judged = start.budget.get_or_init(|| {
            guardrails.judge_budget(
                playbook,
                start.mode,
                response.occurrence(),
                response.standing(),
            )
        });
        judged.clone()
    }

    async fn apply(&self, response: &Response, todo: &Todo, start: &Start) -> Outcome {
        let so_far = response.steps();
        let context = Context {
            api: self.0.api.as_ref(),
            notifiers: &self.0.notifiers,
            occurrence: response.occurrence(),
            standing: response.standing(),
            playbook: &response.plan().playbook.name,
            mode: start.mode,
            so_far: &so_far,
            limit: Limit::within(self.0.action_timeout),
            marks: &todo.marks,
        };
        let action = &todo.step.action;
        let applied = action.apply(&context, response.standing().subject());
        match tokio::time::timeout_at(context.limit.cut_off, applied).await {
            Ok(outcome) => outcome,
            Err(_) => {
                let limit = humantime::format_duration(self.0.action_timeout);
                Failure::transient(format!("{} did not end within {limit}", action.name())).into()
            }
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

/// A guard's permanent error becomes one that uses up attempts: then the event is dead-lettered, never acted on.
fn retryable(failure: Failure) -> Failure {
    match failure.kind {
        FailureKind::Permanent => Failure { kind: FailureKind::Transient, ..failure },
        FailureKind::Transient | FailureKind::Unavailable(_) => failure,
    }
}
