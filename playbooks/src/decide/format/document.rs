//! The document as it is written: what serde reads and the JSON Schema describes.

use super::values::{OneOrMany, Scalar};
use super::{Approval, Mode};
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::Deserialize;
use serde::de::{self, Deserializer, SeqAccess, Visitor};
use serde_json::Value;
use settings::Span;
use std::borrow::Cow;
use std::collections::BTreeMap;
use std::fmt;

/// The JSON Schema of a playbook document, for editors.
pub fn schema() -> Value {
    schemars::schema_for!(PlaybookDoc).to_value()
}

/// Which events, and the ordered actions that answer them.
#[derive(Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields, expecting = "a playbook")]
#[schemars(rename = "Playbook")]
pub(super) struct PlaybookDoc {
    #[allow(dead_code, reason = "reading it is the check")]
    pub(super) api_version: ApiVersion,
    pub(super) kind: Kind,
    pub(super) metadata: Metadata,
    #[allow(dead_code, reason = "that it is there is the check; its parts are read one by one")]
    #[schemars(with = "SpecDoc")]
    pub(super) spec: Value,
    #[allow(dead_code, reason = "a Kubernetes object has one; it is not ours to read")]
    #[schemars(skip)]
    pub(super) status: Option<de::IgnoredAny>,
}

#[derive(Deserialize, JsonSchema)]
pub(super) enum ApiVersion {
    #[serde(rename = "stoop.dev/v1alpha1")]
    V1Alpha1,
}

/// As files both reach the whole cluster.
#[derive(Clone, Copy, PartialEq, Eq, Deserialize, JsonSchema)]
pub(super) enum Kind {
    Playbook,
    ClusterPlaybook,
}

/// A Kubernetes object has many more keys here.
#[derive(Deserialize, JsonSchema)]
pub(super) struct Metadata {
    /// An RFC 1123 subdomain; playbooks run in order of it.
    pub(super) name: String,
    /// Of an object that is bound to one.
    #[schemars(skip)]
    pub(super) namespace: Option<String>,
}

/// Each part is read by itself, so that one reading finds the faults of all.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(super) struct SpecParts {
    pub(super) mode: Option<Value>,
    #[allow(dead_code, reason = "that it is there is the check")]
    pub(super) r#match: Value,
    #[allow(dead_code, reason = "that it is there is the check")]
    pub(super) actions: Value,
    pub(super) approval: Option<Value>,
    pub(super) limits: Option<Value>,
}

#[derive(JsonSchema)]
#[schemars(rename_all = "camelCase", deny_unknown_fields)]
#[allow(dead_code, reason = "describes what `SpecParts` reads")]
struct SpecDoc {
    /// How far it may go: observe is the default.
    #[schemars(default)]
    mode: Mode,
    /// Which events it answers; all keys that are given must hold.
    r#match: MatchDoc,
    /// What it does, in order.
    #[schemars(length(min = 1))]
    actions: Vec<StepDoc>,
    /// Whether a person must agree first.
    #[schemars(default)]
    approval: Approval,
    limits: Option<LimitsDoc>,
}

/// Which events and objects; all keys that are given must hold.
#[derive(Debug, Deserialize, JsonSchema, Default)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[schemars(rename = "Match")]
pub(in crate::decide) struct MatchDoc {
    /// Names or globs of rules; one must match.
    pub(in crate::decide) rules: Option<OneOrMany<String>>,
    /// Globs of Falcosidekick's subjects, `falco.<priority>.<slug of the rule>`; `*` crosses dots. One must match.
    pub(in crate::decide) subjects: Option<OneOrMany<String>>,
    /// A comparison such as `>= Notice`, or names; one must hold.
    pub(in crate::decide) priority: Option<OneOrMany<String>>,
    /// Sources, such as `syscall` or `k8s_audit`; one must be the event's.
    pub(in crate::decide) sources: Option<OneOrMany<String>>,
    /// Tags; the event must have one of them.
    pub(in crate::decide) tags: Option<OneOrMany<String>>,
    /// Values or globs by field; every field must have one of its values.
    pub(in crate::decide) fields: Option<BTreeMap<String, OneOrMany<Scalar>>>,
    /// A CEL expression over rule, priority, source, tags, hostname, output, time and fields.
    pub(in crate::decide) when: Option<String>,
    /// Namespaces or globs of them, of the verified object.
    pub(in crate::decide) namespaces: Option<NamespacesDoc>,
    /// The verified object itself, as it was before anything was changed.
    pub(in crate::decide) target: Option<TargetDoc>,
}

