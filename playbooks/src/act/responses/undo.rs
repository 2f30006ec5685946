//! What of an action can be taken back, and on which object it is found.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::object::TargetRef;
use crate::act::{object::ObjectRef, response::Standing};

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
    pub(super) fn object(self, standing: &Standing) -> Option<TargetRef> {
        let (object, uid) = match (self, standing) {
            (Undo::Isolation | Undo::Pod, Standing::Target(pod)) => {
                (pod.object().clone(), Some(pod.uid().to_string()))
            }
            (Undo::Node, Standing::Target(pod)) => (ObjectRef::node(pod.node()?), None),
            (Undo::Node, Standing::Node(node)) => (node.object().clone(), None),
            (Undo::Deployment, Standing::Target(pod)) => {
                let mut owners = pod.facts().owners.iter();
                let owner = owners.find(|owner| owner.kind == "Deployment")?;
                (ObjectRef::deployment(pod.namespace(), &owner.name), None)
            }
            _ => return None,
        };
        let ObjectRef { kind, namespace, name } = object;
        Some(TargetRef { kind: kind.to_owned(), namespace, name, uid })
    }
}
