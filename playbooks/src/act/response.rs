//! One playbook's answer on one target: what is still to do, and what each step came to.

use std::{collections::VecDeque, sync::Arc, time::Duration};

use jiff::Timestamp;
use serde::{Serialize, ser::SerializeMap as _};
use tokio::time::Instant;

use super::{
    action::{Marks, Subject},
    occurrence::Occurrence,
    outcome::{Failure, FailureKind, Outcome, Refusal, SkipReason},
    registry::{BoundFailure, BoundStep, Plan},
    report::Report,
    target::{Gone, Verification, Verified},
};
use crate::decide::Mode;

/// What a response is about, as verification found it.
#[derive(Debug, Clone)]
pub enum Standing {
    /// The verified target.
    Target(Arc<Verified>),
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
            Verification::Gone(gone) => Some(Standing::Gone(gone)),
            Verification::NoTarget => Some(Standing::NoTarget),
            Verification::Refused(why) => Some(Standing::Unidentified(why)),
            Verification::ForeignCluster => None,
        }
    }

    /// The verified target, where there is one.
    pub fn target(&self) -> Option<&Arc<Verified>> {
        match self {
            Standing::Target(target) => Some(target),
            Standing::Gone(_) | Standing::NoTarget | Standing::Unidentified(_) => None,
        }
    }

    pub(super) fn subject(&self) -> Subject<'_> {
        match self {
            Standing::Target(target) => Subject::Target(target),
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
}

impl Serialize for StepReport {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut out = serializer.serialize_map(Some(4))?;
        out.serialize_entry("action", self.action)?;
        out.serialize_entry("outcome", self.outcome.as_str())?;
        out.serialize_entry("reason", &self.outcome.reason())?;
        out.serialize_entry("detail", self.outcome.detail())?;
        out.end()
    }
}

/// A response while it runs. It lives in memory: what a crash loses, a redelivery finds done and goes on from.
pub struct Response {
    plan: Arc<Plan>,
    standing: Standing,
    occurrence: Arc<Occurrence>,
    todo: VecDeque<Todo>,
    /// By position in the playbook, since a step that waits is overtaken.
    done: Vec<(Position, StepReport)>,
    start: Option<Start>,
    /// Who was told since the last containment that did not happen.
    told: Vec<String>,
    began: Instant,
    /// Time spent in outages that are over, and since when one goes on.
    away: Duration,
    away_since: Option<Instant>,
}

/// Where a step stands in the playbook, a fallback's steps behind the step that they answer.
pub(super) type Position = Vec<usize>;

/// A step that has no final outcome yet.
pub(super) struct Todo {
    pub(super) step: Arc<BoundStep>,
    position: Position,
    pub(super) attempts: u32,
    pub(super) marks: Marks,
    /// Why only what tells may still run.
    pub(super) held_by: Option<String>,
    /// What it waits for, where later steps were let past.
    waits: Option<Failure>,
}

/// What is judged once, when a response starts.
#[derive(Debug, Clone)]
pub(super) struct Start {
    pub(super) at: Timestamp,
    pub(super) mode: Mode,
    pub(super) scope: Option<Refusal>,
    pub(super) budget: Option<Refusal>,
}

impl Response {
    /// A response that has not started.
    pub fn new(plan: Arc<Plan>, standing: Standing, occurrence: Arc<Occurrence>) -> Response {
        let mut response = Response {
            plan,
            standing,
            occurrence,
            todo: VecDeque::new(),
            done: Vec::new(),
            start: None,
            told: Vec::new(),
            began: Instant::now(),
            away: Duration::ZERO,
            away_since: None,
        };
        let plan = Arc::clone(&response.plan);
        response.todo = todos(&plan.steps, &[]).collect();
        response
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
        self.done.iter().map(|(_, report)| report.clone()).collect()
    }

    /// Ends it where it stands, since the worker gives up: everything left is failed or held.
    ///
    /// For failures outside of any step, such as a verification that used up its attempts.
    pub fn abandon(&mut self, failure: Failure) -> Report {
        while let Some(todo) = self.todo.pop_front() {
            let failed =
                self.done.iter().any(|(_, report)| matches!(report.outcome, Outcome::Failed(_)));
            let outcome = match failed {
                false => Outcome::Failed(failure.clone()),
                true => Outcome::Skipped(SkipReason::Stopped, "the response was given up".into()),
            };
            self.record(&todo, outcome);
        }
        self.report()
    }

