//! One playbook's answer on one target: what is still to do, and what each step came to.

use std::{
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use jiff::Timestamp;
use serde::{Serialize, ser::SerializeMap as _};
use tokio::{sync::OnceCell, time::Instant};

use super::{
    action::{Marks, Subject},
    object::Uid,
    occurrence::Occurrence,
    outcome::{Failure, FailureKind, Outcome, Refusal, SkipReason},
    progress::{Progress, Todo},
    registry::Plan,
    report::Report,
    responses::{EvidenceRef, Recording},
    target::{Gone, Needs, Verification, Verified, VerifiedNode},
};
use crate::decide::Mode;

/// What a response is about, as verification found it.
#[derive(Debug, Clone)]
pub enum Standing {
    /// The verified target.
    Target(Arc<Verified>),
    /// The verified node of a host event.
    Node(Arc<VerifiedNode>),
    /// The target is verified to be gone.
    Gone(Gone),
    /// The event is about no pod.
    NoTarget,
    /// No identity could be verified, and why: what needs a target is refused.
    Unidentified(String),
}

impl Standing {
    /// `None` for another cluster's event, which nothing answers.
    pub fn of(verification: Verification) -> Option<Standing> {
        match verification {
            Verification::Target(target) => Some(Standing::Target(target)),
            Verification::Node(node) => Some(Standing::Node(node)),
            Verification::Gone(gone) => Some(Standing::Gone(gone)),
            Verification::NoTarget => Some(Standing::NoTarget),
            Verification::Refused(why) => Some(Standing::Unidentified(why)),
            Verification::ForeignCluster => None,
        }
    }

    /// The verified pod, where there is one.
    pub fn target(&self) -> Option<&Arc<Verified>> {
        match self {
            Standing::Target(target) => Some(target),
            Standing::Node(_)
            | Standing::Gone(_)
            | Standing::NoTarget
            | Standing::Unidentified(_) => None,
        }
    }

    /// Why what has these needs can't be judged by it.
    pub fn unread(&self, needs: Needs) -> impl Iterator<Item = &Failure> {
        self.target().into_iter().flat_map(move |target| target.unread(needs))
    }

    /// The uid of the verified pod or node.
    pub fn uid(&self) -> Option<&Uid> {
        match self {
            Standing::Target(target) => Some(target.uid()),
            Standing::Node(node) => Some(node.uid()),
            Standing::Gone(_) | Standing::NoTarget | Standing::Unidentified(_) => None,
        }
    }

    pub(super) fn subject(&self) -> Subject<'_> {
        match self {
            Standing::Target(target) => Subject::Target(target),
            Standing::Node(node) => Subject::Node(node),
            Standing::Gone(gone) => Subject::Gone(gone),
            Standing::NoTarget | Standing::Unidentified(_) => Subject::Event,
        }
    }
}

/// What one step came to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StepReport {
    /// The action's name.
    pub action: &'static str,
    /// True where the action contains: someone must be told if it was not done.
    pub contains: bool,
    /// What became of it.
    pub outcome: Outcome,
    /// What it has captured.
    pub evidence: Vec<EvidenceRef>,
    /// When it ended.
    pub at: Timestamp,
}

impl StepReport {
    /// True for a containment that did not happen.
    pub fn is_undone(&self) -> bool {
        let stopped = matches!(self.outcome, Outcome::Skipped(SkipReason::Stopped, _));
        self.contains && (stopped || !self.outcome.ended_well())
    }
}

impl Serialize for StepReport {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut out = serializer.serialize_map(None)?;
        out.serialize_entry("action", self.action)?;
        out.serialize_entry("outcome", self.outcome.as_str())?;
        out.serialize_entry("reason", &self.outcome.reason())?;
        out.serialize_entry("detail", self.outcome.detail())?;
        if !self.evidence.is_empty() {
            out.serialize_entry("evidence", &self.evidence)?;
        }
        out.end()
    }
}

/// A response while it runs. It lives in memory: what a crash loses, a redelivery finds done and goes on from.
pub struct Response {
    plan: Arc<Plan>,
    standing: Standing,
    occurrence: Arc<Occurrence>,
    start: Option<Start>,
    progress: Progress,
    stopwatch: Stopwatch,
    pub(super) recording: Recording,
    /// Failures to write down what came of it.
    unfiled: u32,
    members: Arc<AtomicU64>,
    /// Which of the default notifiers have been told.
    pub(super) alarmed: Marks,
}

/// What is judged once, when a response starts.
#[derive(Debug)]
pub(super) struct Start {
    pub(super) at: Timestamp,
    pub(super) mode: Mode,
    pub(super) scope: Option<Refusal>,
    /// Judged for the first step that nothing else holds back: what is refused anyway takes nothing from it.
    pub(super) budget: OnceCell<Option<Refusal>>,
}

impl Response {
    /// A response that has not started.
    pub fn new(plan: Arc<Plan>, standing: Standing, occurrence: Arc<Occurrence>) -> Response {
        let progress = Progress::new(&plan.steps);
        Response {
            plan,
            standing,
            occurrence,
            start: None,
            progress,
            stopwatch: Stopwatch::start(),
            recording: Recording::default(),
            unfiled: 0,
            members: Arc::new(AtomicU64::new(1)),
            alarmed: Marks::default(),
        }
    }

    /// For the events that `members` counts while it runs; without, there is one.
    #[must_use]
    pub fn for_members(self, members: Arc<AtomicU64>) -> Response {
        Response { members, ..self }
    }

    pub(super) fn members(&self) -> u64 {
        self.members.load(Ordering::Relaxed)
    }

