//! Lists: selected by labels and fields, a page at a time.

use serde_json::{Value, json};

use super::{
    call::{Parameters, Resource},
    selectors,
    status::Failure,
    store::Store,
};

/// Unlike the API server's, a later page shows the objects as they are then.
pub(super) fn list(
    store: &Store,
    on: &Resource,
    parameters: &Parameters,
) -> Result<Value, Failure> {
    let labels = selectors::labels(&parameters.label_selector)?;
    let fields = selectors::fields(on.kind, &parameters.field_selector)?;
    let after = parameters.r#continue.as_deref();
    let mut rest = store.all(on.kind).filter(|(key, object)| {
        (on.namespace.is_empty() || key.namespace == on.namespace)
            && after.is_none_or(|after| position(&key.namespace, &key.name).as_str() > after)
            && selectors::selects(&labels, object)
            && fields.select(object)
    });

    let limit = if parameters.limit == 0 { usize::MAX } else { parameters.limit };
    let page: Vec<_> = rest.by_ref().take(limit).collect();
    let mut metadata = json!({ "resourceVersion": store.revision().to_string() });
    let remaining = rest.count();
    if let (Some((last, _)), 1..) = (page.last(), remaining) {
        metadata["continue"] = position(&last.namespace, &last.name).into();
        metadata["remainingItemCount"] = remaining.into();
    }
    let items: Vec<Value> = page.into_iter().map(|(_, object)| item(object)).collect();
    Ok(json!({
        "apiVersion": on.kind.api_version(),
        "kind": format!("{}List", on.kind.kind),
        "metadata": metadata,
        "items": items,
    }))
}

/// What a continue token says. `!` sorts before every letter of a name, so tokens sort as keys do.
fn position(namespace: &str, name: &str) -> String {
    format!("{namespace}!{name}")
}

/// An object within a list says neither its kind nor its version.
fn item(object: &Value) -> Value {
    let mut item = object.clone();
    if let Some(fields) = item.as_object_mut() {
        fields.remove("apiVersion");
        fields.remove("kind");
    }
    item
}
