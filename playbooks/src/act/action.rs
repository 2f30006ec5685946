//! The joint at which actions are added: what one is, and what it is told.

use std::{
    collections::BTreeSet,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use async_trait::async_trait;
use tokio::time::Instant;

use super::{
    api::{Api, Permission},
    config::ConfigError,
    guard::Guardrails,
    notify::Notifiers,
    occurrence::Occurrence,
    outcome::{Failure, Outcome, SkipReason},
    reach,
    response::{Standing, StepReport},
    responses::{EvidenceRef, Undo},
    target::{Gone, Verified, VerifiedNode},
};
use crate::decide::Mode;

/// One configured action of a playbook.
///
/// `apply` may run again after a crash, a redelivery or a transient failure, on this worker or another: it
/// has to find what was already done and say [`Outcome::AlreadyDone`]. Its future is dropped at the action's
/// time limit.
#[async_trait]
pub trait Action: Send + Sync {
    /// The key under which playbooks name it.
    fn name(&self) -> &'static str;

    /// What it does, in the imperative, for `explain` and for modes that only say what would be done.
    fn describe(&self) -> String;

    /// True where it can only run on a verified target; then `apply` is called with [`Subject::Target`], and where
    /// [`Action::takes_node`] says so with [`Subject::Node`].
    fn needs_target(&self) -> bool;

    /// True where it can also be applied to the node that a host event names: with [`Subject::Node`].
    fn takes_node(&self) -> bool {
        false
    }

    /// True where it contains: guardrails are judged before it, and someone is told when it does not happen.
    fn changes_cluster(&self) -> bool;

    /// True where it is about the event itself and not about its target: then each event is answered for itself, and never by
    /// what another one about the same target came to.
    fn answers_each_event(&self) -> bool {
        false
    }

    /// Whether a playbook may have it, as it is configured, that is bound to one namespace: nothing that it does may reach
    /// beyond its verified target there.
    ///
    /// # Errors
    ///
    /// It may, which is taken for granted of an action that doesn't say otherwise.
    fn within_namespace(&self) -> Result<(), ConfigError> {
        Err(reach::reaches_beyond(self.name()))
    }

    /// The rights that it takes on the API server, beyond reading its target.
    fn permissions(&self) -> Vec<Permission> {
        Vec::new()
    }

    /// The greatest age of an event that it still answers, unless the playbook's limits say otherwise.
    fn max_event_age(&self) -> Duration {
        match self.changes_cluster() {
            true => Duration::from_secs(5 * 60),
            false => Duration::from_secs(24 * 60 * 60),
        }
    }

    /// True where `apply` honours [`Context::dry_run`]; any other action is only described in a dry run.
    fn supports_dry_run(&self) -> bool {
        false
    }

    /// How what it changes is taken back; `None` where it can't be. Only then a playbook may give it an `expireAfter`.
    fn undo(&self) -> Option<Undo> {
        None
    }

    /// True where `apply` is called with [`Subject::Gone`] for a target that is verified to be gone, in place of `on_gone`.
    fn answers_gone(&self) -> bool {
        false
    }

    /// The outcome where its target is verified to be gone.
    fn on_gone(&self, gone: &Gone) -> Outcome {
        Outcome::Skipped(SkipReason::Gone, gone.why.clone())
    }

    /// Does it, once, or finds it done.
    async fn apply(&self, cx: &Context<'_>, subject: Subject<'_>) -> Outcome;
}

/// What an action is applied to.
#[derive(Debug, Clone, Copy)]
pub enum Subject<'a> {
    /// The verified target. A write must carry [`Verified::uid`].
    Target(&'a Arc<Verified>),
    /// The verified node of a host event, for who takes it. A write must carry [`VerifiedNode::uid`].
    Node(&'a Arc<VerifiedNode>),
    /// The event's target is gone; only actions that need none are applied then.
    Gone(&'a Gone),
    /// The event alone.
    Event,
}

/// What an action can use and may want to know.
pub struct Context<'a> {
    pub(super) api: Option<&'a Api>,
    pub(super) notifiers: &'a Notifiers,
    pub(super) guardrails: &'a Guardrails,
    pub(super) occurrence: &'a Occurrence,
    pub(super) standing: &'a Standing,
    pub(super) playbook: &'a str,
    pub(super) mode: Mode,
    pub(super) so_far: &'a [StepReport],
    pub(super) limit: Limit,
    pub(super) marks: &'a Marks,
    pub(super) gathered: &'a Gathered,
}

impl<'a> Context<'a> {
    /// The API server; each call ends in time for the action to say what became of it.
    ///
    /// # Errors
    ///
    /// Where the worker has no cluster; never for an action that has a verified target.
    pub fn api(&self) -> Result<Api, Failure> {
        let api = self.api.ok_or_else(|| {
            Failure::permanent("this worker has no cluster: set KUBECONFIG, or run it in a pod")
        })?;
        Ok(api.until(self.limit.calls))
    }

    /// The event.
    pub fn occurrence(&self) -> &'a Occurrence {
        self.occurrence
    }

    /// The playbook's name.
    pub fn playbook(&self) -> &'a str {
        self.playbook
    }

    /// True where nothing may be changed or sent: writes go out with the server's dry run.
    pub fn dry_run(&self) -> bool {
        self.mode != Mode::Enforce
    }

    /// What the response's earlier steps came to.
    pub fn so_far(&self) -> &'a [StepReport] {
        self.so_far
    }

    /// When the engine drops `apply`.
    pub fn deadline(&self) -> Instant {
        self.limit.cut_off
    }

    /// Takes note of where something that was captured is kept: the response tells of it.
    pub fn gather(&self, evidence: EvidenceRef) {
        self.gathered.add(evidence);
    }

    /// Notes of parts that are done, kept while the response is retried.
    pub fn marks(&self) -> &'a Marks {
        self.marks
    }
}

/// When an action has to be over.
#[derive(Debug, Clone, Copy)]
pub(super) struct Limit {
    /// When calls to others are given up: an outage is then known as one, which it would not be if the action
    /// were cut off in the middle of a call.
    pub(super) calls: Instant,
    /// When the action is dropped.
    pub(super) cut_off: Instant,
}

impl Limit {
    pub(super) fn within(timeout: Duration) -> Limit {
        let cut_off = Instant::now() + timeout;
        Limit { calls: cut_off - timeout / 10, cut_off }
    }

    /// When half of the time that is left for calls has passed.
    pub(super) fn half_of_calls(self) -> Instant {
        let now = Instant::now();
        now + self.calls.saturating_duration_since(now) / 2
    }
}

/// What one step has captured, over all of its tries.
#[derive(Debug, Default)]
pub(super) struct Gathered(Mutex<Vec<EvidenceRef>>);

impl Gathered {
    fn add(&self, evidence: EvidenceRef) {
        let mut all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if !all.contains(&evidence) {
            all.push(evidence);
        }
    }

    pub(super) fn all(&self) -> Vec<EvidenceRef> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

/// The parts of one step that are done, so that a retry of the step doesn't repeat them.
///
/// Kept in memory: after a crash the step starts anew, like everything at-least-once.
#[derive(Debug, Default)]
pub struct Marks(Mutex<BTreeSet<String>>);

impl Marks {
    /// True where the part was marked as done.
    pub fn is_done(&self, part: &str) -> bool {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).contains(part)
    }

    /// Marks a part as done.
    pub fn done(&self, part: &str) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).insert(part.to_owned());
    }

    pub(super) fn all(&self) -> Vec<String> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).iter().cloned().collect()
    }
}
