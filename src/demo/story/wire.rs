//! Which of the requests that the API saw can touch which pod.

use axum::http::Method;

use crate::demo::{kubernetes::Request, stage::Pod};

/// Whom a policy of ours is for.
const POD_UID: &str = "stoop.dev/pod-uid";

/// A delete that is answered, whomever it hits.
pub(super) fn is_delete_at(request: &Request, pod: &Pod) -> bool {
    request.method == Method::DELETE && request.path == pod.path() && request.answered.is_some()
}

/// A delete that can hit this very pod only, and leaves it time to end.
pub(super) fn is_delete_of(request: &Request, pod: &Pod) -> bool {
    is_delete_at(request, pod)
        && request.body["preconditions"]["uid"] == pod.uid.as_str()
        && request.body["gracePeriodSeconds"].as_u64().is_some_and(|grace| grace >= 1)
}

/// A change of this very pod.
pub(super) fn is_change_of(request: &Request, pod: &Pod) -> bool {
    request.method == Method::PATCH
        && request.path == pod.path()
        && request.body["metadata"]["uid"] == pod.uid.as_str()
        && request.answered.is_some()
}

/// A policy that is made for this very pod.
pub(super) fn is_policy_of(request: &Request, pod: &Pod) -> bool {
    let metadata = &request.body["metadata"];
    request.method == Method::PATCH
        && request.path.starts_with(&pod.policies())
        && metadata["labels"][POD_UID] == pod.uid.as_str()
        && metadata["ownerReferences"][0]["uid"] == pod.uid.as_str()
        && request.answered.is_some()
}

/// The end of a policy that was made by `made`, and of no other of its name.
pub(super) fn is_end_of(request: &Request, made: &Request) -> bool {
    request.method == Method::DELETE
        && request.path == made.path
        && request.body["preconditions"]["uid"].is_string()
}
