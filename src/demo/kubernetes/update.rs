//! Changing an object that is there: PUT, merge patch and JSON patch, and the rules both are held to.

use serde_json::Value;

use super::{
    apply::APPLY,
    call::{Call, Resource, Subresource},
    kinds::Kind,
    meta,
    status::{Failure, bad_request, conflict, invalid, not_found, unsupported_media},
    store::{Key, Store},
};

const MERGE: &str = "application/merge-patch+json";
const JSON: &str = "application/json-patch+json";

/// Metadata that is the server's to write.
const FIXED: [&str; 7] = [
    "namespace",
    "uid",
    "creationTimestamp",
    "generation",
    "resourceVersion",
    "deletionTimestamp",
    "deletionGracePeriodSeconds",
];

/// PUT: the object as sent replaces the stored one.
pub(super) fn replace(
    store: &mut Store,
    on: &Resource,
    name: &str,
    call: &Call,
) -> Result<Value, Failure> {
    let (key, old) = existing(store, on, name)?;
    let new = on.kind.shape(call.json()?).map_err(|error| bad_request(&error.to_string()))?;
    // A uid in a PUT is a precondition, in a patch it is a change: the two are refused differently.
    if !["", meta::uid(&old)].contains(&meta::uid(&new)) {
        let why = format!(
            "Precondition failed: UID in precondition: {}, UID in object meta: {}",
            meta::uid(&new),
            meta::uid(&old)
        );
        return Err(conflict(on.kind, on.kind.resource, name, &why));
    }
    write(store, on, key, old, new, call.is_dry_run()?)
}

/// PATCH: the patch is applied to the stored object, and the outcome written.
pub(super) fn patch(
    store: &mut Store,
    on: &Resource,
    name: &str,
    call: &Call,
) -> Result<Value, Failure> {
    let (key, old) = existing(store, on, name)?;
    let mut new = old.clone();
    match call.content_type.as_str() {
        MERGE => json_patch::merge(&mut new, &call.json()?),
        JSON => {
            let patch: json_patch::Patch = serde_json::from_value(call.json()?)
                .map_err(|error| bad_request(&error.to_string()))?;
            json_patch::patch(&mut new, &patch)
                .map_err(|error| invalid(on.kind, name, "patch", &error.to_string()))?;
        }
        _ => return Err(unsupported_media(&format!("{JSON}, {MERGE}, {APPLY}"))),
    }
    let new = on
        .kind
        .shape(new)
        .map_err(|error| invalid(on.kind, name, "patch", &format!("Invalid value: {error}")))?;
    write(store, on, key, old, new, call.is_dry_run()?)
}

fn existing(store: &Store, on: &Resource, name: &str) -> Result<(Key, Value), Failure> {
    let key = Key::new(on.kind, &on.namespace, name);
    let old = store.get(&key).cloned().ok_or_else(|| not_found(on.kind, name))?;
    Ok((key, old))
}

/// Writes what a change has come to, as far as it may change anything.
pub(super) fn write(
    store: &mut Store,
    on: &Resource,
    key: Key,
    old: Value,
    mut new: Value,
    dry_run: bool,
) -> Result<Value, Failure> {
    check(on.kind, &old, &new)?;
    for fixed in FIXED {
        put_back(&mut new["metadata"], &old["metadata"], fixed);
    }
    match on.subresource {
        Some(Subresource::Status) => put_back(&mut new, &old, "spec"),
        _ if on.kind.has_status => put_back(&mut new, &old, "status"),
        _ => {}
    }
    if new == old {
        return Ok(old);
    }
    if let (true, Some(generation)) =
        (new["spec"] != old["spec"], old["metadata"]["generation"].as_i64())
    {
        new["metadata"]["generation"] = (generation + 1).into();
    }
    Ok(if dry_run { new } else { store.put(key, new) })
}

fn check(kind: &Kind, old: &Value, new: &Value) -> Result<(), Failure> {
    let name = meta::name(old);
    if meta::name(new) != name {
        return Err(bad_request(&format!(
            "the name of the object ({}) does not match the name on the URL ({name})",
            meta::name(new)
        )));
    }
    if !["", meta::text(old, "resourceVersion")].contains(&meta::text(new, "resourceVersion")) {
        let why = "the object has been modified; please apply your changes to the latest version and try again";
        return Err(conflict(kind, kind.resource, name, why));
    }
    if !["", meta::uid(old)].contains(&meta::uid(new)) {
        let why = format!("Invalid value: {:?}: field is immutable", meta::uid(new));
        return Err(invalid(kind, name, "metadata.uid", &why));
    }
    Ok(())
}

/// Makes a field what it was, absent if it was absent.
fn put_back(new: &mut Value, old: &Value, field: &str) {
    let Some(fields) = new.as_object_mut() else { return };
    match old.get(field) {
        Some(value) => fields.insert(field.to_owned(), value.clone()),
        None => fields.remove(field),
    };
}
