//! Which object an event is really about: the verification ladder.
//!
//! An event's names are claims. `verify` compares them with the live object and alone makes a [`Verified`],
//! without which nothing can be written. The comparison (`judge`) is pure; `verify` does the reading.
//! Guardrails don't live here: a verified target may still be one that must not be touched.

mod facts;
mod judge;
mod kept;
mod lookup;
mod node;
mod verified;
mod verify;

pub use facts::Needs;
pub(super) use facts::permissions as facts_permissions;
pub(super) use kept::{Id, KEPT, Kept, QUARANTINE};
pub use node::VerifiedNode;
pub use verified::Verified;
pub(super) use verified::controller;
pub(super) use verified::is_mirror;
pub use verify::foresee;
pub(super) use verify::{Identify, learn, verify};

use std::sync::Arc;

use serde::Serialize;

use super::object::ObjectRef;

/// A target that is verified to be gone: what was to happen to it needs no doing.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Gone {
    /// What the event claims to be about, as far as it named it.
    pub object: Option<ObjectRef>,
    /// How that is known.
    pub why: String,
    /// True where whatever says the same of its target is about what is gone, too, whenever it says it.
    pub is_final: bool,
}

/// What verification found.
#[derive(Debug, Clone)]
pub enum Verification {
    /// The live object that the event is about.
    Target(Arc<Verified>),
    /// The live node that a host event names, where somebody asks for it.
    Node(Arc<VerifiedNode>),
    /// The object existed, and does no longer.
    Gone(Gone),
    /// The event is about no pod: a host event, or an audit event on something else.
    NoTarget,
    /// No verified identity: the claim fits no object, more than one, or contradicts itself.
    Refused(String),
    /// The event is another cluster's: ack it and count it.
    ForeignCluster,
}
