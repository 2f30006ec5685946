//! Whether Cilium's agent holds a pod to its quarantine: the word of the pod's CiliumEndpoint.
//!
//! A kind that is served proves no agent behind it. The endpoint is written by the agent on the pod's node: where it
//! belongs to this very pod and its identity has our label, that agent has taken the pod up, and our deny selects it.

use std::time::Duration;

use kube::api::DynamicObject;
use serde_json::{Value, json};

use super::{restriction::Direction, tier::ENDPOINT};
use crate::act::{
    api::Api,
    outcome::Failure,
    target::{Id, QUARANTINE, Verified},
};

/// How long a new label may take to become the endpoint's, in steps.
const WAITS: [Duration; 4] = [
    Duration::from_millis(250),
    Duration::from_millis(500),
    Duration::from_secs(1),
    Duration::from_secs(2),
];

/// What the agent says.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Word {
    /// It holds the pod to what selects our label.
    Holds,
    /// It may yet do so.
    NotYet(&'static str),
    /// It says nothing that would tell.
    Silent(&'static str),
}

/// Asks until it holds the pod, for a short while. `Some` says why that is not known.
pub(super) async fn holds(
    api: &Api,
    target: &Verified,
    cut: &[Direction],
    enforced: bool,
) -> Result<Option<String>, Failure> {
    let id = Id::of(target.uid());
    let mut waits = WAITS.into_iter();
    loop {
        let endpoint = match api.custom(&ENDPOINT, target.namespace(), target.name()).await {
            Ok(endpoint) => endpoint,
            // Not granted, or the kind isn't served: an answer, and no outage.
            Err(error) if matches!(error.code(), Some(403 | 404)) => {
                return Ok(Some(format!("its CiliumEndpoint can't be read: {error}")));
            }
            Err(error) => return Err(error.into()),
        };
        match judge(endpoint.as_ref(), target.uid().as_str(), &id, cut, enforced) {
            Word::Holds => return Ok(None),
            Word::Silent(why) => return Ok(Some(why.to_owned())),
            Word::NotYet(why) => match waits.next().filter(|wait| *wait < api.spare()) {
                Some(wait) => tokio::time::sleep(wait).await,
                None => return Ok(Some(why.to_owned())),
            },
        }
    }
}

fn judge(
    endpoint: Option<&DynamicObject>,
    uid: &str,
    id: &Id,
    cut: &[Direction],
    enforced: bool,
) -> Word {
    let Some(endpoint) = endpoint else { return Word::Silent("the pod has no CiliumEndpoint") };
    let mut owners = endpoint.metadata.owner_references.iter().flatten();
    if !owners.any(|owner| owner.kind == "Pod" && owner.uid == uid) {
        return Word::Silent("the CiliumEndpoint of its name is of another pod");
    }
    let status = endpoint.data.get("status").unwrap_or(&Value::Null);
    let label = json!(format!("k8s:{QUARANTINE}={}", id.as_str()));
    let identity = status.pointer("/identity/labels").and_then(Value::as_array);
    if !identity.is_some_and(|labels| labels.contains(&label)) {
        return Word::NotYet(
            "Cilium's agent has not taken up the quarantine label, or leaves it out of identities",
        );
    }
    for direction in cut {
        let of = status.pointer(&format!("/policy/{direction}")).unwrap_or(&Value::Null);
        if of["enforcing"] == true {
            continue;
        }
        if of["state"] == "non-enforcing" {
            return Word::NotYet(
                "Cilium's agent says that it enforces nothing on the pod, or only audits",
            );
        }
        // Agents say it only where they are told to, by `endpointStatus`.
        if !enforced {
            return Word::Silent(
                "Cilium's agent does not say whether it enforces: set cluster.enforcesNetworkPolicies once it is known, \
                 or Cilium's endpointStatus",
            );
        }
    }
    Word::Holds
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::act::object::Uid;

    #[test]
    fn only_the_word_of_this_pods_agent_about_our_label_counts() {
        use Direction::{Egress, Ingress};
        let id = Id::of(&Uid::new("u"));
        let ours = format!("k8s:{QUARANTINE}={}", id.as_str());
        let endpoint = |owner: &str, label: &str, policy: Value| -> DynamicObject {
            serde_json::from_value(json!({
                "metadata": {"name": "web", "ownerReferences": [{"apiVersion": "v1", "kind": "Pod", "name": "web", "uid": owner}]},
                "status": {"identity": {"id": 7, "labels": ["k8s:note=x", label]}, "policy": policy}
            }))
            .unwrap()
        };
        let says = |ingress: bool, egress: bool| {
            let one = |enforcing| json!({"enforcing": enforcing, "state": if enforcing { "enforcing" } else { "non-enforcing" }});
            json!({"ingress": one(ingress), "egress": one(egress)})
        };
        let silent = json!({"ingress": {"enforcing": false, "state": "<status disabled>"}, "egress": {"enforcing": false, "state": "<status disabled>"}});
        let table = [
            (None, false, "silent"),
            (Some(endpoint("other", &ours, says(true, true))), true, "silent"),
            (
                Some(endpoint("u", "k8s:stoop.dev/quarantine=other", says(true, true))),
                true,
                "not yet",
            ),
            (Some(endpoint("u", &ours, says(true, true))), false, "holds"),
            (Some(endpoint("u", &ours, says(true, false))), true, "not yet"),
            (Some(endpoint("u", &ours, says(false, true))), true, "not yet"),
            (Some(endpoint("u", &ours, silent.clone())), false, "silent"),
            (Some(endpoint("u", &ours, silent)), true, "holds"),
            (Some(endpoint("u", &ours, json!(null))), false, "silent"),
        ];
        for (at, (endpoint, enforced, word)) in table.into_iter().enumerate() {
            let judged = match judge(endpoint.as_ref(), "u", &id, &[Ingress, Egress], enforced) {
                Word::Holds => "holds",
                Word::NotYet(_) => "not yet",
                Word::Silent(_) => "silent",
            };
            assert_eq!(judged, word, "{at}");
        }
        // Of a direction that is left as it is, nothing need be said.
        let egress = endpoint("u", &ours, says(false, true));
        assert_eq!(judge(Some(&egress), "u", &id, &[Egress], false), Word::Holds);
    }
}
