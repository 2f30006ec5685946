//! What could not be done: whether trying again can help, and who is away.

use std::{fmt, time::Duration};

/// Something outside of the worker that an answer needs.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Dependency {
    /// The Kubernetes API server.
    KubernetesApi,
    /// A notifier's receiver, by the notifier's configured name.
    Sink(String),
    /// Where events are forwarded to, by the destination's configured name.
    Destination(String),
    /// A function, by its configured name.
    Function(String),
    /// A dead-letter queue, by its subscription's configured name.
    DeadLetters(String),
}

impl Dependency {
    /// True where no event can be answered without it: it is waited for without end. What a single step needs is
    /// waited for within its playbook's time, and keeps nothing else from being answered.
    pub fn is_vital(&self) -> bool {
        match self {
            Dependency::KubernetesApi | Dependency::DeadLetters(_) => true,
            Dependency::Sink(_) | Dependency::Destination(_) | Dependency::Function(_) => false,
        }
    }

    /// The metric label: a closed set, without the name.
    pub fn as_str(&self) -> &'static str {
        match self {
            Dependency::KubernetesApi => "kubernetes-api",
            Dependency::Sink(_) => "sink",
            Dependency::Destination(_) => "destination",
            Dependency::Function(_) => "function",
            Dependency::DeadLetters(_) => "dead-letters",
        }
    }
}

impl fmt::Display for Dependency {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Dependency::KubernetesApi => f.write_str("the Kubernetes API"),
            Dependency::Sink(name) => write!(f, "the notifier {name}"),
            Dependency::Destination(name) => write!(f, "the destination {name}"),
            Dependency::Function(name) => write!(f, "the function {name}"),
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
    /// A dependency is away: no attempt is used up, and intake pauses where it [is vital](Dependency::is_vital).
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
    /// How long to wait before the next try, where that is known: the other side has asked for it, or something is
    /// under way.
    pub retry_after: Option<Duration>,
    /// True where nothing went wrong and only its time has not come, as behind a disruption budget: the breaker
    /// learns nothing from it.
    pub held_up: bool,
}

impl Failure {
    /// The same call will fail again.
    pub fn permanent(why: impl Into<String>) -> Failure {
        Failure::new(FailureKind::Permanent, why)
    }

    /// It may work next time.
    pub fn transient(why: impl Into<String>) -> Failure {
        Failure::new(FailureKind::Transient, why)
    }

    /// True where what is away is waited for without end.
    pub fn is_vital_outage(&self) -> bool {
        matches!(&self.kind, FailureKind::Unavailable(dependency) if dependency.is_vital())
    }

    /// A dependency is away.
    pub fn unavailable(dependency: Dependency, why: impl Into<String>) -> Failure {
        Failure::new(FailureKind::Unavailable(dependency), why)
    }

    fn new(kind: FailureKind, why: impl Into<String>) -> Failure {
        Failure { kind, why: why.into(), retry_after: None, held_up: false }
    }

    /// With this wait before the next try, where there is one.
    pub fn after(mut self, wait: Option<Duration>) -> Failure {
        self.retry_after = wait;
        self
    }

    /// Where nothing went wrong and only its time has not come.
    pub fn held_up(self) -> Failure {
        Failure { held_up: true, ..self }
    }

    /// True where no retry can help.
    pub fn is_permanent(&self) -> bool {
        self.kind == FailureKind::Permanent
    }
}
