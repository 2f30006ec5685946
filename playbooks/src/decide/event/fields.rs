//! `output_fields`: values as they were sent, found by key.
//!
//! A playbook looks at one or two of a dozen: parsing finds where the values are, and reads none of them.

use super::text::Text;
use super::{EventError, EventErrorKind};
use crate::decide::json::{Cursor, Quoted};
use serde_json::value::RawValue;
use std::borrow::Cow;

/// The fields of one event, in order of key.
#[derive(Debug, Default)]
pub struct Fields<'a>(Vec<Entry<'a>>);

#[derive(Debug)]
struct Entry<'a> {
    key: Cow<'a, str>,
    /// The value's text, which is known to be readable.
    json: &'a str,
}

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
        if !entries.is_sorted_by(|a, b| a.key < b.key) {
            entries.sort_by(|a, b| a.key.cmp(&b.key));
            if let Some([twice, _]) = entries.array_windows().find(|[a, b]| a.key == b.key) {
                let key: String = twice.key.chars().take(64).collect();
                return Err(bad(format!("output_fields has `{key}` twice")));
            }
        }
        Ok(Fields(entries))
    }

    /// The value of `key`, as it was sent.
    ///
    /// An indexed key is found in both its forms, `proc.aname[2]` and, as Falcosidekick's bracket replacer
    /// writes it, `proc.aname_2`.
    pub fn get(&self, key: &str) -> Option<FieldValue<'a>> {
        let entry = self.exactly(key).or_else(|| match key.strip_suffix(']') {
            Some(open) => self.exactly(&open.replacen('[', "_", 1)),
            None if key.contains('_') => self.0.iter().find(|entry| is_replaced(&entry.key, key)),
            None => None,
        });
        entry.and_then(Entry::value)
    }

    fn exactly(&self, key: &str) -> Option<&Entry<'a>> {
        let at = self.0.binary_search_by(|entry| entry.key.as_ref().cmp(key)).ok()?;
        self.0.get(at)
    }

    /// The text of a value that is really there.
    ///
    /// `null`, `""`, `<NA>` and `<no value>` are Falco's and Falcosidekick's ways to say that there is none;
    /// arrays and objects have no text.
    pub fn text(&self, key: &str) -> Option<Cow<'a, str>> {
        self.get(key).and_then(FieldValue::into_text)
    }

    /// The string of a value that is really there and was sent as a string.
    pub(super) fn string(&self, key: &str) -> Option<Cow<'a, str>> {
        match self.get(key)? {
            FieldValue::Text(text) => present(text),
            _ => None,
        }
    }

    /// All fields as they were sent, in order of key.
    pub fn iter(&self) -> impl Iterator<Item = (&str, FieldValue<'a>)> {
        self.0.iter().filter_map(|entry| Some((entry.key.as_ref(), entry.value()?)))
    }
}

impl<'a> Entry<'a> {
    fn value(&self) -> Option<FieldValue<'a>> {
        FieldValue::read(self.json)
    }
}

impl<'a> FieldValue<'a> {
    /// The value as text, if there is one; see [`Fields::text`].
    pub fn text(&self) -> Option<Cow<'_, str>> {
        match self {
            FieldValue::Text(text) => present(Cow::Borrowed(text)),
            other => other.clone().into_text(),
        }
    }

    /// The value as text, if there is one; see [`Fields::text`].
    pub fn into_text(self) -> Option<Cow<'a, str>> {
        match self {
            FieldValue::Null | FieldValue::List(_) | FieldValue::Object(_) => None,
            FieldValue::Bool(true) => Some(Cow::Borrowed("true")),
            FieldValue::Bool(false) => Some(Cow::Borrowed("false")),
            FieldValue::Int(number) => Some(Cow::Owned(number.to_string())),
            FieldValue::UInt(number) => Some(Cow::Owned(number.to_string())),
            FieldValue::Number(text) => Some(Cow::Borrowed(text)),
            FieldValue::Text(text) => present(text),
        }
    }

    /// Reads one value that serde_json has found to be well formed.
    fn read(json: &'a str) -> Option<Self> {
        Some(match json.as_bytes().first()? {
            b'n' => FieldValue::Null,
            b't' => FieldValue::Bool(true),
            b'f' => FieldValue::Bool(false),
            b'"' => FieldValue::Text(match json.contains('\\') {
                false => Cow::Borrowed(json.get(1..json.len() - 1)?),
                true => unescaped(json)?,
            }),
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

/// The keys and values of an object's text. serde would read each value, and one by one.
fn entries(json: &str) -> Option<Vec<Entry<'_>>> {
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
            true => unescaped(json.get(range.start - 1..range.end + 1)?)?,
        };
        at.expect(b':')?;
        let (range, escaped) = match at.peek()? {
            b'"' => at
                .string()
                .map(|Quoted { range, escaped }| (range.start - 1..range.end + 1, escaped))?,
            first => (at.value()?, first == b'['),
        };
        let value = json.get(range)?;
        if escaped && may_have_surrogates(value) {
            FieldValue::read(value)?;
        }
        entries.push(Entry { key, json: value });
        match at.next()? {
            b',' => {}
            b'}' => return Some(entries),
            _ => return None,
        }
    }
}

/// A lone surrogate is well formed and yet no text: the one thing that serde_json steps over and can't read.
fn may_have_surrogates(json: &str) -> bool {
    json.as_bytes().windows(3).any(|bytes| matches!(bytes, b"\\ud" | b"\\uD"))
}

/// A string in its quotes, with its escapes undone.
fn unescaped(json: &str) -> Option<Cow<'_, str>> {
    serde_json::from_str::<Text<'_>>(json).ok().map(|text| text.0)
}

fn present(text: Cow<'_, str>) -> Option<Cow<'_, str>> {
    (!matches!(text.as_ref(), "" | "<NA>" | "<no value>")).then_some(text)
}

/// Whether `bracketed` is what a bracket replacer turns into `replaced`.
fn is_replaced(bracketed: &str, replaced: &str) -> bool {
    let Some((name, index)) = bracketed.strip_suffix(']').and_then(|open| open.split_once('['))
    else {
        return false;
    };
    replaced.strip_prefix(name).and_then(|rest| rest.strip_prefix('_')) == Some(index)
}
