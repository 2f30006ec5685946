//! The answers that are no object: `Status`, for success and for every failure.

use kube::core::{
    Status,
    response::{StatusCause, StatusDetails, StatusSummary, reason},
};
use serde_json::{Value, json};

use super::kinds::Kind;

/// A failed request: what the `Status` in the answer says.
pub(super) type Failure = Box<Status>;

pub(super) fn failure(code: u16, reason: &str, message: &str) -> Failure {
    Status::failure(message, reason).with_code(code).boxed()
}

pub(super) fn bad_request(message: &str) -> Failure {
    failure(400, reason::BAD_REQUEST, message)
}

pub(super) fn forbidden(message: &str, about: StatusDetails) -> Failure {
    detailed(403, reason::FORBIDDEN, message, about)
}

/// No such path: an unknown group, kind or subresource.
pub(super) fn no_such_resource() -> Failure {
    failure(404, reason::NOT_FOUND, "the server could not find the requested resource")
}

pub(super) fn not_found(kind: &Kind, name: &str) -> Failure {
    let message = format!("{} {name:?} not found", kind.qualified());
    detailed(404, reason::NOT_FOUND, &message, details(kind.group, kind.resource, name))
}

pub(super) fn not_allowed() -> Failure {
    let message = "the server does not allow this method on the requested resource";
    failure(405, reason::METHOD_NOT_ALLOWED, message)
}

pub(super) fn already_exists(kind: &Kind, name: &str) -> Failure {
    let message = format!("{} {name:?} already exists", kind.qualified());
    detailed(409, reason::ALREADY_EXISTS, &message, details(kind.group, kind.resource, name))
}

/// A precondition failed, or somebody else was faster. `what` is the kind or its plural: the API server says now this, now that.
pub(super) fn conflict(kind: &Kind, what: &str, name: &str, why: &str) -> Failure {
    let qualified = qualified(what, kind.group);
    let message = format!("Operation cannot be fulfilled on {qualified} {name:?}: {why}");
    detailed(409, reason::CONFLICT, &message, details(kind.group, what, name))
}

pub(super) fn unsupported_media(accepted: &str) -> Failure {
    let message = format!(
        "the body of the request was in an unknown format - accepted media types include: {accepted}"
    );
    failure(415, reason::UNSUPPORTED_MEDIA_TYPE, &message)
}

pub(super) fn invalid(kind: &Kind, name: &str, field: &str, why: &str) -> Failure {
    let qualified = qualified(kind.kind, kind.group);
    let message = format!("{qualified} {name:?} is invalid: {field}: {why}");
    let cause = StatusCause {
        reason: "FieldValueInvalid".into(),
        message: why.into(),
        field: field.into(),
    };
    let about = StatusDetails { causes: vec![cause], ..details(kind.group, kind.kind, name) };
    detailed(422, reason::INVALID, &message, about)
}

/// An eviction that a disruption budget forbids for now.
pub(super) fn budget_exhausted(cause: String, retry_after_seconds: u32) -> Failure {
    let message = "Cannot evict pod as it would violate the pod's disruption budget.";
    let cause =
        StatusCause { reason: "DisruptionBudget".into(), message: cause, field: String::new() };
    let about = StatusDetails { causes: vec![cause], retry_after_seconds, ..details("", "", "") };
    detailed(429, reason::TOO_MANY_REQUESTS, message, about)
}

pub(super) fn internal(message: &str) -> Failure {
    failure(500, reason::INTERNAL_ERROR, message)
}

/// The `Status` that answers a successful write without an object to show.
pub(super) fn success(details: Option<StatusDetails>) -> Value {
    body(&Status { status: Some(StatusSummary::Success), details, ..Status::success() })
}

/// A `Status` as it goes over the wire: kube's type leaves out the kind.
pub(super) fn body(status: &Status) -> Value {
    let mut body = json!(status);
    body["kind"] = "Status".into();
    body["apiVersion"] = "v1".into();
    body["metadata"] = json!({});
    body
}

/// Which object a `Status` is about.
pub(super) fn details(group: &str, kind: &str, name: &str) -> StatusDetails {
    StatusDetails {
        name: name.into(),
        group: group.into(),
        kind: kind.into(),
        uid: String::new(),
        causes: Vec::new(),
        retry_after_seconds: 0,
    }
}

/// `deployments.apps`, and `pods` in the core group.
pub(super) fn qualified(what: &str, group: &str) -> String {
    if group.is_empty() { what.to_owned() } else { format!("{what}.{group}") }
}

fn detailed(code: u16, reason: &str, message: &str, about: StatusDetails) -> Failure {
    let mut failure = failure(code, reason, message);
    failure.details = Some(about);
    failure
}
