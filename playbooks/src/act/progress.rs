//! The steps of a response: what is to do, in which order, and what each step's outcome means for the others.
//!
//! A step stays in the queue until its outcome is recorded, so that dropping a running one loses nothing.

use std::{collections::VecDeque, sync::Arc};

use jiff::Timestamp;

use super::{
    action::{Gathered, Marks},
    outcome::{Failure, FailureKind, Outcome, SkipReason},
    registry::{BoundFailure, BoundStep},
    response::StepReport,
};

/// Where a step stands in the playbook, a fallback's steps behind the step that they answer.
type Position = Vec<usize>;

/// A step that has no final outcome yet.
pub(super) struct Todo {
    pub(super) step: Arc<BoundStep>,
    position: Position,
    /// How many tries have failed.
    pub(super) attempts: u32,
    pub(super) marks: Marks,
    pub(super) gathered: Gathered,
    /// Why only what tells may still run.
    pub(super) held_by: Option<String>,
    /// What it waits for, where later steps were let past.
    waits: Option<Failure>,
}

impl Todo {
    /// True where the later steps may go on while this one waits: those who can't be told now must not hold
    /// back what contains the attack.
    fn can_wait(&self) -> bool {
        !self.step.acts() && matches!(self.step.on_failure, BoundFailure::Continue)
    }
}

/// What is done and what is not.
pub(super) struct Progress {
    todo: VecDeque<Todo>,
    /// In the playbook's order, since a step that waits is overtaken.
    done: Vec<(Position, StepReport)>,
    /// Who was told since the last containment that did not happen.
    told: Vec<String>,
}

impl Progress {
    pub(super) fn new(steps: &[Arc<BoundStep>]) -> Progress {
        Progress { todo: todos(steps, &[]).collect(), done: Vec::new(), told: Vec::new() }
    }

    /// The step to do next; `None` where all that is left waits for someone who is away.
    pub(super) fn next(&self) -> Option<usize> {
        self.todo.iter().position(|todo| todo.waits.is_none())
    }

    pub(super) fn todo(&self, at: usize) -> Option<&Todo> {
        self.todo.get(at)
    }

    /// What the waiting steps wait for, and lets them be tried again; `None` where nothing is left.
    pub(super) fn waiting(&mut self) -> Option<Failure> {
        let mut waits: Vec<_> = self.todo.iter_mut().filter_map(|todo| todo.waits.take()).collect();
        waits.sort_by_key(|failure| failure.kind == FailureKind::Transient);
        waits.into_iter().next()
    }

    /// Leaves a step to be tried again. The failure comes back where everything has to wait for it.
    pub(super) fn again(
        &mut self,
        at: usize,
        failure: Failure,
        costs_attempt: bool,
    ) -> Option<Failure> {
        let Some(todo) = self.todo.get_mut(at) else { return Some(failure) };
        todo.attempts += u32::from(costs_attempt);
        if todo.can_wait() {
            todo.waits = Some(failure);
            return None;
        }
        Some(failure)
    }

    /// Records a step's final outcome, and what follows from it for the steps behind.
    pub(super) fn conclude(&mut self, at: usize, outcome: Outcome) {
        let Some(todo) = self.todo.remove(at) else { return };
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
        self.record(&todo, outcome);
    }

    /// Ends everything: the first step failed, the others held.
    pub(super) fn abandon(&mut self, failure: &Failure) {
        let failed = |report: &StepReport| matches!(report.outcome, Outcome::Failed(_));
        while let Some(todo) = self.todo.pop_front() {
            let outcome = match self.done.iter().any(|(_, report)| failed(report)) {
                false => Outcome::Failed(failure.clone()),
                true => Outcome::Skipped(SkipReason::Stopped, "the response was given up".into()),
            };
            self.record(&todo, outcome);
        }
    }

    /// True where a containment has its outcome.
    pub(super) fn has_contained(&self) -> bool {
        self.done.iter().any(|(_, report)| report.contains)
    }

    /// Adds that what came of it could not be written down.
    pub(super) fn unfiled(&mut self, failure: &Failure) {
        let report = StepReport {
            action: "record",
            contains: false,
            outcome: failure.clone().into(),
            evidence: Vec::new(),
            at: Timestamp::now(),
        };
        self.done.push((vec![usize::MAX], report));
    }

    pub(super) fn reports(&self) -> Vec<StepReport> {
        self.done.iter().map(|(_, report)| report.clone()).collect()
    }

    pub(super) fn told(&self) -> &[String] {
        &self.told
    }

    fn hold_back(&mut self, behind: &Position, why: &str) {
        for todo in self.todo.iter_mut().filter(|todo| todo.position > *behind) {
            todo.held_by.get_or_insert_with(|| why.to_owned());
        }
    }

    fn record(&mut self, todo: &Todo, outcome: Outcome) {
        let action = &todo.step.action;
        let report = StepReport {
            action: action.name(),
            contains: action.changes_cluster(),
            outcome,
            evidence: todo.gathered.all(),
            at: Timestamp::now(),
        };
        if report.is_undone() {
            // Whoever was told before this doesn't know of it.
            self.told.clear();
        }
        self.told.extend(todo.marks.all());
        let at = self.done.partition_point(|(position, _)| *position < todo.position);
        self.done.insert(at, (todo.position.clone(), report));
    }
}

fn todos(steps: &[Arc<BoundStep>], below: &[usize]) -> impl Iterator<Item = Todo> {
    steps.iter().enumerate().map(move |(index, step)| Todo {
        step: Arc::clone(step),
        position: below.iter().copied().chain([index]).collect(),
        attempts: 0,
        marks: Marks::default(),
        gathered: Gathered::default(),
        held_by: None,
        waits: None,
    })
}
