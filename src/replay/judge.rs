//! What can be told of one playbook's answer to one event without a cluster: a pure decision.

use playbooks::{
    act::{Guardrails, Occurrence, Plan, Verification, foresee},
    decide::{Candidate, Claim, ClaimSource},
};

use crate::config::Cluster;

/// What a playbook would have done about an event, as far as the event itself tells.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(super) enum Verdict {
    /// It would have answered, if the live checks agree.
    Answers,
    /// Its `when` can't be evaluated: a dead letter.
    WhenFails,
    /// The namespace that the event names is protected.
    ProtectedNamespace,
    /// The event proves no identity.
    Identity,
    /// It would have been one more than the budget allows.
    Budget,
}

impl Verdict {
    /// The label; that of the guardrail where one says no.
    pub(super) fn as_str(self) -> &'static str {
        match self {
            Self::Answers => "answers",
            Self::WhenFails => "when-fails",
            Self::ProtectedNamespace => "protected-namespace",
            Self::Identity => "identity",
            Self::Budget => "budget",
        }
    }
}

/// What an event is judged by beside its playbook.
pub(super) struct Setting<'a> {
    pub(super) cluster: &'a Cluster,
    pub(super) guardrails: &'a Guardrails,
}

impl Setting<'_> {
    /// `None` where the playbook is asked and the object is none of its.
    pub(super) fn judge(
        &self,
        candidate: &Candidate,
        plan: &Plan,
        claim: &Claim,
        occurrence: &Occurrence,
    ) -> Option<(Verdict, String)> {
        if let Some(why) = &candidate.when_error {
            return Some((Verdict::WhenFails, why.clone()));
        }
        if !plan.needs_target() {
            return Some((Verdict::Answers, String::new()));
        }
        if let Some(why) = self.stranger(occurrence) {
            return Some((Verdict::Identity, why));
        }
        // `namespaces` and `target` are about pods.
        if claim.source == ClaimSource::Host && candidate.playbook.needs_object() {
            return None;
        }
        match foresee(claim, plan.needs()) {
            Some(Verification::NoTarget) if candidate.playbook.needs_object() => return None,
            Some(Verification::NoTarget) => {
                return Some((Verdict::Identity, "the event is about no pod".to_owned()));
            }
            Some(Verification::Refused(why)) => return Some((Verdict::Identity, why)),
            _ => {}
        }
        let namespace = claim.namespace.as_deref();
        if !candidate.playbook.could_select_in(namespace) {
            return None;
        }
        Some(match namespace {
            Some(name) if plan.contains() && self.guardrails.protects(name) => {
                (Verdict::ProtectedNamespace, format!("the namespace {name} is protected"))
            }
            _ => (Verdict::Answers, String::new()),
        })
    }

    /// Why it can't be told that the event is this cluster's. Another's is passed over before.
    fn stranger(&self, occurrence: &Occurrence) -> Option<String> {
        let why = match (&occurrence.cluster, &self.cluster.name) {
            (Some(_), None) => {
                "the event names a cluster and this worker doesn't know its own: set cluster.name"
            }
            (None, _) if self.cluster.require => {
                "the event names no cluster and cluster.require is set"
            }
            _ => return None,
        };
        Some(why.to_owned())
    }
}
