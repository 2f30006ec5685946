//! Sizes: `64MiB`, `512KiB`, or a number of bytes.

use std::{borrow::Cow, fmt};

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Deserializer, Serialize, Serializer, de::Error};
use serde_json::Value;

/// A number of bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct ByteSize(bytesize::ByteSize);

impl ByteSize {
    /// So many bytes.
    pub const fn bytes(bytes: u64) -> Self {
        Self(bytesize::ByteSize::b(bytes))
    }

    /// So many MiB.
    pub const fn mib(mib: u64) -> Self {
        Self(bytesize::ByteSize::mib(mib))
    }

    /// The number of bytes.
    pub const fn get(self) -> u64 {
        self.0.as_u64()
    }

    /// The number of bytes, as far as memory can be addressed.
    pub fn as_usize(self) -> usize {
        usize::try_from(self.get()).unwrap_or(usize::MAX)
    }
}

impl fmt::Display for ByteSize {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// As it is written, so that schemas can show defaults.
impl Serialize for ByteSize {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(&self.to_string().replace(".0 ", "").replace(' ', ""))
    }
}

impl<'de> Deserialize<'de> for ByteSize {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let value = Value::deserialize(deserializer)?;
        let size = match &value {
            Value::Number(number) => number.as_u64().map(bytesize::ByteSize::b),
            Value::String(text) => text.parse().ok(),
            _ => None,
        };
        size.map(Self).ok_or_else(|| {
            D::Error::custom(format!("expected a size such as `64MiB` or `512KiB`, found {value}"))
        })
    }
}

impl JsonSchema for ByteSize {
    fn schema_name() -> Cow<'static, str> {
        "ByteSize".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({ "type": ["string", "integer"], "examples": ["64MiB", "512KiB", 1024] })
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{from_value, json};

    use super::*;

    #[test]
    fn sizes_are_read_with_units_or_as_bytes() {
        assert_eq!(from_value::<ByteSize>(json!("64MiB")).unwrap(), ByteSize::mib(64));
        assert_eq!(from_value::<ByteSize>(json!("1.5 KiB")).unwrap(), ByteSize::bytes(1536));
        assert_eq!(from_value::<ByteSize>(json!(1024)).unwrap().get(), 1024);
    }

    #[test]
    fn what_is_no_size_is_refused_with_one_that_is() {
        for wrong in [json!("much"), json!(-1), json!(null), json!({})] {
            let error = from_value::<ByteSize>(wrong).unwrap_err().to_string();
            assert!(error.contains("such as `64MiB`"), "{error}");
        }
    }
}
