//! An event without some of its fields, and without what they say wherever else it says it.
//!
//! A field's value stands in `output` as well, and often in other fields: `proc.args` is part of `proc.cmdline`. So the
//! text is made anew from what is left, keys that are no part of an event are dropped, and a field, a tag or a host name
//! that holds a removed value goes with it. What is left is as it came: nothing is masked, for a value that was changed
//! would be a false one.

use std::{borrow::Cow, collections::BTreeMap};

use serde::{Serialize, Serializer, ser::Error as _};
use serde_json::value::RawValue;

use crate::{
    act::text::clean,
    decide::{Event, EventError, FieldValue},
};

/// How Falcosidekick ends a text that it has cut.
const CUT: &str = "[...]";

/// A value shorter than this is looked for as a word: `0` is in every number.
const SHORT: usize = 4;

/// How much of a value the new text shows.
const SHOWN: usize = 256;

/// The event's JSON without the named fields.
pub(super) fn without(payload: &[u8], names: &[String]) -> Result<Vec<u8>, EventError> {
    let event = Event::decode(payload)?;
    let is_named = |key: &str| names.iter().any(|name| plain(name) == plain(key));
    let (named, others): (Vec<_>, Vec<_>) =
        event.fields()?.iter().partition(|(key, _)| is_named(key));
    let removed: Vec<Removed> =
        named.iter().flat_map(|(_, value)| texts(value)).filter_map(Removed::of).collect();
    let tells = |text: &str| removed.iter().any(|removed| removed.is_in(text));
    let (gone_too, left): (Vec<_>, BTreeMap<_, _>) = {
        let (telling, left): (Vec<_>, Vec<_>) =
            others.into_iter().partition(|(_, value)| texts(value).iter().any(|text| tells(text)));
        (telling, left.into_iter().map(|(key, value)| (key, Value(value))).collect())
    };
    let silent = |text: Option<&Cow<'_, str>>| {
        text.filter(|text| !tells(text)).map(|text| text.clone().into_owned())
    };
    let mut missing: Vec<&str> = named.iter().chain(&gone_too).map(|(key, _)| *key).collect();
    missing.sort_unstable();
    let mut output = render(&event.rule, &left, &missing);
    // Two values side by side, or one that was cleaned, may say what none of them says.
    if tells(&output) {
        output = render(&event.rule, &BTreeMap::new(), &missing);
    }
    let envelope = Envelope {
        uuid: silent(event.uuid.as_ref()),
        output,
        priority: event.priority.as_str(),
        rule: &event.rule,
        time: event.time.to_string(),
        output_fields: &left,
        source: &event.source,
        tags: event.tags.iter().filter(|tag| !tells(tag)).map(AsRef::as_ref).collect(),
        hostname: silent(event.hostname.as_ref()),
    };
    serde_json::to_vec(&envelope).map_err(EventError::from)
}

/// As Falco writes it, see `decide::Event`.
#[derive(Serialize)]
struct Envelope<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    uuid: Option<String>,
    output: String,
    priority: &'static str,
    rule: &'a str,
    time: String,
    output_fields: &'a BTreeMap<&'a str, Value<'a>>,
    source: &'a str,
    tags: Vec<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    hostname: Option<String>,
}

/// A text in place of the one that showed what is removed.
fn render(rule: &str, left: &BTreeMap<&str, Value<'_>>, missing: &[&str]) -> String {
    let shown = left
        .iter()
        .filter_map(|(key, Value(value))| Some(format!("{key}={}", clean(&value.text()?, SHOWN))));
    let shown: Vec<_> = shown.collect();
    format!("{rule} ({}) removed: {}", shown.join(" "), missing.join(" "))
}

/// `proc.aname[2]` as a bracket replacer writes it.
fn plain(key: &str) -> Cow<'_, str> {
    match key.strip_suffix(']') {
        Some(open) if open.contains('[') => Cow::Owned(open.replacen('[', "_", 1)),
        _ => Cow::Borrowed(key),
    }
}

/// What a value says, as text. Whether something is true is said everywhere, and tells nothing.
fn texts(value: &FieldValue<'_>) -> Vec<String> {
    match value {
        FieldValue::Null | FieldValue::Bool(_) => Vec::new(),
        FieldValue::List(values) => values.iter().flat_map(texts).collect(),
        FieldValue::Object(json) => {
            let mut all = vec![(*json).to_owned()];
            if let Ok(object) = serde_json::from_str(json) {
                strings(&object, &mut all);
            }
            all
        }
        value => value.text().map(Cow::into_owned).into_iter().collect(),
    }
}

fn strings(json: &serde_json::Value, all: &mut Vec<String>) {
    match json {
        serde_json::Value::String(text) => all.push(text.clone()),
        serde_json::Value::Number(number) => all.push(number.to_string()),
        serde_json::Value::Array(values) => values.iter().for_each(|value| strings(value, all)),
        serde_json::Value::Object(map) => map.iter().for_each(|(key, value)| {
            all.push(key.clone());
            strings(value, all);
        }),
        serde_json::Value::Null | serde_json::Value::Bool(_) => {}
    }
}

/// A value that must not be read anywhere.
struct Removed {
    text: String,
    as_word: bool,
}

impl Removed {
    fn of(text: String) -> Option<Removed> {
        let text = uncut(&text).unwrap_or(&text).to_owned();
        let as_word = text.len() < SHORT || text.chars().all(|c| c.is_ascii_digit());
        (!text.trim().is_empty()).then_some(Removed { text, as_word })
    }

    fn is_in(&self, other: &str) -> bool {
        if !self.as_word {
            return other.contains(&self.text) || self.begins_at_the_end_of(other);
        }
        // Each place, for one may begin within another: `a-a` in `xa-a-a`.
        let mut places = other.char_indices().map(|(at, _)| other.split_at(at));
        let is_inner = |c: Option<char>| c.is_some_and(char::is_alphanumeric);
        places.any(|(before, rest)| {
            let after = rest.strip_prefix(&self.text);
            after.is_some_and(|after| {
                !is_inner(before.chars().next_back()) && !is_inner(after.chars().next())
            })
        })
    }

    /// Whether `other` was cut in the middle of the value.
    fn begins_at_the_end_of(&self, other: &str) -> bool {
        let Some(kept) = uncut(other) else { return false };
        let ends = self.text.char_indices().map(|(at, _)| at).filter(|at| *at >= SHORT);
        ends.map(|end| self.text.split_at(end).0).any(|beginning| kept.ends_with(beginning))
    }
}

/// What is left of a text that Falcosidekick has cut.
fn uncut(text: &str) -> Option<&str> {
    text.strip_suffix(CUT).map(|kept| kept.trim_end_matches(char::REPLACEMENT_CHARACTER))
}

/// A field as it came: numbers keep every digit.
struct Value<'a>(FieldValue<'a>);

impl Serialize for Value<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match &self.0 {
            FieldValue::Null => serializer.serialize_none(),
            FieldValue::Bool(value) => serializer.serialize_bool(*value),
            FieldValue::Int(value) => serializer.serialize_i64(*value),
            FieldValue::UInt(value) => serializer.serialize_u64(*value),
            FieldValue::Text(text) => serializer.serialize_str(text),
            FieldValue::List(values) => {
                serializer.collect_seq(values.iter().map(|value| Value(value.clone())))
            }
            FieldValue::Number(json) | FieldValue::Object(json) => {
                RawValue::from_string((*json).to_owned())
                    .map_err(S::Error::custom)?
                    .serialize(serializer)
            }
        }
    }
}

#[cfg(test)]
mod tests;
