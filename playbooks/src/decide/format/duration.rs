//! Durations as playbooks write them: `90s`, `5m`, `1h30m`.

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::de::{Deserialize, Deserializer, Error};
use std::borrow::Cow;
use std::time::Duration;

/// A duration written with its unit.
#[derive(Debug, Clone, Copy)]
pub(super) struct Span(pub(super) Duration);

impl Span {
    pub(super) fn parse(text: &str) -> Result<Duration, String> {
        humantime::parse_duration(text.trim())
            .map_err(|_| format!("expected a duration such as `30s`, `5m` or `1h`, found `{text}`"))
    }
}

impl<'de> Deserialize<'de> for Span {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        match serde_json::Value::deserialize(deserializer)? {
            serde_json::Value::String(text) => {
                Span::parse(&text).map(Span).map_err(D::Error::custom)
            }
            other => Err(D::Error::custom(format!(
                "expected a duration with its unit, such as `5m`, found {other}"
            ))),
        }
    }
}

impl JsonSchema for Span {
    fn schema_name() -> Cow<'static, str> {
        "Duration".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({ "type": "string", "examples": ["30s", "5m", "1h"] })
    }
}
