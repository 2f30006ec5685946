//! The definitions of both kinds, made from the types that files are read by.
//!
//! What the API server can judge itself it refuses; whatever else is wrong is kept, refused by our own reader and told in the
//! object's status.

#![allow(
    clippy::indexing_slicing,
    reason = "a `Value` that is indexed by name gives null, or takes it: all of these are objects"
)]

use schemars::SchemaGenerator;
use serde_json::{Map, Value, json};

use super::{
    kind::PlaybookKind,
    status::PlaybookStatus,
    structural::{KEEP, structural},
};
use crate::{
    act::{reach::BEYOND, registry::Registry},
    decide::{self, Limits, Mode},
};

/// Of how many actions the API server's rules can be judged at a bounded cost.
const MOST_ACTIONS: usize = 64;

impl PlaybookKind {
    /// The definition, as `kubectl apply` takes it.
    pub fn definition(self) -> Value {
        let resource = self.resource();
        let (short, scope) = match self {
            PlaybookKind::ClusterPlaybook => ("cpbk", "Cluster"),
            PlaybookKind::Playbook => ("pbk", "Namespaced"),
        };
        json!({
            "apiVersion": "apiextensions.k8s.io/v1",
            "kind": "CustomResourceDefinition",
            "metadata": {"name": format!("{}.{}", resource.plural, resource.group)},
            "spec": {
                "group": resource.group,
                "names": {
                    "kind": resource.kind, "plural": resource.plural, "singular": resource.kind.to_lowercase(),
                    "shortNames": [short], "categories": ["stoop"],
                },
                "scope": scope,
                "versions": [{
                    "name": resource.version, "served": true, "storage": true,
                    "subresources": {"status": {}},
                    "additionalPrinterColumns": columns(),
                    "schema": {"openAPIV3Schema": self.schema()},
                }],
            },
        })
    }

    fn schema(self) -> Value {
        let about = match self {
            PlaybookKind::ClusterPlaybook => {
                "Which events of the cluster are answered, and the ordered actions that answer them."
            }
            PlaybookKind::Playbook => {
                "Which events about pods of its own namespace are answered, and the ordered actions that answer them."
            }
        };
        json!({
            "type": "object",
            "description": about,
            "required": ["spec"],
            "properties": {"spec": self.spec(), "status": status()},
            KEEP: true,
        })
    }

    fn spec(self) -> Value {
        let written = decide::schema();
        let mut spec = structural(&written["properties"]["spec"], &written["$defs"]);
        let properties = &mut spec["properties"];
        properties["mode"]["default"] = json!(Mode::default().as_str());
        properties["match"]["minProperties"] = json!(1);
        properties["actions"]["items"] = self.step(&written);
        properties["actions"]["maxItems"] = json!(MOST_ACTIONS);
        // The cost of a rule about a text goes by its longest.
        properties["limits"]["properties"]["budget"]["maxLength"] = json!(64);
        spec["description"] = written["description"].clone();
        if self == PlaybookKind::Playbook {
            let attempts = Limits::default().attempts;
            spec["x-kubernetes-validations"] = json!([
                {
                    "rule": format!("!has(self.limits) || !has(self.limits.attempts) || self.limits.attempts <= {attempts}"),
                    "message": format!("limits.attempts: at most {attempts}, in a Playbook; a ClusterPlaybook may have more"),
                },
                {
                    "rule": "!has(self.limits) || !has(self.limits.budget) || !self.limits.budget.endsWith('cluster')",
                    "message": "limits.budget: a Playbook may not use up the budget that the whole cluster shares: count it per playbook, owner or rule",
                },
            ]);
        }
        spec
    }

    /// One action. A string alone, as a file may have it, could not be looked into by a rule.
    fn step(self, written: &Value) -> Value {
        let described = &written["$defs"]["Step"]["oneOf"][1];
        let on_failure = json!({
            "description": "What follows when it fails: stop, continue, or a list of actions.", KEEP: true,
        });
        let action = json!({"type": "object", "nullable": true, KEEP: true});
        let registry = Registry::standard();
        let actions = registry.names().map(|name| (name.to_owned(), action.clone()));
        let properties: Map<_, _> = actions.chain([("onFailure".to_owned(), on_failure)]).collect();
        let mut step = json!({
            "type": "object",
            "description": described["description"],
            "minProperties": described["minProperties"],
            "maxProperties": described["maxProperties"],
            "properties": properties,
            KEEP: true,
        });
        if self == PlaybookKind::Playbook {
            let rules = BEYOND.iter().map(|(names, why)| {
                let none: Vec<_> = names.iter().map(|name| format!("!has(self.{name})")).collect();
                json!({
                    "rule": none.join(" && "),
                    "message": format!("{} {why}: only a ClusterPlaybook may", names.join(", ")),
                })
            });
            step["x-kubernetes-validations"] = rules.collect();
        }
        step
    }
}

fn status() -> Value {
    let mut generator = SchemaGenerator::default();
    let written = generator.root_schema_for::<PlaybookStatus>().to_value();
    let mut status = structural(&written, &written["$defs"]);
    let conditions = &mut status["properties"]["conditions"];
    conditions["x-kubernetes-list-type"] = json!("map");
    conditions["x-kubernetes-list-map-keys"] = json!(["type"]);
    conditions["items"]["properties"]["lastTransitionTime"]["format"] = json!("date-time");
    status
}

fn columns() -> Value {
    let condition =
        |of: &str, what: &str| format!(".status.conditions[?(@.type==\"{of}\")].{what}");
    json!([
        {"name": "Mode", "type": "string", "jsonPath": ".spec.mode"},
        {"name": "Ready", "type": "string", "jsonPath": condition("Ready", "status")},
        {"name": "Authorized", "type": "string", "jsonPath": condition("Authorized", "status")},
        {"name": "Why", "type": "string", "priority": 1, "jsonPath": condition("Ready", "message")},
        {"name": "Age", "type": "date", "jsonPath": ".metadata.creationTimestamp"},
    ])
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Every place where something could be pruned away.
    fn objects<'a>(schema: &'a Value, path: &str, found: &mut Vec<(String, &'a Value)>) {
        if schema["type"] == "object" {
            found.push((path.to_owned(), schema));
        }
        for (key, below) in schema["properties"].as_object().into_iter().flatten() {
            objects(below, &format!("{path}.{key}"), found);
        }
        objects_below(&schema["items"], path, found);
    }

    fn objects_below<'a>(items: &'a Value, path: &str, found: &mut Vec<(String, &'a Value)>) {
        if items.is_object() {
            objects(items, &format!("{path}[]"), found);
        }
    }

    #[test]
    fn nothing_that_is_written_into_a_playbook_is_thrown_away() {
        for kind in PlaybookKind::ALL {
            let (schema, mut found) = (kind.schema(), Vec::new());
            objects(&schema, "", &mut found);
            assert!(found.len() > 15, "{kind}: {found:?}");
            for (path, object) in found {
                let keeps = object[KEEP] == true || object["additionalProperties"].is_object();
                assert!(keeps || path.starts_with(".status"), "{kind}: {path}");
            }
        }
    }

    #[test]
    fn the_columns_show_a_mode_where_none_is_written() {
        let schema = PlaybookKind::Playbook.schema();
        assert_eq!(schema["properties"]["spec"]["properties"]["mode"]["default"], "observe");
    }
}
