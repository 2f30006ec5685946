//! Whether Cilium holds a pod to its quarantine: the word of the pod's CiliumEndpoint, and that of our policy.
//!
//! A kind that is served proves no agent behind it. The endpoint is written by the agent on the pod's node: where it
//! belongs to this very pod and its identity has our label, that agent has taken the pod up, and our deny selects it.
//! An endpoint that was under other policies says "enforcing" before ours is loaded, too: the policy's own condition
//! tells that Cilium has seen it.

use std::time::Duration;

use kube::api::DynamicObject;
use serde_json::{Value, json};

use super::{
    restriction::Direction,
    tier::{ENDPOINT, Tier},
};
use crate::act::{
    api::{Api, ApiError},
    outcome::Failure,
    target::{Id, QUARANTINE, Verified},
    text::clean,
};

/// How long a new label may take to become the endpoint's, and a new policy to be looked at, in steps.
const WAITS: [Duration; 4] = [
    Duration::from_millis(250),
    Duration::from_millis(500),
    Duration::from_secs(1),
    Duration::from_secs(2),
];

/// What Cilium says.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Word {
    /// It holds the pod to what selects our label.
    Holds,
    /// It may yet do so.
    NotYet(&'static str),
    /// It doesn't, or says nothing that would tell.
    Doubt(String),
}

impl Word {
    /// What the two come to: of a doubt no wait makes more.
    fn and(self, other: Self) -> Self {
        match (self, other) {
            (doubt @ Self::Doubt(_), _) | (_, doubt @ Self::Doubt(_)) => doubt,
            (wait @ Self::NotYet(_), _) | (_, wait @ Self::NotYet(_)) => wait,
            (Self::Holds, Self::Holds) => Self::Holds,
        }
    }
}

/// Asks until it holds the pod to the policy of this name, for a short while. `Some` says why that is not known.
///
/// `enforced`: the network is known to enforce policies, so that what says nothing is believed.
pub(super) async fn holds(
    api: &Api,
    target: &Verified,
    policy: &str,
    cut: &[Direction],
    enforced: bool,
) -> Result<Option<String>, Failure> {
    let id = Id::of(target.uid());
    let mut waits = WAITS.into_iter();
    loop {
        let policy = api.custom(Tier::Cilium.kind(), target.namespace(), policy).await?;
        let endpoint = api.custom(&ENDPOINT, target.namespace(), target.name()).await;
        let of_pod = match endpoint {
            Ok(endpoint) => judge(endpoint.as_ref(), target.uid().as_str(), &id, cut, enforced),
            Err(error) => Word::Doubt(unreadable(error)?),
        };
        let word = word_of_policy(policy.as_ref(), enforced).and(of_pod);
        match word {
            Word::Holds => return Ok(None),
            Word::Doubt(why) => return Ok(Some(why)),
            Word::NotYet(why) => match waits.next().filter(|wait| *wait < api.spare()) {
                Some(wait) => tokio::time::sleep(wait).await,
                None => return Ok(Some(why.to_owned())),
            },
        }
    }
}

/// Not granted, or the kind isn't served: an answer, and no outage.
fn unreadable(error: ApiError) -> Result<String, Failure> {
    match error.code() {
        Some(403 | 404) => Ok(format!("its CiliumEndpoint can't be read: {error}")),
        _ => Err(error.into()),
    }
}

/// What Cilium itself says of a policy: its condition `Valid`, which its operator writes unless told not to.
fn word_of_policy(policy: Option<&DynamicObject>, enforced: bool) -> Word {
    let Some(policy) = policy else { return Word::Doubt("its CiliumNetworkPolicy is gone".into()) };
    let conditions = policy.data.pointer("/status/conditions").and_then(Value::as_array);
    let valid = conditions.into_iter().flatten().find(|it| it["type"] == "Valid");
    match valid.map(|condition| condition["status"].as_str().unwrap_or_default()) {
        Some("True") => Word::Holds,
        Some("False") => {
            let why = valid.and_then(|it| it["message"].as_str()).unwrap_or_default();
            Word::Doubt(format!("Cilium says that the policy is not valid: {}", clean(why, 200)))
        }
        _ if enforced => Word::Holds,
        _ => Word::NotYet(
            "Cilium has not said that the policy is valid: set cluster.enforcesNetworkPolicies where it is told not to",
        ),
    }
}

fn judge(
    endpoint: Option<&DynamicObject>,
    uid: &str,
    id: &Id,
    cut: &[Direction],
    enforced: bool,
) -> Word {
    let Some(endpoint) = endpoint else {
        return Word::Doubt("the pod has no CiliumEndpoint".into());
    };
    let mut owners = endpoint.metadata.owner_references.iter().flatten();
    if !owners.any(|owner| owner.kind == "Pod" && owner.uid == uid) {
        return Word::Doubt("the CiliumEndpoint of its name is of another pod".into());
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
            return Word::Doubt(
                "Cilium's agent does not say whether it enforces: set cluster.enforcesNetworkPolicies once it is known, \
                 or Cilium's endpointStatus"
                    .into(),
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
            (None, false, "doubt"),
            (Some(endpoint("other", &ours, says(true, true))), true, "doubt"),
            (
                Some(endpoint("u", "k8s:stoop.dev/quarantine=other", says(true, true))),
                true,
                "not yet",
            ),
            (Some(endpoint("u", &ours, says(true, true))), false, "holds"),
            (Some(endpoint("u", &ours, says(true, false))), true, "not yet"),
            (Some(endpoint("u", &ours, says(false, true))), true, "not yet"),
            (Some(endpoint("u", &ours, silent.clone())), false, "doubt"),
            (Some(endpoint("u", &ours, silent)), true, "holds"),
            (Some(endpoint("u", &ours, json!(null))), false, "doubt"),
        ];
        for (at, (endpoint, enforced, word)) in table.into_iter().enumerate() {
            let judged = match judge(endpoint.as_ref(), "u", &id, &[Ingress, Egress], enforced) {
                Word::Holds => "holds",
                Word::NotYet(_) => "not yet",
                Word::Doubt(_) => "doubt",
            };
            assert_eq!(judged, word, "{at}");
        }
        // Of a direction that is left as it is, nothing need be said.
        let egress = endpoint("u", &ours, says(false, true));
        assert_eq!(judge(Some(&egress), "u", &id, &[Egress], false), Word::Holds);
    }

    #[test]
    fn a_policy_that_cilium_has_not_looked_at_holds_nobody() {
        let policy = |status: Value| -> DynamicObject {
            serde_json::from_value(json!({"metadata": {"name": "ours"}, "status": status})).unwrap()
        };
        let valid = |word: &str| {
            policy(json!({"conditions": [{"type": "Valid", "status": word, "message": "no"}]}))
        };
        let not_yet = |word: &Word| matches!(word, Word::NotYet(_));
        let doubt = |word: &Word| matches!(word, Word::Doubt(_));
        assert!(not_yet(&word_of_policy(Some(&policy(json!(null))), false)));
        assert!(not_yet(&word_of_policy(Some(&valid("Unknown")), false)));
        assert_eq!(word_of_policy(Some(&policy(json!(null))), true), Word::Holds);
        for enforced in [false, true] {
            assert_eq!(word_of_policy(Some(&valid("True")), enforced), Word::Holds);
            assert!(doubt(&word_of_policy(Some(&valid("False")), enforced)));
            assert!(doubt(&word_of_policy(None, enforced)));
        }
    }
}
