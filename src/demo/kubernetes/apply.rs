//! Server-side apply: what somebody says of an object is merged into it, and written down as theirs.
//!
//! By force alone, lists as a whole, and what an applier no longer says stays: stoop says all of its objects each time.

use serde_json::{Value, json};

use super::{
    call::{Call, Resource},
    create::create,
    meta,
    status::{Failure, bad_request, conflict},
    store::{Key, Store},
    update::write,
    world::Answer,
};

pub(super) const APPLY: &str = "application/apply-patch+yaml";

/// Of the metadata, what names an object and is nobody's field.
const NAMES: [&str; 4] = ["name", "namespace", "uid", "resourceVersion"];

/// Creates the object, or brings it up to date.
pub(super) fn apply(
    store: &mut Store,
    on: &Resource,
    name: &str,
    call: &Call,
) -> Result<Answer, Failure> {
    // The YAML that clients send is JSON.
    let (said, dry_run) = (call.json()?, call.is_dry_run()?);
    let manager = match (&call.parameters.field_manager, call.parameters.force) {
        (Some(manager), Some(true)) => manager,
        _ => return Err(bad_request("an apply needs a fieldManager, and here force as well")),
    };
    let key = Key::new(on.kind, &on.namespace, name);
    let Some(old) = store.get(&key).cloned() else {
        // A uid is a precondition; a resourceVersion alone is none.
        if !meta::uid(&said).is_empty() {
            let why = format!(
                "uid mismatch: the provided object specified uid {}, and no existing object was found",
                meta::uid(&said)
            );
            return Err(conflict(on.kind, on.kind.resource, name, &why));
        }
        let mut made = said.clone();
        record(&mut made, manager, &said);
        return Ok((201, create(store, on.kind, &on.namespace, made, dry_run)?));
    };
    let mut new = old.clone();
    json_patch::merge(&mut new, &said);
    record(&mut new, manager, &said);
    let new = on.kind.shape(new).map_err(|error| bad_request(&error.to_string()))?;
    Ok((200, write(store, on, key, old, new, dry_run)?))
}

/// Writes down whose the fields are that were said. What is there already keeps its time, so that saying it again changes
/// nothing.
fn record(object: &mut Value, manager: &str, said: &Value) {
    let mut fields = fields(said);
    for unowned in ["f:apiVersion", "f:kind"] {
        fields.as_object_mut().map(|fields| fields.remove(unowned));
    }
    for name in NAMES {
        fields["f:metadata"].as_object_mut().map(|of| of.remove(&format!("f:{name}")));
    }
    let entries = object["metadata"]["managedFields"].as_array().cloned().unwrap_or_default();
    let (ours, mut others): (Vec<Value>, Vec<Value>) =
        entries.into_iter().partition(|entry| entry["manager"] == manager);
    let kept = ours.into_iter().find(|entry| entry["fieldsV1"] == fields);
    others.push(kept.unwrap_or_else(|| {
        json!({
            "manager": manager, "operation": "Apply", "apiVersion": said["apiVersion"],
            "time": meta::now(), "fieldsType": "FieldsV1", "fieldsV1": fields,
        })
    }));
    object["metadata"]["managedFields"] = others.into();
}

/// The tree of an object's fields, as managed fields have it.
fn fields(said: &Value) -> Value {
    let Some(object) = said.as_object() else { return json!({}) };
    object.iter().map(|(key, value)| (format!("f:{key}"), fields(value))).collect()
}
