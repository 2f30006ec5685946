//! What became of an action, in words that the worker settles by and the operator reads.

use std::{fmt, time::Duration};

use serde::{Serialize, ser::SerializeStruct as _};

/// Something outside of the worker that it can't do without.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Dependency {
    /// The Kubernetes API server.
    KubernetesApi,
    /// A notifier's receiver, by the notifier's configured name.
    Sink(String),
    /// A dead-letter queue, by its subscription's configured name.
    DeadLetters(String),
}

impl Dependency {
    /// The metric label: a closed set, without the name.
    pub fn as_str(&self) -> &'static str {
        match self {
            Dependency::KubernetesApi => "kubernetes-api",
            Dependency::Sink(_) => "sink",
            Dependency::DeadLetters(_) => "dead-letters",
        }
    }
}

impl fmt::Display for Dependency {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Dependency::KubernetesApi => f.write_str("the Kubernetes API"),
            Dependency::Sink(name) => write!(f, "the notifier {name}"),
            Dependency::DeadLetters(name) => write!(f, "the dead letters of {name}"),
        }
    }
}

/// Whether trying again can help, and whose fault it is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum FailureKind {
    /// The same call will fail again: a missing permission, a refused request.
    Permanent,
    /// It may work next time; each try uses up one attempt.
    Transient,
    /// A dependency is away: intake pauses, and no attempt is used up.
    Unavailable(Dependency),
}

impl FailureKind {
    /// The metric label.
    pub fn as_str(&self) -> &'static str {
        match self {
            FailureKind::Permanent => "permanent",
            FailureKind::Transient => "transient",
            FailureKind::Unavailable(_) => "unavailable",
        }
    }
}

/// An action or a guard that could not do its work.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{why}")]
pub struct Failure {
    /// Whether trying again can help.
    pub kind: FailureKind,
    /// What went wrong, for the operator.
    pub why: String,
    /// How long the other side asked us to wait before the next try.
    pub retry_after: Option<Duration>,
}

impl Failure {
    /// The same call will fail again.
    pub fn permanent(why: impl Into<String>) -> Failure {
        Failure { kind: FailureKind::Permanent, why: why.into(), retry_after: None }
    }

    /// It may work next time.
    pub fn transient(why: impl Into<String>) -> Failure {
        Failure { kind: FailureKind::Transient, why: why.into(), retry_after: None }
    }

    /// A dependency is away.
    pub fn unavailable(dependency: Dependency, why: impl Into<String>) -> Failure {
        Failure { kind: FailureKind::Unavailable(dependency), why: why.into(), retry_after: None }
    }

    /// With the wait that the other side asked for.
    pub fn after(mut self, wait: Option<Duration>) -> Failure {
        self.retry_after = wait;
        self
    }

    /// True where no retry can help.
    pub fn is_permanent(&self) -> bool {
        self.kind == FailureKind::Permanent
    }
}

/// The guardrail that held an action back: a closed set, fit for a metric label.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Guardrail {
    /// No verified identity: the claim fits no live object, or more than one.
    Identity,
    /// The namespace is protected.
    ProtectedNamespace,
    /// The target is the worker itself.
    OwnPod,
    /// A static pod's mirror: only its node can delete it.
    MirrorPod,
    /// A `system-*` priority class.
    PriorityClass,
    /// The event is too old for this action.
    EventAge,
    /// The event's time lies in the future.
    FutureEvent,
    /// The playbook's budget is used up.
    Budget,
    /// Too many failures, or too many deletes below one owner.
    Breaker,
    /// The kill switch is on.
    KillSwitch,
    /// Too few healthy pods would be left.
    MinHealthy,
    /// The pod's owner is of a kind that the playbook doesn't allow.
    OwnerKind,
    /// A guardrail that an action from outside brings along.
    Custom(&'static str),
}

impl Guardrail {
    /// The metric label.
    pub fn as_str(self) -> &'static str {
        match self {
            Guardrail::Identity => "identity",
            Guardrail::ProtectedNamespace => "protected-namespace",
            Guardrail::OwnPod => "own-pod",
            Guardrail::MirrorPod => "mirror-pod",
            Guardrail::PriorityClass => "priority-class",
            Guardrail::EventAge => "event-age",
            Guardrail::FutureEvent => "future-event",
            Guardrail::Budget => "budget",
            Guardrail::Breaker => "breaker",
            Guardrail::KillSwitch => "kill-switch",
            Guardrail::MinHealthy => "min-healthy",
            Guardrail::OwnerKind => "owner-kind",
            Guardrail::Custom(name) => name,
        }
    }
}

