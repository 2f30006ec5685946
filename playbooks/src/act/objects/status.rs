//! What a worker tells of an object.

use jiff::Timestamp;
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Serialize};

/// What is made of a playbook.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct PlaybookStatus {
    /// The generation that this is about; an earlier one than the object's is history.
    #[serde(default)]
    pub observed_generation: i64,
    /// `Ready`: it is in force as it is written. `Authorized`: the workers have the rights that it takes.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 8))]
    pub conditions: Vec<Condition>,
}

/// One thing that holds of it or doesn't.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Condition {
    /// What.
    #[serde(rename = "type")]
    #[schemars(length(min = 1, max = 63))]
    pub what: String,
    /// Whether it holds.
    pub status: ConditionStatus,
    /// Why, in a word.
    #[schemars(length(min = 1, max = 63))]
    pub reason: String,
    /// Why, with the place and the fix.
    #[schemars(length(max = 4096))]
    pub message: String,
    /// The generation that this is about.
    #[serde(default)]
    pub observed_generation: i64,
    /// Since when it holds, or doesn't.
    #[schemars(schema_with = "moment")]
    pub last_transition_time: Timestamp,
}

/// Whether a condition holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum ConditionStatus {
    /// It does.
    True,
    /// It does not.
    False,
    /// It can't be told.
    Unknown,
}

fn moment(_: &mut SchemaGenerator) -> Schema {
    json_schema!({"type": "string", "format": "date-time"})
}

impl PlaybookStatus {
    /// What of the other is kept by writing this: a condition that still holds, or still doesn't, does so since then.
    #[must_use]
    pub fn since(mut self, seen: Option<&PlaybookStatus>) -> PlaybookStatus {
        for condition in &mut self.conditions {
            let before = seen.and_then(|seen| seen.condition(&condition.what));
            if let Some(before) = before.filter(|before| before.status == condition.status) {
                condition.last_transition_time = before.last_transition_time;
            }
        }
        self
    }

    /// Whether both say the same, whoever said it first.
    pub fn says_as(&self, seen: &PlaybookStatus) -> bool {
        let timeless = |status: &PlaybookStatus| {
            let mut status = status.clone();
            status.conditions.iter_mut().for_each(|it| it.last_transition_time = Timestamp::MIN);
            status.conditions.sort_by(|a, b| a.what.cmp(&b.what));
            status
        };
        timeless(self) == timeless(seen)
    }

    /// The condition of this type.
    pub fn condition(&self, what: &str) -> Option<&Condition> {
        self.conditions.iter().find(|condition| condition.what == what)
    }
}
