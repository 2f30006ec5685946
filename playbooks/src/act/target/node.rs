//! From a host event to a verified node: its name, a live read, and that it was there before.

use std::sync::Arc;

use k8s_openapi::api::core::v1::Node;

use super::{
    Gone, Verification,
    judge::{Verdict, judge_node},
    verify::Identify,
};
use crate::act::{
    api::{Api, Place},
    object::{ClusterId, ObjectRef, Uid},
    outcome::Failure,
};

/// The proof that a host event named this very node, which was there before the event and still is.
///
/// Only verification makes one. Nothing but the event's own word says that it happened there: what answers it has to
/// be allowed to by name.
#[derive(Debug)]
pub struct VerifiedNode {
    cluster: Option<ClusterId>,
    object: ObjectRef,
    uid: Uid,
}

impl VerifiedNode {
    /// The cluster's configured name.
    pub fn cluster(&self) -> Option<&ClusterId> {
        self.cluster.as_ref()
    }

    /// Where the node is found.
    pub fn object(&self) -> &ObjectRef {
        &self.object
    }

    /// The node's name.
    pub fn name(&self) -> &str {
        &self.object.name
    }

    /// The uid that every write has to carry.
    pub fn uid(&self) -> &Uid {
        &self.uid
    }
}

/// Reads the node that the event names.
pub(super) async fn verify_node(
    api: &Api,
    name: &str,
    identify: &Identify<'_>,
) -> Result<Verification, Failure> {
    let Some(node) = api.live::<Node>(Place { namespace: None, name }).await? else {
        return Ok(Verification::Refused(format!(
            "the event's host {name} is no node of the cluster: let Falco's chart set FALCO_HOSTNAME"
        )));
    };
    let object = ObjectRef::node(name);
    Ok(match (judge_node(identify.time, &node), node.metadata.uid) {
        (Verdict::Passed, Some(uid)) => Verification::Node(Arc::new(VerifiedNode {
            cluster: identify.cluster.cloned(),
            object,
            uid: Uid::new(uid),
        })),
        (Verdict::Passed, None) => {
            Verification::Refused("the API server returned a node without a uid".into())
        }
        (Verdict::Gone(why), _) => {
            Verification::Gone(Gone { object: Some(object), why, is_final: false })
        }
        (Verdict::Refused(why) | Verdict::NotYet(why), _) => Verification::Refused(why),
        (Verdict::AskHost, _) => {
            Verification::Refused("whether the event's host is a node is not known".into())
        }
    })
}