    /// The plan that it follows.
    pub fn plan(&self) -> &Arc<Plan> {
        &self.plan
    }

    /// What it is about.
    pub fn standing(&self) -> &Standing {
        &self.standing
    }

    /// The event that began it.
    pub fn occurrence(&self) -> &Arc<Occurrence> {
        &self.occurrence
    }

    /// What has a final outcome, in the playbook's order.
    pub fn steps(&self) -> Vec<StepReport> {
        self.progress.reports()
    }

    /// Ends it where it stands, since the worker gives up: everything left is failed or held.
    ///
    /// For failures outside of any step, such as a verification that used up its attempts.
    pub fn abandon(&mut self, failure: Failure) -> Report {
        self.progress.abandon(&failure);
        self.report()
    }

    pub(super) fn start(&self) -> Option<&Start> {
        self.start.as_ref()
    }

    pub(super) fn set_start(&mut self, start: Start) {
        self.start = Some(start);
    }

    /// Takes note of an outage's beginning or end, by what the response has to wait for now.
    pub(super) fn clock(&mut self, waits_for: Option<&Failure>) {
        self.stopwatch.turn(waits_for.is_some_and(Failure::is_vital_outage));
    }

    pub(super) fn progress(&self) -> &Progress {
        &self.progress
    }

    pub(super) fn progress_mut(&mut self) -> &mut Progress {
        &mut self.progress
    }

    /// What follows for a step from the outcome of a try.
    ///
    /// An outage of what every answer needs is waited for without end; one of what this step alone needs, and what is
    /// under way, use up the playbook's time; a transient failure uses up attempts, too.
    pub(super) fn judge(&self, todo: &Todo, outcome: Outcome) -> Next {
        let limits = &self.plan.playbook.limits;
        let in_time = self.stopwatch.spent() < limits.timeout;
        match outcome {
            Outcome::Pending(why) if in_time => {
                let failure =
                    Failure::transient(why).after(Some(look_again(self.stopwatch.spent())));
                Next::Wait { failure, costs_attempt: false }
            }
            // Nobody would look at it again: taken for an end, it would be acknowledged as done.
            Outcome::Pending(why) => {
                let why = format!("{why}: not over within limits.timeout");
                Next::Conclude(Failure::transient(why).held_up().into())
            }
            Outcome::Failed(failure) => match failure.kind {
                FailureKind::Unavailable(ref dependency) if in_time || dependency.is_vital() => {
                    Next::Wait { failure, costs_attempt: false }
                }
                // The try that has just failed is not counted yet.
                FailureKind::Transient if in_time && todo.attempts + 1 < limits.attempts => {
                    Next::Wait { failure, costs_attempt: true }
                }
                FailureKind::Unavailable(_) | FailureKind::Transient | FailureKind::Permanent => {
                    Next::Conclude(failure.into())
                }
            },
            outcome => Next::Conclude(outcome),
        }
    }

    /// What follows from a failure to write down what came of it: `None` where it is to be tried again.
    ///
    /// As for a step, but what was done is done: it is the event that is kept among the dead letters then.
    pub(super) fn unfiled(&mut self, failure: &Failure) -> Option<Report> {
        let limits = &self.plan.playbook.limits;
        let is_final = match failure.kind {
            FailureKind::Unavailable(_) => false,
            FailureKind::Permanent => true,
            FailureKind::Transient => {
                self.unfiled += 1;
                self.unfiled >= limits.attempts || self.stopwatch.spent() >= limits.timeout
            }
        };
        is_final.then(|| {
            self.progress.unfiled(failure);
            self.report()
        })
    }

    pub(super) fn report(&self) -> Report {
        let mode = self.start.as_ref().map_or(self.plan.playbook.mode, |start| start.mode);
        Report::new(
            &self.plan.playbook,
            mode,
            &self.standing,
            &self.occurrence,
            self.steps(),
            self.progress.told().to_vec(),
        )
    }
}

/// What follows for a step from the outcome of a try.
pub(super) enum Next {
    /// The outcome is final.
    Conclude(Outcome),
    /// It is to be tried again.
    Wait { failure: Failure, costs_attempt: bool },
}

impl Next {
    pub(super) fn waits_for(&self) -> Option<&Failure> {
        match self {
            Next::Conclude(_) => None,
            Next::Wait { failure, .. } => Some(failure),
        }
    }
}

/// When to look again at what has been under way for so long: late by an eighth at the most, since what follows waits
/// for it, and never so often that looking costs more than it tells.
///
/// No growing backoff: that is for a server that fails, and would see the end of a capture half a minute late.
fn look_again(spent: Duration) -> Duration {
    (spent / 8).clamp(Duration::from_millis(500), Duration::from_secs(5))
}

/// Time that counts against the playbook's limit: all but what outages took of what every answer needs.
struct Stopwatch {
    began: Instant,
    away: Duration,
    away_since: Option<Instant>,
}

impl Stopwatch {
    fn start() -> Stopwatch {
        Stopwatch { began: Instant::now(), away: Duration::ZERO, away_since: None }
    }

    fn spent(&self) -> Duration {
        // With the outage under way: only the try that it ends with tells that it is over.
        let away = self.away + self.away_since.map_or(Duration::ZERO, |since| since.elapsed());
        self.began.elapsed().saturating_sub(away)
    }

    fn turn(&mut self, away: bool) {
        match (away, self.away_since) {
            (true, None) => self.away_since = Some(Instant::now()),
            (false, Some(since)) => {
                self.away += since.elapsed();
                self.away_since = None;
            }
            (true, Some(_)) | (false, None) => {}
        }
    }
}
