//! From the JSON Schema of a file to the schema of an object, which [has to be structural]: no reference, a type for every
//! value, and nothing unknown thrown away.
//!
//! [has to be structural]: https://kubernetes.io/docs/tasks/extend-kubernetes/custom-resources/custom-resource-definitions/#specifying-a-structural-schema

use serde_json::{Map, Value, json};

/// Keeps what the schema doesn't know: our own reader is to refuse it, and can't if it never sees it.
pub(super) const KEEP: &str = "x-kubernetes-preserve-unknown-fields";

/// What a structural schema says the same way.
const AS_IT_IS: [&str; 9] = [
    "description",
    "type",
    "default",
    "minLength",
    "maxLength",
    "minItems",
    "minProperties",
    "maxProperties",
    "required",
];

/// The structural form of `schema`, whose references are to `definitions`.
pub(super) fn structural(schema: &Value, definitions: &Value) -> Value {
    let mut schema = resolve(schema, definitions);
    let is_nullable = take_null(&mut schema, definitions);
    let mut found = Map::new();
    if let Some(words) = words(&schema) {
        found.insert("type".to_owned(), json!("string"));
        found.insert("enum".to_owned(), words);
    } else if schema.get("type").is_none_or(Value::is_array) {
        // One of several types is what no structural schema can say.
        found.insert(KEEP.to_owned(), json!(true));
    }
    for key in AS_IT_IS {
        if let Some(value) = schema.get(key).filter(|value| key != "type" || value.is_string()) {
            found.entry(key).or_insert_with(|| value.clone());
        }
    }
    if let Some(Value::Object(properties)) = schema.get("properties") {
        let below = |(key, of): (&String, &Value)| (key.clone(), structural(of, definitions));
        found.insert("properties".to_owned(), properties.iter().map(below).collect());
    }
    if let Some(items) = schema.get("items") {
        found.insert("items".to_owned(), structural(items, definitions));
    }
    match schema.get("additionalProperties") {
        Some(Value::Bool(false)) => {
            found.insert(KEEP.to_owned(), json!(true));
        }
        Some(of @ Value::Object(_)) => {
            found.insert("additionalProperties".to_owned(), structural(of, definitions));
        }
        _ => {}
    }
    if is_nullable {
        found.insert("nullable".to_owned(), json!(true));
    }
    Value::Object(found)
}

/// What a reference stands for, with what is said beside it.
fn resolve(schema: &Value, definitions: &Value) -> Map<String, Value> {
    let own = schema.as_object().cloned().unwrap_or_default();
    let name = own.get("$ref").and_then(Value::as_str).and_then(|it| it.strip_prefix("#/$defs/"));
    let meant = name.and_then(|name| definitions.get(name));
    let mut resolved = meant.map(|meant| resolve(meant, definitions)).unwrap_or_default();
    resolved.extend(own.into_iter().filter(|(key, _)| key != "$ref"));
    resolved
}

/// Takes the null out of what may be null, and says whether it was there.
fn take_null(schema: &mut Map<String, Value>, definitions: &Value) -> bool {
    if let Some(Value::Array(types)) = schema.get("type").cloned() {
        let others: Vec<_> = types.iter().filter(|it| *it != "null").cloned().collect();
        if let ([only], true) = (others.as_slice(), types.len() > others.len()) {
            schema.insert("type".to_owned(), only.clone());
            return true;
        }
        return false;
    }
    let Some(Value::Array(ways)) = schema.get("anyOf").cloned() else { return false };
    let others: Vec<_> = ways.iter().filter(|it| it["type"] != "null").collect();
    if let ([only], true) = (others.as_slice(), ways.len() > others.len()) {
        schema.remove("anyOf");
        let said_here = std::mem::take(schema);
        *schema = resolve(only, definitions);
        schema.extend(said_here);
        // It may be one of several itself.
        return true;
    }
    false
}

/// The words of what is one of some words.
fn words(schema: &Map<String, Value>) -> Option<Value> {
    if let Some(words) = schema.get("enum") {
        return Some(words.clone());
    }
    let ways = schema.get("oneOf")?.as_array()?;
    ways.iter().map(|way| way.get("const").cloned()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_form_of_a_schema_gets_the_one_that_the_api_server_takes() {
        let definitions = json!({
            "Word": {"oneOf": [{"const": "a", "type": "string"}, {"const": "b", "type": "string"}]},
            "Span": {"type": "string", "examples": ["1h"]},
            "Either": {"anyOf": [{"type": "string"}, {"type": "array", "items": {"type": "string"}}]},
            "Inner": {"type": "object", "additionalProperties": false, "properties": {"x": {"$ref": "#/$defs/Span"}}},
        });
        let cases = [
            (json!({"type": "string", "format": "odd"}), json!({"type": "string"})),
            (json!({"type": ["integer", "null"]}), json!({"type": "integer", "nullable": true})),
            (json!({"type": ["string", "number"]}), json!({KEEP: true})),
            (
                json!({"$ref": "#/$defs/Word", "description": "here"}),
                json!({"type": "string", "enum": ["a", "b"], "description": "here"}),
            ),
            (
                json!({"anyOf": [{"$ref": "#/$defs/Span"}, {"type": "null"}]}),
                json!({"type": "string", "nullable": true}),
            ),
            (
                json!({"anyOf": [{"$ref": "#/$defs/Either"}, {"type": "null"}], "description": "d"}),
                json!({KEEP: true, "nullable": true, "description": "d"}),
            ),
            (
                json!({"$ref": "#/$defs/Inner"}),
                json!({"type": "object", KEEP: true, "properties": {"x": {"type": "string"}}}),
            ),
            (
                json!({"type": ["object", "null"], "additionalProperties": {"$ref": "#/$defs/Either"}}),
                json!({"type": "object", "nullable": true, "additionalProperties": {KEEP: true}}),
            ),
            (
                json!({"type": "array", "items": {"$ref": "#/$defs/Span"}, "minItems": 1}),
                json!({"type": "array", "items": {"type": "string"}, "minItems": 1}),
            ),
        ];
        for (written, expected) in cases {
            assert_eq!(structural(&written, &definitions), expected, "{written}");
        }
    }
}
