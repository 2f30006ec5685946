//! Deletion: preconditions, the grace period that can only be shortened, dry run.

use k8s_openapi::apimachinery::pkg::apis::meta::v1::DeleteOptions;
use kube::core::response::StatusDetails;
use serde_json::Value;

use super::{
    call::Call,
    kinds::{Kind, NAMESPACE, POD},
    meta,
    status::{Failure, bad_request, conflict, details, not_found, success},
    store::{Key, Store},
};

/// The options in the body, or those in the query where there is no body.
pub(super) fn options(call: &Call) -> Result<DeleteOptions, Failure> {
    if !call.body.is_empty() {
        return serde_json::from_value(call.json()?)
            .map_err(|error| bad_request(&error.to_string()));
    }
    Ok(DeleteOptions {
        dry_run: call.is_dry_run()?.then(|| vec!["All".into()]),
        grace_period_seconds: call.parameters.grace_period_seconds,
        ..DeleteOptions::default()
    })
}

pub(super) fn is_dry_run(options: &DeleteOptions) -> bool {
    options.dry_run.as_ref().is_some_and(|stages| !stages.is_empty())
}

/// Deletes the object, or starts to; gives back what the answer shows.
pub(super) fn delete(
    store: &mut Store,
    kind: &Kind,
    key: &Key,
    options: &DeleteOptions,
) -> Result<Value, Failure> {
    let object = store.get(key).cloned().ok_or_else(|| not_found(kind, &key.name))?;
    check(kind, &object, options)?;
    let dry_run = is_dry_run(options);
    match after(kind, &object, options) {
        After::Terminating(object) if dry_run => Ok(object),
        After::Terminating(object) => Ok(store.put(key.clone(), object)),
        After::Gone => {
            if !dry_run {
                store.remove(key);
            }
            Ok(shown(kind, object))
        }
    }
}

/// What the preconditions say of the object.
fn check(kind: &Kind, object: &Value, options: &DeleteOptions) -> Result<(), Failure> {
    let Some(wanted) = &options.preconditions else { return Ok(()) };
    let refuse = |what: &str, wanted: &str, found: &str, then: &str| {
        let why = format!(
            "the {what} in the precondition ({wanted}) does not match the {what} in record ({found}). The object might have been {then}"
        );
        Err(conflict(kind, kind.kind, meta::name(object), &why))
    };
    let revision = meta::text(object, "resourceVersion");
    match (&wanted.uid, &wanted.resource_version) {
        (Some(uid), _) if uid != meta::uid(object) => {
            refuse("UID", uid, meta::uid(object), "deleted and then recreated")
        }
        (_, Some(wanted)) if wanted != revision => {
            refuse("ResourceVersion", wanted, revision, "modified")
        }
        _ => Ok(()),
    }
}

enum After {
    Gone,
    Terminating(Value),
}

/// A scheduled pod is given its grace period; everything else goes at once.
fn after(kind: &Kind, object: &Value, options: &DeleteOptions) -> After {
    let phase = object["status"]["phase"].as_str().unwrap_or_default();
    let runs = object["spec"]["nodeName"].is_string() && !["Succeeded", "Failed"].contains(&phase);
    if *kind != POD || !runs {
        return After::Gone;
    }
    let asked = options.grace_period_seconds.map(|grace| if grace < 0 { 1 } else { grace });
    let mut object = object.clone();
    let spec = &object["spec"]["terminationGracePeriodSeconds"];
    let default = spec.as_i64().unwrap_or(30);
    let metadata = &mut object["metadata"];
    let grace = match metadata["deletionGracePeriodSeconds"].as_i64() {
        None => asked.unwrap_or(default),
        Some(pending) => match asked {
            Some(shorter) if shorter < pending => shorter,
            _ => return After::Terminating(object),
        },
    };
    if grace == 0 {
        return After::Gone;
    }
    metadata["deletionTimestamp"] = meta::in_seconds(grace).into();
    metadata["deletionGracePeriodSeconds"] = grace.into();
    After::Terminating(object)
}

/// Pods and namespaces are shown as they were; for any other kind a `Status` says what went.
fn shown(kind: &Kind, object: Value) -> Value {
    if *kind == POD || *kind == NAMESPACE {
        return object;
    }
    let uid = meta::uid(&object).into();
    let about = details(kind.group, kind.resource, meta::name(&object));
    success(Some(StatusDetails { uid, ..about }))
}