    /// Time that counts against the playbook's limit: all but what outages took.
    pub(super) fn spent(&self) -> Duration {
        self.began.elapsed().saturating_sub(self.away)
    }

    /// Takes note of an outage's beginning or end.
    pub(super) fn clock(&mut self, outcome: &Outcome) {
        let away = matches!(outcome, Outcome::Failed(failure) if matches!(failure.kind, FailureKind::Unavailable(_)));
        match (away, self.away_since) {
            (true, None) => self.away_since = Some(Instant::now()),
            (false, Some(since)) => {
                self.away += since.elapsed();
                self.away_since = None;
            }
            (true, Some(_)) | (false, None) => {}
        }
    }

    pub(super) fn start(&self) -> Option<&Start> {
        self.start.as_ref()
    }

    pub(super) fn set_start(&mut self, start: Start) {
        self.start = Some(start);
    }

    /// The step to do next; `None` where all that is left waits for someone who is away.
    pub(super) fn next(&mut self) -> Option<Todo> {
        let at = self.todo.iter().position(|todo| todo.waits.is_none())?;
        self.todo.remove(at)
    }

    /// What the waiting steps wait for, and lets them be tried again; `None` where nothing is left.
    pub(super) fn waiting(&mut self) -> Option<Failure> {
        let mut waits: Vec<_> = self.todo.iter_mut().filter_map(|todo| todo.waits.take()).collect();
        waits.sort_by_key(|failure| failure.kind == FailureKind::Transient);
        waits.into_iter().next()
    }

    /// Puts a step back, to be the next one again.
    pub(super) fn put_back(&mut self, todo: Todo) {
        self.todo.push_front(todo);
    }

    /// Puts a step back and lets the later ones past it.
    pub(super) fn put_aside(&mut self, mut todo: Todo, failure: Failure) {
        todo.waits = Some(failure);
        self.todo.push_back(todo);
    }

    /// Records a step's final outcome, and what follows from it for the steps behind.
    pub(super) fn conclude(&mut self, todo: Todo, outcome: Outcome) {
        let action = todo.step.action.name();
        let goes_on = matches!(todo.step.on_failure, BoundFailure::Continue);
        match &outcome {
            Outcome::Failed(_) if !goes_on => {
                self.hold_back(&todo.position, &format!("{action} failed"));
                if let BoundFailure::Run(fallback) = &todo.step.on_failure {
                    let steps: Vec<_> = todos(fallback, &todo.position).collect();
                    for step in steps.into_iter().rev() {
                        self.todo.push_front(step);
                    }
                }
            }
            // A refusal holds back the changes behind it, not those who tell of it.
            Outcome::Refused(_) if !goes_on && todo.step.acts() => {
                self.hold_back(&todo.position, &format!("{action} was refused"));
            }
            _ => {}
        }
        if todo.step.action.changes_cluster() && !outcome.ended_well() {
            // Whoever was told before this doesn't know of it.
            self.told.clear();
        }
        self.told.extend(todo.marks.all());
        self.record(&todo, outcome);
    }

    fn hold_back(&mut self, behind: &Position, why: &str) {
        for todo in self.todo.iter_mut().filter(|todo| todo.position > *behind) {
            todo.held_by.get_or_insert_with(|| why.to_owned());
        }
    }

    fn record(&mut self, todo: &Todo, outcome: Outcome) {
        let action = &todo.step.action;
        let report =
            StepReport { action: action.name(), contains: action.changes_cluster(), outcome };
        let at = self.done.partition_point(|(position, _)| *position < todo.position);
        self.done.insert(at, (todo.position.clone(), report));
    }

    pub(super) fn report(&self) -> Report {
        let mode = self.start.as_ref().map_or(self.plan.playbook.mode, |start| start.mode);
        Report::new(
            &self.plan.playbook,
            mode,
            &self.standing,
            &self.occurrence,
            self.steps(),
            self.told.clone(),
        )
    }
}

fn todos(steps: &[Arc<BoundStep>], below: &[usize]) -> impl Iterator<Item = Todo> {
    steps.iter().enumerate().map(move |(index, step)| Todo {
        step: Arc::clone(step),
        position: below.iter().copied().chain([index]).collect(),
        attempts: 0,
        marks: Marks::default(),
        held_by: None,
        waits: None,
    })
}
