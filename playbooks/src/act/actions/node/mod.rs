//! What `taint`, `cordon` and `drain` share: the node that the verified pod is on or a host event names, what holds such a change back, and
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

use super::hold::Holder;
use crate::act::{
    action::{Action, Subject},
    api::{Api, ApiError, Permission},
    object::Uid,
    outcome::{Guardrail, Outcome, Refusal},
};

/// What every change of a node takes.
pub(super) fn permissions() -> Vec<Permission> {
    ["get", "list", "patch"].map(|verb| Permission::new("", "nodes", verb)).into()
}

/// The refusal where no other node would take this one's pods.
pub(super) async fn nowhere_to_go(api: &Api, node: &str) -> Result<Option<Refusal>, ApiError> {
    Ok(Census::take(api, node).await?.judge_last(node))
}

/// The verified pod's node, or the verified node of a host event.
#[derive(Debug, Clone, Copy)]
pub(super) struct Whereabouts<'a> {
    pub(super) node: &'a str,
    /// The node's uid, where the event was verified to be about the node itself.
    uid: Option<&'a Uid>,
    /// What the event was verified to be about: what is done to the node is held for it.
    target: &'a Uid,
    /// When it was seen there.
    at: Timestamp,
}

impl<'a> Whereabouts<'a> {
    /// Of what an action on nodes is applied to.
    ///
    /// # Errors
    ///
    /// The outcome where there is no node to change.
    pub(super) fn of(
        action: &impl Action,
        subject: Subject<'a>,
        at: Timestamp,
    ) -> Result<Whereabouts<'a>, Outcome> {
        match subject {
            Subject::Target(pod) => match pod.node() {
                Some(node) => Ok(Whereabouts { node, uid: None, target: pod.uid(), at }),
                None => {
                    let why = format!("{} runs on no node", pod.object());
                    Err(Outcome::refused(Guardrail::Identity, why))
                }
            },
            Subject::Node(node) => {
                let (node, uid) = (node.name(), node.uid());
                Ok(Whereabouts { node, uid: Some(uid), target: uid, at })
            }
            Subject::Gone(gone) => Err(action.on_gone(gone)),
            Subject::Event => Err(Outcome::refused(
                Guardrail::Identity,
                "the event is about no verified pod or node",
            )),
        }
    }

    /// For whom the node is held.
    pub(super) fn holder(&self, playbook: &str) -> Holder {
        Holder::new(playbook, self.target)
    }
}
