//! What became of an action, in words that the worker settles by and the operator reads.

mod failure;
mod refusal;

use std::fmt;

use serde::{Serialize, ser::SerializeStruct as _};

pub use failure::{Dependency, Failure, FailureKind};
pub use refusal::{Guardrail, Refusal};

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
    /// Another worker has answered it, or this one before.
    Answered,
}

impl SkipReason {
    /// The metric label.
    pub fn as_str(self) -> &'static str {
        match self {
            SkipReason::Gone => "gone",
            SkipReason::Observe => "observe",
            SkipReason::DryRun => "dry-run",
            SkipReason::Stopped => "stopped",
            SkipReason::Answered => "answered",
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
