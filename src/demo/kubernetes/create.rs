//! Creation: what is checked, filled in and refused before an object exists.

use serde_json::{Value, json};

use super::{
    kinds::{Kind, NAMESPACE, NODE},
    meta, selectors,
    status::{Failure, already_exists, bad_request, invalid, not_found},
    store::{Key, Store},
};

/// Creates the object and gives it back as stored, or as it would be in a dry run.
pub(super) fn create(
    store: &mut Store,
    kind: &'static Kind,
    namespace: &str,
    body: Value,
    dry_run: bool,
) -> Result<Value, Failure> {
    let mut object = kind.shape(body).map_err(|error| {
        let (name, version) = (kind.kind, kind.version);
        bad_request(&format!(
            "{name} in version {version:?} cannot be handled as a {name}: {error}"
        ))
    })?;
    if !["", namespace].contains(&meta::namespace(&object)) {
        return Err(bad_request(
            "the namespace of the provided object does not match the namespace sent on the request",
        ));
    }
    if kind.namespaced && store.get(&Key::new(&NAMESPACE, "", namespace)).is_none() {
        return Err(not_found(&NAMESPACE, namespace));
    }
    stamp(&mut object, kind, namespace)?;
    complete(&mut object, kind)?;

    let key = Key::new(kind, namespace, meta::name(&object));
    if store.get(&key).is_some() {
        return Err(already_exists(kind, &key.name));
    }
    Ok(if dry_run { object } else { store.put(key, object) })
}

/// Gives the object its name and identity; whatever the client said of these but the name is not its to say.
fn stamp(object: &mut Value, kind: &Kind, namespace: &str) -> Result<(), Failure> {
    let prefix = meta::text(object, "generateName").to_owned();
    let name = match (meta::name(object), prefix.as_str()) {
        ("", "") => {
            let why = "Required value: name or generateName is required";
            return Err(invalid(kind, "", "metadata.name", why));
        }
        ("", prefix) => format!("{prefix}{}", meta::suffix()),
        (name, _) => name.to_owned(),
    };
    if !is_dns_subdomain(&name) {
        let why = format!(
            "Invalid value: {name:?}: a lowercase RFC 1123 subdomain must consist of lower case alphanumeric characters, '-' or '.', and must start and end with an alphanumeric character"
        );
        return Err(invalid(kind, &name, "metadata.name", &why));
    }
    let metadata = &mut object["metadata"];
    metadata["name"] = name.into();
    metadata["uid"] = meta::fresh_uid().into();
    metadata["creationTimestamp"] = meta::now().into();
    if kind.namespaced {
        metadata["namespace"] = namespace.into();
    }
    if let Some(metadata) = metadata.as_object_mut() {
        for servers in ["resourceVersion", "deletionTimestamp", "deletionGracePeriodSeconds"] {
            metadata.remove(servers);
        }
    }
    // A node tells its own status from the first; every other kind starts without one.
    if kind.has_status && *kind != NODE {
        object["metadata"]["generation"] = 1.into();
        object["status"] = json!({});
    }
    Ok(())
}

/// Fills in the defaults that stoop or the controllers read, and refuses what the API server would.
fn complete(object: &mut Value, kind: &Kind) -> Result<(), Failure> {
    let name = meta::name(object).to_owned();
    match kind.resource {
        "namespaces" => object["status"]["phase"] = "Active".into(),
        "pods" => {
            if object["spec"]["containers"].as_array().is_none_or(Vec::is_empty) {
                return Err(invalid(kind, &name, "spec.containers", "Required value"));
            }
            default(object, "restartPolicy", "Always".into());
            default(object, "schedulerName", "default-scheduler".into());
            default(object, "terminationGracePeriodSeconds", 30.into());
            object["status"]["phase"] = "Pending".into();
        }
        "deployments" | "replicasets" | "statefulsets" => {
            default(object, "replicas", 1.into());
            let template = &object["spec"]["template"];
            let selected = selectors::of_spec(object)
                .is_some_and(|selector| selectors::selects(&selector, template));
            if !selected {
                let why = "Invalid value: `selector` does not match template `labels`";
                return Err(invalid(kind, &name, "spec.template.metadata.labels", why));
            }
        }
        _ => {}
    }
    Ok(())
}

fn default(object: &mut Value, field: &str, value: Value) {
    let field = &mut object["spec"][field];
    if field.is_null() {
        *field = value;
    }
}

fn is_dns_subdomain(name: &str) -> bool {
    let within = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || matches!(c, '-' | '.');
    let edge = |c: Option<char>| c.is_some_and(|c| c.is_ascii_alphanumeric());
    name.len() <= 253
        && name.chars().all(within)
        && edge(name.chars().next())
        && edge(name.chars().last())
}
