//! The rows of a JSON Schema: a key each, with its kind, its default and what it is for.

use serde_json::Value;

/// One key.
#[derive(Debug)]
pub(super) struct Row {
    pub(super) key: String,
    pub(super) kind: String,
    pub(super) default: String,
    pub(super) meaning: String,
}

/// What a reference leads to, and what an optional value is where it is there.
pub(super) fn resolved<'a>(root: &'a Value, schema: &'a Value) -> &'a Value {
    if let Some(name) = schema["$ref"].as_str().and_then(|path| path.rsplit('/').next()) {
        return resolved(root, &root["$defs"][name]);
    }
    let any = schema["anyOf"].as_array().map(Vec::as_slice).unwrap_or_default();
    match any {
        [one, null] if null["type"] == "null" => resolved(root, one),
        _ => schema,
    }
}

/// All keys below an object, those of the objects in it included.
pub(super) fn rows(root: &Value, schema: &Value, path: &str) -> Vec<Row> {
    if is_scalar(schema) {
        return Vec::new();
    }
    let schema = resolved(root, schema);
    let mut out = Vec::new();
    if let Some(more) = schema.get("additionalProperties").filter(|more| more.is_object()) {
        out.extend(rows(root, more, &format!("{path}NAME.")));
    }
    // One of several kinds, each by its own key.
    for one in schema["oneOf"].as_array().into_iter().flatten() {
        if one["properties"].as_object().is_some_and(|keys| keys.len() == 1) {
            out.extend(properties(root, one, path));
        }
    }
    for one in schema["anyOf"].as_array().into_iter().flatten() {
        out.extend(rows(root, one, path));
    }
    out.extend(properties(root, schema, path));
    out
}

fn properties(root: &Value, schema: &Value, path: &str) -> Vec<Row> {
    let required: Vec<_> = schema["required"].as_array().into_iter().flatten().collect();
    let mut out = Vec::new();
    for (key, value) in schema["properties"].as_object().into_iter().flatten() {
        let is_required = required.iter().any(|it| *it == key);
        let key = format!("{path}{key}");
        let is_step = value["items"]["$ref"].as_str().is_some_and(|path| path.ends_with("/Step"));
        let below = if is_step { Vec::new() } else { rows(root, value, &format!("{key}.")) };
        if below.is_empty() || has_form_of_its_own(root, value) {
            out.extend(one(root, &key, value, is_required));
        }
        out.extend(below);
    }
    out
}

/// True for what is one value to whoever writes it, in whichever of its forms.
fn is_scalar(schema: &Value) -> bool {
    let name = schema["$ref"].as_str().and_then(|path| path.rsplit('/').next());
    name == Some("Secret") || schema["anyOf"].as_array().into_iter().flatten().any(is_scalar)
}

/// True for what may be a mapping and something else.
fn has_form_of_its_own(root: &Value, schema: &Value) -> bool {
    resolved(root, schema)["anyOf"].is_array()
}

/// The row of one key.
pub(super) fn one(root: &Value, key: &str, value: &Value, required: bool) -> Option<Row> {
    let own = resolved(root, value);
    let said = value["description"].as_str().or_else(|| own["description"].as_str());
    let default = match &value["default"] {
        Value::Null => String::new(),
        Value::String(text) if text.is_empty() => String::new(),
        Value::Array(items) if items.is_empty() => String::new(),
        Value::Object(_) => String::new(),
        Value::String(text) => format!("`{text}`"),
        other => format!("`{other}`"),
    };
    Some(Row {
        key: format!("{key}{}", if required { "*" } else { "" }),
        kind: kind(root, value),
        default,
        meaning: said.unwrap_or_default().replace('\n', " "),
    })
}

/// In words, what may stand there.
fn kind(root: &Value, schema: &Value) -> String {
    if let Some(name) = schema["$ref"].as_str().and_then(|path| path.rsplit('/').next()) {
        match name {
            "Secret" => return "secret".to_owned(),
            "Duration" => return "duration".to_owned(),
            "ByteSize" => return "size".to_owned(),
            "Step" => return "actions".to_owned(),
            "Scalar" => return "text, number or boolean".to_owned(),
            _ => {}
        }
    }
    let any = schema["anyOf"].as_array().map(Vec::as_slice).unwrap_or_default();
    match any {
        [one, null] if null["type"] == "null" => return kind(root, one),
        [one, many] if many["type"] == "array" => return format!("{}, or a list", kind(root, one)),
        [many, other] if many["type"] == "array" => {
            return format!("{}, or {}", kind(root, many), kind(root, other));
        }
        _ => {}
    }
    let own = resolved(root, schema);
    if own != schema {
        return kind(root, own);
    }
    let values = own["enum"].as_array().map(Vec::as_slice).unwrap_or_default();
    let each = own["oneOf"].as_array().into_iter().flatten();
    let consts: Vec<_> = each
        .flat_map(|one| {
            std::iter::once(&one["const"]).chain(one["enum"].as_array().into_iter().flatten())
        })
        .chain(values)
        .filter_map(Value::as_str)
        .map(|value| format!("`{value}`"))
        .collect();
    if !consts.is_empty() {
        return consts.join(", ");
    }
    let types: Vec<_> = match &own["type"] {
        Value::Array(types) => types.iter().filter_map(Value::as_str).collect(),
        one => one.as_str().into_iter().collect(),
    };
    let words = types.iter().filter(|name| **name != "null").map(|name| match *name {
        "string" => "text".to_owned(),
        "array" => format!("list of {}", kind(root, &own["items"])),
        "object" => "mapping".to_owned(),
        "integer" => "number".to_owned(),
        other => other.to_owned(),
    });
    words.collect::<Vec<_>>().join(" or ")
}
