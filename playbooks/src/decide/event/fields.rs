//! `output_fields`: values as they were sent, found by key.

use super::text::Text;
use super::{EventError, EventErrorKind};
use crate::decide::json::{Cursor, Quoted};
use serde_json::value::RawValue;
use std::borrow::Cow;

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
    /// Parses the text of a JSON object that serde_json has found to be well formed.
    pub(super) fn parse(json: &'a str) -> Result<Self, EventError> {
        let mut entries = entries(json).ok_or_else(|| bad("output_fields can't be read"))?;
        // Go and Falco both write sorted keys: this only moves what another publisher sent.
        if !entries.is_sorted_by(|a, b| a.0 < b.0) {
            entries.sort_by(|a, b| a.0.cmp(&b.0));
            if let Some([(key, _), _]) = entries.array_windows().find(|[a, b]| a.0 == b.0) {
                let key: String = key.chars().take(64).collect();
                return Err(bad(format!("output_fields has `{key}` twice")));
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

    /// Reads one value that serde_json has found to be well formed.
    fn read(json: &'a str) -> Option<Self> {
        Some(match json.as_bytes().first()? {
            b'n' => FieldValue::Null,
            b't' => FieldValue::Bool(true),
            b'f' => FieldValue::Bool(false),
            b'"' => FieldValue::Text(string(json)?),
            b'{' => FieldValue::Object(json),
            b'[' => {
                let values: Vec<&'a RawValue> = serde_json::from_str(json).ok()?;
                FieldValue::List(
                    values
                        .into_iter()
                        .map(|raw| FieldValue::read(raw.get()))
                        .collect::<Option<_>>()?,
                )
            }
            _ => {
                let large = || json.parse().map_or(FieldValue::Number(json), FieldValue::UInt);
                json.parse().map_or_else(|_| large(), FieldValue::Int)
            }
        })
    }
}

fn bad(what: impl Into<String>) -> EventError {
    EventError::new(EventErrorKind::BadFields, what)
}

/// The keys and values of an object's text. Serde would build each value twice: once raw, once read.
fn entries(json: &str) -> Option<Vec<(Cow<'_, str>, FieldValue<'_>)>> {
    let mut at = Cursor::new(json.as_bytes());
    let mut entries = Vec::with_capacity(16);
    at.expect(b'{')?;
    if at.peek()? == b'}' {
        return Some(entries);
    }
    loop {
        let Quoted { range, escaped } = at.string()?;
        let key = match escaped {
            false => Cow::Borrowed(json.get(range)?),
            true => string(json.get(range.start - 1..range.end + 1)?)?,
        };
        at.expect(b':')?;
        entries.push((key, FieldValue::read(json.get(at.value()?)?)?));
        match at.next()? {
            b',' => {}
            b'}' => return Some(entries),
            _ => return None,
        }
    }
}

/// A JSON string in its quotes, with its escapes undone.
fn string(json: &str) -> Option<Cow<'_, str>> {
    let inner = json.strip_prefix('"')?.strip_suffix('"')?;
    match memchr::memchr(b'\\', inner.as_bytes()) {
        None => Some(Cow::Borrowed(inner)),
        Some(_) => serde_json::from_str::<Text<'_>>(json).ok().map(|text| text.0),
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
