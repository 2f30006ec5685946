//! What a guardrail would not let through.

use std::fmt;

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
    /// The namespace, or the pod where that is allowed, is exempted.
    Exempt,
    /// Whether it is exempted can't be told.
    ExemptionUnreadable,
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
    /// The pod is on its node's network, where it can't be told from it.
    HostNetwork,
    /// Somebody else has set what the action would set otherwise.
    ForeignValue,
    /// The pod's owner selects its pods by the label.
    SelectedLabel,
    /// The node runs the control plane.
    ControlPlane,
    /// Too few nodes would be left that take pods.
    LastNode,
    /// Too many of the nodes would be held at once.
    NodeShare,
    /// The node is the worker's own, or may be.
    OwnNode,
    /// More pods would be evicted than the playbook allows.
    PodLimit,
    /// A HorizontalPodAutoscaler decides how many pods there are.
    Autoscaler,
    /// The Deployment is larger than the playbook allows.
    TooLarge,
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
            Guardrail::Exempt => "exempt",
            Guardrail::ExemptionUnreadable => "exemption-unreadable",
            Guardrail::EventAge => "event-age",
            Guardrail::FutureEvent => "future-event",
            Guardrail::Budget => "budget",
            Guardrail::Breaker => "breaker",
            Guardrail::KillSwitch => "kill-switch",
            Guardrail::MinHealthy => "min-healthy",
            Guardrail::OwnerKind => "owner-kind",
            Guardrail::HostNetwork => "host-network",
            Guardrail::ForeignValue => "foreign-value",
            Guardrail::SelectedLabel => "selected-label",
            Guardrail::ControlPlane => "control-plane",
            Guardrail::LastNode => "last-node",
            Guardrail::NodeShare => "node-share",
            Guardrail::OwnNode => "own-node",
            Guardrail::PodLimit => "pod-limit",
            Guardrail::Autoscaler => "autoscaler",
            Guardrail::TooLarge => "too-large",
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
        matches!(
            self.guardrail,
            Guardrail::Budget
                | Guardrail::Breaker
                | Guardrail::KillSwitch
                | Guardrail::ExemptionUnreadable
        )
    }
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.guardrail.as_str(), self.why)
    }
}
