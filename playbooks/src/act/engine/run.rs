//! One pass over a response: guardrails, then the actions in order.

use jiff::Timestamp;
use tokio::sync::OnceCell;
use tokio_util::sync::CancellationToken;
use tracing::{Instrument as _, Span, field::Empty, trace_span};

use super::Engine;
use crate::{
    act::{
        action::{Context, Limit},
        guard::judge_age,
        outcome::{Failure, FailureKind, Guardrail, Outcome, Refusal, SkipReason},
        progress::Todo,
        reach,
        report::Report,
        response::{Next, Response, Standing, Start},
        trace::SPANS,
    },
    decide::Mode,
};

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

/// One try of a step.
struct Tried {
    outcome: Outcome,
    /// True where the cluster may have been changed by it.
    changes: bool,
}

impl Engine {
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
            let Some(Tried { outcome, changes }) = self.step(response, todo, lost).await else {
                return Advance::Lost;
            };
            let next = response.judge(todo, outcome);
            response.clock(next.waits_for());
            match next {
                Next::Conclude(outcome) => {
                    if changes {
                        let target = response.standing().target().map(AsRef::as_ref);
                        self.0.guardrails.learn(target, &outcome);
                    }
                    response.progress_mut().conclude(at, outcome);
                }
                Next::Wait { failure, costs_attempt } => {
                    let waits = response.progress_mut().again(at, failure, costs_attempt);
                    if let Some(failure) = waits {
                        return Advance::Retry(failure);
                    }
                }
            }
        }
        let waits_for = response.progress_mut().waiting();
        // Later steps may have ended the outage that an earlier one still waits in.
        response.clock(waits_for.as_ref());
        match waits_for {
            Some(failure) => Advance::Retry(failure),
            None => self.file(response).await,
        }
    }

    fn start(&self, response: &mut Response) {
        if response.start().is_some() {
            return;
        }
        let at = Timestamp::now();
        let mode = response.plan().playbook.mode.min(self.0.mode_cap);
        let scope = self.0.guardrails.judge_scope(response.occurrence(), response.standing(), at);
        let budget = OnceCell::new();
        response.set_start(Start { at, mode, scope, budget });
    }

    /// `None` where the delivery was lost before the action began.
    async fn step(
        &self,
        response: &Response,
        todo: &Todo,
        lost: &CancellationToken,
    ) -> Option<Tried> {
        let start = response.start()?;
        let held_back = tokio::select! {
            biased;
            // The guards may take a while.
            () = lost.cancelled() => return None,
            held_back = self.hold_back(response, todo, start).instrument(guardrails(todo)) => held_back,
        };
        // In the same moment as they answered.
        if lost.is_cancelled() {
            return None;
        }
        if let Some(outcome) = held_back {
            return Some(Tried { outcome, changes: false });
        }
        if let Some(outcome) = self.write_down(response, todo, start, lost).await? {
            return Some(Tried { outcome, changes: false });
        }
        if let Some(outcome) = self.admit(response, todo, start) {
            return Some(Tried { outcome, changes: false });
        }
        let span = action(todo);
        let outcome = self.apply(response, todo, start).instrument(span.clone()).await;
        told(&span, &outcome);
        let changes = todo.step.action.changes_cluster() && start.mode == Mode::Enforce;
        Some(Tried { outcome, changes })
    }

    /// The outcome of a step that is not to run: held by what came before, by its target, a guard or the mode.
    async fn hold_back(&self, response: &Response, todo: &Todo, start: &Start) -> Option<Outcome> {
        let (action, standing) = (&todo.step.action, response.standing());
        if let Some(refusal) = reach::judge(&response.plan().playbook, standing) {
            return Some(refusal.into());
        }
        if let Some(why) = todo.held_by.as_ref().filter(|_| todo.step.acts()) {
            return Some(Outcome::Skipped(SkipReason::Stopped, why.clone()));
        }
        if action.needs_target() {
            match standing {
                Standing::Target(_) => {}
                Standing::Gone(_) if action.answers_gone() => {}
                Standing::Node(_) if action.takes_node() => {}
                Standing::Node(node) => {
                    let why = format!("the event is about {}, and no pod", node.object());
                    return Some(Outcome::refused(Guardrail::Identity, why));
                }
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
        if let Some(outcome) = unselected(response, todo) {
            return Some(outcome);
        }
        match self.judge(response, todo, start).await {
            Ok(None) => {}
            Ok(Some(refused)) => return Some(refused),
            // A guard that can't be judged is never a yes, and no failure of the action either.
            Err(failure) => return Some(Outcome::Failed(retryable(failure))),
        }
        let would = || format!("would {}", action.describe());
        match start.mode {
            Mode::Observe => Some(Outcome::Skipped(SkipReason::Observe, would())),
            Mode::DryRun if !action.supports_dry_run() => {
                Some(Outcome::Skipped(SkipReason::DryRun, would()))
            }
            Mode::DryRun | Mode::Enforce => None,
        }
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
        // It allows more, never less.
        let age = occurrence.max_age.map_or(age, |allowed| allowed.max(age));
        let since = occurrence.approved.map_or(occurrence.time, |at| at.max(occurrence.time));
        let age = || judge_age(since, start.at, age);
        if !action.changes_cluster() {
            if let Some(refusal) = age() {
                return Ok(Some(refusal.into()));
            }
            // A playbook that only tells is held by its budget as well; one that contains still tells of it.
            let refusal = match response.plan().contains() {
                true => None,
                false => self.judge_budget(response, start).await?,
            };
            return Ok(refusal.map(Outcome::from));
        }
        if let Some(refusal) = start.scope.clone().or_else(age) {
            return Ok(Some(refusal.into()));
        }
        let target = response.standing().target().map(AsRef::as_ref);
        let guardrails = &self.0.guardrails;
        if let Some(refusal) = guardrails.judge_change(self.0.api.as_ref(), target).await? {
            return Ok(Some(refusal.into()));
        }
        // Behind what would hold it back anyway: a token is for what is going to be done.
        let refusal = self.judge_budget(response, start).await?;
        Ok(refusal.map(Outcome::from))
    }

    /// The breaker's last word, next before the change: whoever gets this far takes a slot, and nothing that only waits does.
    fn admit(&self, response: &Response, todo: &Todo, start: &Start) -> Option<Outcome> {
        if !todo.step.action.changes_cluster() {
            return None;
        }
        let target = response.standing().target().map(AsRef::as_ref);
        self.0.guardrails.admit(target, start.mode).map(Outcome::from)
    }

    /// Once for a response, however often it is tried.
    async fn judge_budget(
        &self,
        response: &Response,
        start: &Start,
    ) -> Result<Option<Refusal>, Failure> {
        let about = (response.occurrence().as_ref(), response.standing());
        let (api, plan) = (self.0.api.as_ref(), response.plan());
        let judged = start.budget.get_or_try_init(async || {
            self.0.guardrails.judge_budget(api, plan, start.mode, about).await
        });
        judged.await.cloned()
    }

    async fn apply(&self, response: &Response, todo: &Todo, start: &Start) -> Outcome {
        let so_far = response.steps();
        let context = Context {
            api: self.0.api.as_ref(),
            notifiers: &self.0.notifiers,
            guardrails: &self.0.guardrails,
            occurrence: response.occurrence(),
            standing: response.standing(),
            playbook: &response.plan().playbook.name,
            mode: start.mode,
            so_far: &so_far,
            limit: Limit::within(self.0.action_timeout),
            marks: &todo.marks,
            gathered: &todo.gathered,
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
}

/// The span of what may hold a step back.
fn guardrails(todo: &Todo) -> Span {
    trace_span!(target: SPANS, "guardrails", "stoop.action" = todo.step.action.name())
}

/// The span of one try of a step.
fn action(todo: &Todo) -> Span {
    let name = todo.step.action.name();
    trace_span!(
        target: SPANS, "action", otel.name = %format_args!("action {name}"), "stoop.action" = name,
        "stoop.outcome" = Empty, "otel.status_code" = Empty,
    )
}

fn told(span: &Span, outcome: &Outcome) {
    span.record("stoop.outcome", outcome.as_str());
    if matches!(outcome, Outcome::Failed(_)) {
        span.record("otel.status_code", "ERROR");
    }
}

/// The outcome of what goes beyond telling, where the playbook chooses its targets and this one's identity is not verified.
fn unselected(response: &Response, todo: &Todo) -> Option<Outcome> {
    let action = &todo.step.action;
    let goes_beyond = action.changes_cluster() || action.answers_each_event();
    if !goes_beyond || !response.plan().playbook.needs_object() {
        return None;
    }
    match response.standing() {
        Standing::Unidentified(why) => Some(Outcome::refused(Guardrail::Identity, why)),
        Standing::Gone(gone) if action.changes_cluster() && !action.needs_target() => {
            Some(action.on_gone(gone))
        }
        _ => None,
    }
}

/// A guard's permanent error becomes one that uses up attempts: then the event is dead-lettered, never acted on.
fn retryable(failure: Failure) -> Failure {
    match failure.kind {
        FailureKind::Permanent => Failure { kind: FailureKind::Transient, ..failure },
        FailureKind::Transient | FailureKind::Unavailable(_) => failure,
    }
}
