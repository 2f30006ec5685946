//! What of an action can be taken back, and on which object it is found.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::object::TargetRef;
use crate::act::{object::ObjectRef, target::Verified};

/// How an action's change is taken back.
///
/// Data, and no method of the action: what is to be taken back may outlive the playbook that did it. What exactly is
/// ours the object says itself, so that nothing of another is ever undone.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
pub enum Undo {
    /// The pod's labels are given back and our policies for it deleted.
    Isolation,
    /// What is held of the pod.
    Pod,
    /// What is held of the pod's node.
    Node,
    /// What is held of the pod's Deployment.
    Deployment,
}

impl Undo {
    /// The object on which it is found; `None` where the target has no such.
    pub(super) fn object(self, target: &Verified) -> Option<TargetRef> {
        let pod = target.object();
        let (object, uid) = match self {
            Undo::Isolation | Undo::Pod => (pod.clone(), Some(target.uid().to_string())),
            Undo::Node => (ObjectRef::node(target.node()?), None),
            Undo::Deployment => {
                let owners = &target.facts().owners;
                let owner = owners.iter().find(|owner| owner.kind == "Deployment")?;
                (ObjectRef::deployment(target.namespace(), &owner.name), None)
            }
        };
        let ObjectRef { kind, namespace, name } = object;
        Some(TargetRef { kind: kind.to_owned(), namespace, name, uid })
    }
}
