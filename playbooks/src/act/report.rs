//! What a response came to: the audit line, and what the worker settles by.

use serde::Serialize;

use super::{
    object::{ObjectRef, Uid},
    occurrence::Occurrence,
    outcome::Outcome,
    response::{Standing, StepReport},
    trace::TraceParent,
};
use crate::decide::{Mode, Playbook};

/// A finished response.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Report {
    /// The playbook's name.
    pub playbook: String,
    /// How far it was allowed to go.
    #[serde(serialize_with = "mode")]
    pub mode: Mode,
    /// The target: verified where `uid` is there, else what the event named.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub object: Option<ObjectRef>,
    /// The verified target's uid.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub uid: Option<Uid>,
    /// The event's identity, in hex.
    pub event_id: String,
    /// The rule's name, the event's own word.
    pub rule: String,
    /// When the event happened.
    pub event_time: jiff::Timestamp,
    /// The trace that its publisher was in: the value of `traceparent`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub trace: Option<TraceParent>,
    /// What each action came to, in the playbook's order.
    pub steps: Vec<StepReport>,
    /// What it comes to as a whole.
    pub overall: Outcome,
    /// The notifiers that the playbook itself has told, after what was not done if anything was not.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub told: Vec<String>,
    /// The age up to which a person let the event be answered, beyond what playbooks and actions allow.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub max_age_override: Option<String>,
}

fn mode<S: serde::Serializer>(mode: &Mode, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_str(mode.as_str())
}

impl Report {
    pub(super) fn new(
        playbook: &Playbook,
        mode: Mode,
        standing: &Standing,
        occurrence: &Occurrence,
        steps: Vec<StepReport>,
        told: Vec<String>,
    ) -> Report {
        let (object, uid) = match standing {
            Standing::Target(target) => (Some(target.object().clone()), Some(target.uid().clone())),
            Standing::Node(node) => (Some(node.object().clone()), Some(node.uid().clone())),
            Standing::Gone(gone) => (gone.object.clone(), None),
            Standing::NoTarget | Standing::Unidentified(_) => (None, None),
        };
        Report {
            playbook: playbook.name.clone(),
            mode,
            object,
            uid,
            event_id: occurrence.id.to_string(),
            rule: occurrence.rule.clone(),
            event_time: occurrence.time,
            trace: occurrence.trace.clone(),
            overall: overall(&steps),
            steps,
            told,
            max_age_override: occurrence
                .max_age
                .map(|age| humantime::format_duration(age).to_string()),
        }
    }

    /// True where a containment that was meant for real did not happen: `defaultNotifiers` are told.
    pub fn is_alarming(&self) -> bool {
        self.mode == Mode::Enforce && self.steps.iter().any(StepReport::is_undone)
    }

    /// True where the event belongs among the dead letters: it failed for good, or would be right tomorrow.
    pub fn wants_redrive(&self) -> bool {
        match &self.overall {
            Outcome::Failed(_) => true,
            Outcome::Refused(refusal) => refusal.redo(),
            _ => false,
        }
    }
}

/// The worst that happened decides: a failure, then a refusal to be redone, then any other.
fn overall(steps: &[StepReport]) -> Outcome {
    let rank = |outcome: &Outcome| match outcome {
        Outcome::Failed(_) => 0,
        Outcome::Refused(refusal) if refusal.redo() => 1,
        Outcome::Refused(_) => 2,
        Outcome::Pending(_) => 3,
        Outcome::Applied(_) => 4,
        Outcome::AlreadyDone(_) => 5,
        Outcome::Skipped(..) => 6,
    };
    steps
        .iter()
        .map(|step| &step.outcome)
        .min_by_key(|outcome| rank(outcome))
        .cloned()
        .unwrap_or_else(|| Outcome::AlreadyDone("there was nothing to do".into()))
}
