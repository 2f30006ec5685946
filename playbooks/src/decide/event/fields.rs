//! `output_fields`: values as they were sent, found by key.

use super::text::Text;
use super::{EventError, EventErrorKind};
use serde::de::{Deserializer, MapAccess, Visitor};
use serde_json::value::RawValue;
use std::borrow::Cow;
use std::fmt;

/// The fields of one event, in order of key.
#[derive(Debug, Default)]
pub struct Fields<'a>(Vec<(Cow<'a, str>, FieldValue<'a>)>);

/// One value. Numbers keep every digit: `evt.time` is beyond what a float can hold.
#[derive(Debug, Clone, PartialEq)]
pub enum FieldValue<'a> {
    /// `null`
    Null,
    /// `true` or `false`
    Bool(bool),
    /// An integer that fits.
    Int(i64),
    /// An integer beyond [`i64::MAX`].
    UInt(u64),
    /// Any other number, as it was written.
    Number(&'a str),
    /// A string.
    Text(Cow<'a, str>),
    /// An array.
    List(Vec<FieldValue<'a>>),
    /// An object, which Falco never sends, as it was written.
    Object(&'a str),
}

impl<'a> Fields<'a> {
    /// Parses the text of a JSON object.
    pub(super) fn parse(json: &'a str) -> Result<Self, EventError> {
        let bad = |error: serde_json::Error| {
            EventError::new(EventErrorKind::BadFields, format!("output_fields: {error}"))
        };
        let mut entries =
            serde_json::Deserializer::from_str(json).deserialize_map(Entries).map_err(bad)?;
        // Go and Falco both write sorted keys: this only moves what another publisher sent.
        if !entries.is_sorted_by(|a, b| a.0 < b.0) {
            entries.sort_by(|a, b| a.0.cmp(&b.0));
            if let Some([(key, _), _]) = entries.array_windows().find(|[a, b]| a.0 == b.0) {
                let key: String = key.chars().take(64).collect();
                return Err(EventError::new(
                    EventErrorKind::BadFields,
                    format!("output_fields has `{key}` twice"),
                ));
            }
        }
        Ok(Fields(entries))
    }

    /// The value of `key`, as it was sent.
    ///
    /// An indexed key is found in both its forms, `proc.aname[2]` and, as Falcosidekick's bracket replacer
    /// writes it, `proc.aname_2`.
    pub fn get(&self, key: &str) -> Option<&FieldValue<'a>> {
        self.exactly(key).or_else(|| match key.strip_suffix(']') {
            Some(open) => self.exactly(&open.replacen('[', "_", 1)),
            None if key.contains('_') => {
                let same = |(other, _): &&(Cow<'a, str>, FieldValue<'a>)| is_replaced(other, key);
                self.0.iter().find(same).map(|(_, value)| value)
            }
            None => None,
        })
    }

    fn exactly(&self, key: &str) -> Option<&FieldValue<'a>> {
        let at = self.0.binary_search_by(|(other, _)| other.as_ref().cmp(key)).ok()?;
        self.0.get(at).map(|(_, value)| value)
    }

    /// The text of a value that is really there.
    ///
    /// `null`, `""`, `<NA>` and `<no value>` are Falco's and Falcosidekick's ways to say that there is none;
    /// arrays and objects have no text.
    pub fn text(&self, key: &str) -> Option<Cow<'_, str>> {
        self.get(key).and_then(FieldValue::text)
    }

    /// The string of a value that is really there and was sent as a string.
    pub(super) fn string(&self, key: &str) -> Option<&str> {
        match self.get(key) {
            Some(FieldValue::Text(text)) => present(text),
            _ => None,
        }
    }

    /// All fields as they were sent, in order of key.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &FieldValue<'a>)> {
        self.0.iter().map(|(key, value)| (key.as_ref(), value))
    }
}

impl<'a> FieldValue<'a> {
    /// The value as text, if there is one; see [`Fields::text`].
    pub fn text(&self) -> Option<Cow<'_, str>> {
        match self {
            FieldValue::Null | FieldValue::List(_) | FieldValue::Object(_) => None,
            FieldValue::Bool(true) => Some(Cow::Borrowed("true")),
            FieldValue::Bool(false) => Some(Cow::Borrowed("false")),
            FieldValue::Int(number) => Some(Cow::Owned(number.to_string())),
            FieldValue::UInt(number) => Some(Cow::Owned(number.to_string())),
            FieldValue::Number(text) => Some(Cow::Borrowed(text)),
            FieldValue::Text(text) => present(text).map(Cow::Borrowed),
        }
    }

    /// Reads one JSON value that serde_json has already found to be well formed.
    fn read(json: &'a str) -> Result<Self, serde_json::Error> {
        Ok(match json.as_bytes().first() {
            Some(b'n') => FieldValue::Null,
            Some(b't') => FieldValue::Bool(true),
            Some(b'f') => FieldValue::Bool(false),
            Some(b'"') => FieldValue::Text(serde_json::from_str::<Text<'a>>(json)?.0),
            Some(b'{') => FieldValue::Object(json),
            Some(b'[') => {
                let values: Vec<&'a RawValue> = serde_json::from_str(json)?;
                FieldValue::List(
                    values
                        .into_iter()
                        .map(|raw| FieldValue::read(raw.get()))
                        .collect::<Result<_, _>>()?,
                )
            }
            _ => match (json.parse(), json.parse()) {
                (Ok(number), _) => FieldValue::Int(number),
                (_, Ok(number)) => FieldValue::UInt(number),
                _ => FieldValue::Number(json),
            },
        })
    }
}

fn present(text: &str) -> Option<&str> {
    (!matches!(text, "" | "<NA>" | "<no value>")).then_some(text)
}

/// Whether `bracketed` is what a bracket replacer turns into `replaced`.
fn is_replaced(bracketed: &str, replaced: &str) -> bool {
    let Some((name, index)) = bracketed.strip_suffix(']').and_then(|open| open.split_once('['))
    else {
        return false;
    };
    replaced.strip_prefix(name).and_then(|rest| rest.strip_prefix('_')) == Some(index)
}

struct Entries;

impl<'a> Visitor<'a> for Entries {
    type Value = Vec<(Cow<'a, str>, FieldValue<'a>)>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object")
    }

    fn visit_map<A: MapAccess<'a>>(self, mut map: A) -> Result<Self::Value, A::Error> {
        let mut entries = Vec::with_capacity(16);
        while let Some((key, value)) = map.next_entry::<Text<'a>, &'a RawValue>()? {
            entries.push((key.0, FieldValue::read(value.get()).map_err(serde::de::Error::custom)?));
        }
        Ok(entries)
    }
}