/// A guardrail's no.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Refusal {
    /// Which guardrail.
    pub guardrail: Guardrail,
    /// Why, and where there is one, the key that would allow it.
    pub why: String,
}

impl Refusal {
    /// A refusal by this guardrail.
    pub fn new(guardrail: Guardrail, why: impl Into<String>) -> Refusal {
        Refusal { guardrail, why: why.into() }
    }

    /// True where the same action would be right tomorrow: dead-letter it, to be redriven.
    ///
    /// `MinHealthy` is not among them: by the time enough pods are healthy again, the answer that the
    /// playbook meant is late, and the refusal was reported when it mattered.
    pub fn redo(&self) -> bool {
        matches!(self.guardrail, Guardrail::Budget | Guardrail::Breaker | Guardrail::KillSwitch)
    }
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.guardrail.as_str(), self.why)
    }
}

/// Why an action was passed over.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum SkipReason {
    /// The target is verified to be gone.
    Gone,
    /// The playbook, or the whole worker, only observes.
    Observe,
    /// A dry run: the change was tried with the server's dry run, or is only described.
    DryRun,
    /// An earlier action failed or was refused.
    Stopped,
}

impl SkipReason {
    /// The metric label.
    pub fn as_str(self) -> &'static str {
        match self {
            SkipReason::Gone => "gone",
            SkipReason::Observe => "observe",
            SkipReason::DryRun => "dry-run",
            SkipReason::Stopped => "stopped",
        }
    }
}

/// What became of one action, or of a whole response.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Outcome {
    /// The change was made, just now.
    Applied(String),
    /// The world was already as the action wants it.
    AlreadyDone(String),
    /// Started, and not ended yet.
    Pending(String),
    /// Passed over on purpose.
    Skipped(SkipReason, String),
    /// A guardrail said no.
    Refused(Refusal),
    /// It could not be done.
    Failed(Failure),
}

impl Outcome {
    /// A guardrail's no.
    pub fn refused(guardrail: Guardrail, why: impl Into<String>) -> Outcome {
        Outcome::Refused(Refusal::new(guardrail, why))
    }

    /// The metric label.
    pub fn as_str(&self) -> &'static str {
        match self {
            Outcome::Applied(_) => "applied",
            Outcome::AlreadyDone(_) => "already-done",
            Outcome::Pending(_) => "pending",
            Outcome::Skipped(..) => "skipped",
            Outcome::Refused(_) => "refused",
            Outcome::Failed(_) => "failed",
        }
    }

    /// What happened, for the operator.
    pub fn detail(&self) -> &str {
        match self {
            Outcome::Applied(what) | Outcome::AlreadyDone(what) | Outcome::Pending(what) => what,
            Outcome::Skipped(_, why) => why,
            Outcome::Refused(refusal) => &refusal.why,
            Outcome::Failed(failure) => &failure.why,
        }
    }

    /// The closed word that narrows the label down: the guardrail, the failure's kind, the skip's reason.
    pub fn reason(&self) -> Option<&'static str> {
        match self {
            Outcome::Applied(_) | Outcome::AlreadyDone(_) | Outcome::Pending(_) => None,
            Outcome::Skipped(reason, _) => Some(reason.as_str()),
            Outcome::Refused(refusal) => Some(refusal.guardrail.as_str()),
            Outcome::Failed(failure) => Some(failure.kind.as_str()),
        }
    }

    /// True where nothing is left to do and nothing went wrong.
    pub fn ended_well(&self) -> bool {
        matches!(self, Outcome::Applied(_) | Outcome::AlreadyDone(_) | Outcome::Skipped(..))
    }
}

impl fmt::Display for Outcome {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())?;
        if let Some(reason) = self.reason() {
            write!(f, " ({reason})")?;
        }
        write!(f, ": {}", self.detail())
    }
}

impl Serialize for Outcome {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut out = serializer.serialize_struct("Outcome", 3)?;
        out.serialize_field("outcome", self.as_str())?;
        out.serialize_field("reason", &self.reason())?;
        out.serialize_field("detail", self.detail())?;
        out.end()
    }
}

impl From<Refusal> for Outcome {
    fn from(refusal: Refusal) -> Outcome {
        Outcome::Refused(refusal)
    }
}

impl From<Failure> for Outcome {
    fn from(failure: Failure) -> Outcome {
        Outcome::Failed(failure)
    }
}
