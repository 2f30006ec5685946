//! The JSON Schema of a playbook, with the keys of every action.

use schemars::generate::SchemaSettings;
use serde_json::{Map, Value, json};
use settings::Span;

use super::actions::{KEYS, Keys};
use crate::decide;

/// For editors, which complete and check what is written. The reader says more: what contradicts itself, and places.
pub fn schema() -> Value {
    let mut generator = SchemaSettings::draft2020_12().into_generator();
    let span = generator.subschema_for::<Span>().to_value();
    let keys: Vec<_> = KEYS
        .iter()
        .map(|Keys { action, schema, expires }| {
            (*action, schema(&mut generator).to_value(), *expires)
        })
        .collect();
    let mut definitions = generator.take_definitions(true);
    let mut steps = Map::new();
    for (action, keys, expires) in keys {
        if expires {
            let own =
                keys.get("$ref").and_then(Value::as_str).and_then(|path| path.rsplit('/').next());
            let own = own.and_then(|name| definitions.get_mut(name));
            if let Some(Value::Object(properties)) = own.and_then(|keys| keys.get_mut("properties"))
            {
                let mut span = span.clone();
                if let Value::Object(span) = &mut span {
                    let says =
                        "When what was changed is taken back; the cluster has to keep Responses.";
                    span.insert("description".to_owned(), says.into());
                }
                properties.insert("expireAfter".to_owned(), span);
            }
        }
        steps.insert(action.to_owned(), json!({"anyOf": [keys, {"type": "null"}]}));
    }
    let mut schema = decide::schema();
    if let Some(Value::Object(all)) = schema.get_mut("$defs") {
        all.extend(definitions);
        all.insert("Step".to_owned(), step(steps));
    }
    schema
}

/// A name alone, or one action with its keys.
fn step(mut actions: Map<String, Value>) -> Value {
    let names: Vec<_> = actions.keys().cloned().collect();
    let one: Vec<_> = names.iter().map(|name| json!({"required": [name]})).collect();
    let steps = json!({"type": "array", "items": {"$ref": "#/$defs/Step"}});
    actions.insert(
        "onFailure".to_owned(),
        json!({
            "description": "What follows when it failed for good: stop (the default), continue (that of capture and notify), or these in its place.",
            "anyOf": [{"enum": ["stop", "continue"]}, steps],
        }),
    );
    json!({
        "description": "One action: its name, or its name with its keys.",
        "anyOf": [
            {"type": "string", "enum": names},
            {"type": "object", "properties": actions, "additionalProperties": false, "oneOf": one},
        ],
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::act::Registry;

    #[test]
    fn every_action_that_a_playbook_can_name_has_its_keys() {
        let schema = schema();
        let steps = &schema["$defs"]["Step"]["anyOf"][1]["properties"];
        let written =
            steps.as_object().expect("properties").keys().filter(|key| *key != "onFailure");
        let registry = Registry::standard();
        assert_eq!(written.collect::<Vec<_>>(), registry.names().collect::<Vec<_>>());
        assert_eq!(schema["$defs"]["Delete"]["additionalProperties"], json!(false));
        assert!(schema["$defs"]["Delete"]["properties"].get("expireAfter").is_none());
        assert!(schema["$defs"]["Isolate"]["properties"].get("expireAfter").is_some());
    }
}
