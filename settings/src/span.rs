//! Lengths of time: `500ms`, `5m`, `1h 30m`.

use std::{borrow::Cow, time::Duration};

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Deserializer, Serialize, Serializer, de::Error};
use serde_json::Value;

/// A length of time, written with its unit.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Span(pub Duration);

impl Span {
    /// So many seconds.
    pub const fn from_secs(seconds: u64) -> Self {
        Self(Duration::from_secs(seconds))
    }

    /// Reads it from text.
    ///
    /// # Errors
    /// It is no length of time; the text says how to write one.
    pub fn parse(text: &str) -> Result<Self, String> {
        humantime::parse_duration(text.trim())
            .map(Self)
            .map_err(|_| format!("expected a duration such as `30s`, `5m` or `1h`, found `{text}`"))
    }
}

/// As it is written, so that schemas can show defaults.
impl Serialize for Span {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(&humantime::format_duration(self.0))
    }
}

impl<'de> Deserialize<'de> for Span {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        match Value::deserialize(deserializer)? {
            Value::String(text) => Self::parse(&text).map_err(D::Error::custom),
            other => {
                let message =
                    format!("expected a duration with its unit, such as `5m`, found {other}");
                Err(D::Error::custom(message))
            }
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

#[cfg(test)]
mod tests {
    use serde_json::{from_value, json};

    use super::*;

    #[test]
    fn a_unit_is_wanted() {
        assert_eq!(from_value::<Span>(json!("1h 30m")).unwrap(), Span::from_secs(5400));
        for wrong in [json!(5), json!("5"), json!("soon"), json!(null)] {
            let error = from_value::<Span>(wrong).unwrap_err().to_string();
            assert!(error.starts_with("expected a duration"), "{error}");
        }
    }
}
