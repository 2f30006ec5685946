//! Finding out whether a cluster's network enforces policies, by trying: two short-lived pods, one of which connects
//! to the other before, under and after a policy that forbids it.
//!
//! `pods` says what they are, `judge` what they have said, both pure; `run` brings them up, changes the policies
//! between, and cleans up. Names are always the same, so that a run which was killed is cleaned up by the next one.

mod judge;
mod objects;
mod pods;
mod run;

use std::fmt;

pub use run::Probe;

/// What a policy was tried on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Aspect {
    /// A NetworkPolicy on the pod that is connected to.
    Ingress,
    /// A NetworkPolicy on the pod that connects.
    Egress,
    /// A ClusterNetworkPolicy's deny on the pod that connects, against a NetworkPolicy that allows it.
    ClusterDeny,
}

impl fmt::Display for Aspect {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Aspect::Ingress => "NetworkPolicy, ingress",
            Aspect::Egress => "NetworkPolicy, egress",
            Aspect::ClusterDeny => "ClusterNetworkPolicy, deny",
        })
    }
}

/// What was found out about one aspect.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Finding {
    /// It connected before, not under the policy, and again after.
    Enforces,
    /// It connected under the policy.
    DoesNot,
    /// Nothing, and why.
    CouldNotTell(String),
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Finding::Enforces => f.write_str("enforced"),
            Finding::DoesNot => f.write_str("NOT enforced"),
            Finding::CouldNotTell(why) => write!(f, "could not tell: {why}"),
        }
    }
}
