//! What `taint`, `cordon` and `drain` share: the node that the verified pod is on, what holds such a change back, and
//! the change itself.
//!
//! Nothing here takes pods off a node: that is `drain`'s alone, and the taint controller's where a playbook says so.

mod census;
mod change;
mod guard;
mod mark;
mod share;

use jiff::Timestamp;

use self::census::Census;

pub(in crate::act) use change::Turn;
pub(super) use change::{NodeChange, revert};
pub(super) use guard::NodeGuard;
pub(super) use mark::{Mark, Taint};
pub(super) use share::{Share, WrittenShare};

use crate::act::{
    api::{Api, ApiError, Permission},
    outcome::{Guardrail, Outcome, Refusal},
    target::Verified,
};

/// What every change of a node takes.
pub(super) fn permissions() -> Vec<Permission> {
    ["get", "list", "patch"].map(|verb| Permission::new("", "nodes", verb)).into()
}

/// The refusal where no other node would take this one's pods.
pub(super) async fn nowhere_to_go(api: &Api, node: &str) -> Result<Option<Refusal>, ApiError> {
    Ok(Census::take(api, node).await?.judge_last(node))
}

/// The verified pod's node.
#[derive(Debug, Clone, Copy)]
pub(super) struct Whereabouts<'a> {
    pub(super) node: &'a str,
    /// When the pod was seen there.
    pub(super) at: Timestamp,
}

impl<'a> Whereabouts<'a> {
    /// # Errors
    ///
    /// The refusal where the pod has no node.
    pub(super) fn of(target: &'a Verified, at: Timestamp) -> Result<Whereabouts<'a>, Outcome> {
        match target.node() {
            Some(node) => Ok(Whereabouts { node, at }),
            None => {
                let why = format!("{} runs on no node", target.object());
                Err(Outcome::refused(Guardrail::Identity, why))
            }
        }
    }
}