/// Namespaces of the verified object.
#[derive(Debug, Deserialize, JsonSchema, Default)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[schemars(rename = "NamespaceLists")]
pub(in crate::decide) struct NamespaceLists {
    /// It must be one of these.
    pub(in crate::decide) include: Option<OneOrMany<String>>,
    /// It must be none of these.
    pub(in crate::decide) exclude: Option<OneOrMany<String>>,
}

/// Either the lists, or those to include alone.
#[derive(Debug, Default)]
pub(in crate::decide) struct NamespacesDoc(pub(in crate::decide) NamespaceLists);

/// The verified object.
#[derive(Debug, Deserialize, JsonSchema, Default)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[schemars(rename = "Target")]
pub(in crate::decide) struct TargetDoc {
    /// Values or globs by label of the pod.
    pub(in crate::decide) pod_labels: Option<BTreeMap<String, OneOrMany<Scalar>>>,
    /// Values or globs by label of its namespace.
    pub(in crate::decide) namespace_labels: Option<BTreeMap<String, OneOrMany<Scalar>>>,
    /// `Kind/name` or globs of it, for any owner in the chain; one must match.
    pub(in crate::decide) owners: Option<OneOrMany<String>>,
    /// Images or globs of them; one of the pod's must match one.
    pub(in crate::decide) images: Option<OneOrMany<String>>,
}

/// What bounds the playbook.
#[derive(Debug, Deserialize, JsonSchema, Default)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[schemars(rename = "Limits")]
pub(super) struct LimitsDoc {
    /// How old an event may be when its response starts: `5m` for what changes something, `24h` for what tells, if left out.
    pub(super) max_event_age: Option<Span>,
    /// How many targets in a window, such as `10 per 5m per namespace`; none if left out.
    pub(super) budget: Option<String>,
    /// How long after a good end another event of the same target joins the response: `1m` if left out.
    pub(super) cooldown: Option<Span>,
    /// How often a transient failure is tried: 5 if left out.
    pub(super) attempts: Option<u32>,
    /// How long all attempts may take together: `10m` if left out.
    pub(super) timeout: Option<Span>,
}

/// One action: `delete`, or `{delete: {gracePeriod: 5s}, onFailure: continue}`.
struct StepDoc;

impl JsonSchema for StepDoc {
    fn schema_name() -> Cow<'static, str> {
        "Step".into()
    }

    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        let steps = generator.subschema_for::<Vec<StepDoc>>();
        json_schema!({
            "oneOf": [
                { "type": "string", "description": "an action that needs no configuration" },
                {
                    "type": "object",
                    "description": "the action's name with its configuration",
                    "minProperties": 1,
                    "maxProperties": 2,
                    "properties": { "onFailure": { "anyOf": [{ "enum": ["stop", "continue"] }, steps] } },
                    "additionalProperties": { "type": ["object", "null"] }
                }
            ]
        })
    }
}

impl<'de> Deserialize<'de> for NamespacesDoc {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Either;

        impl<'de> Visitor<'de> for Either {
            type Value = NamespacesDoc;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a list of namespaces, or a mapping with include and exclude")
            }

            fn visit_seq<A: SeqAccess<'de>>(self, seq: A) -> Result<Self::Value, A::Error> {
                let include = OneOrMany::deserialize(de::value::SeqAccessDeserializer::new(seq))?;
                Ok(NamespacesDoc(NamespaceLists { include: Some(include), exclude: None }))
            }

            fn visit_map<A: de::MapAccess<'de>>(self, map: A) -> Result<Self::Value, A::Error> {
                NamespaceLists::deserialize(de::value::MapAccessDeserializer::new(map))
                    .map(NamespacesDoc)
            }
        }

        deserializer.deserialize_any(Either)
    }
}

impl JsonSchema for NamespacesDoc {
    fn schema_name() -> Cow<'static, str> {
        "Namespaces".into()
    }

    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        let lists = generator.subschema_for::<NamespaceLists>();
        let include = generator.subschema_for::<Vec<String>>();
        json_schema!({ "anyOf": [include, lists] })
    }
}
