//! What an expression sees of an event.

use super::cost::{MOST_ITEMS, MOST_TEXT};
use super::patterns::Pattern;
use crate::decide::{Event, FieldValue, Fields, Priority};
use cel::ExecutionError;
use cel::common::traits::{Container, Indexer};
use cel::common::types::{
    self, CelBool, CelDouble, CelInt, CelList, CelNull, CelString, CelUInt, Type,
};
use cel::common::value::{CowVal, Val};
use cel::context::VariableResolver;
use jiff::Timestamp;
use regex::Regex;
use std::borrow::Cow;

/// The names an expression may use.
pub(super) const NAMES: [&str; 8] =
    ["rule", "priority", "source", "tags", "hostname", "output", "time", "fields"];

/// One event, resolved name by name: most expressions look at one or two.
pub(super) struct Variables<'e> {
    rule: &'e str,
    priority: Priority,
    source: &'e str,
    tags: &'e [Cow<'e, str>],
    hostname: Option<&'e str>,
    output: &'e str,
    time: Timestamp,
    fields: &'e Fields<'e>,
    patterns: &'e [Regex],
}

impl<'e> Variables<'e> {
    pub(super) fn new(
        event: &'e Event<'_>,
        fields: &'e Fields<'_>,
        patterns: &'e [Regex],
    ) -> Variables<'e> {
        Variables {
            rule: &event.rule,
            priority: event.priority,
            source: &event.source,
            tags: &event.tags,
            hostname: event.hostname.as_deref(),
            output: &event.output,
            time: event.time,
            fields,
            patterns,
        }
    }

    /// Refuses an event that is larger than what the cost of an expression was reckoned with.
    pub(super) fn check(&self, uses: &[&str]) -> Result<(), String> {
        for name in uses {
            let (size, items) = match *name {
                "rule" => (self.rule.len(), 0),
                "source" => (self.source.len(), 0),
                "hostname" => (self.hostname.map_or(0, str::len), 0),
                "output" => (self.output.len(), 0),
                "tags" => (self.tags.iter().map(|tag| tag.len()).sum(), self.tags.len()),
                _ => (0, 0),
            };
            if size > MOST_TEXT || items > MOST_ITEMS {
                return Err(format!("`{name}` of this event is too large to evaluate"));
            }
        }
        Ok(())
    }
}

impl VariableResolver for Variables<'_> {
    fn resolve<'b>(&'b self, name: &str) -> Option<CowVal<'b, 'b>> {
        Some(match name {
            "rule" => text(self.rule),
            "priority" => text(self.priority.as_str()),
            "source" => text(self.source),
            "hostname" => self.hostname.map_or_else(|| CowVal::owned(CelNull), text),
            "output" => text(self.output),
            "time" => CowVal::owned(CelString::from(self.time.to_string())),
            "tags" => {
                let tags = self
                    .tags
                    .iter()
                    .map(|tag| Box::new(CelString::from(tag.as_ref())) as Box<dyn Val + 'b>);
                CowVal::owned(CelList::from(tags.collect::<Vec<_>>()))
            }
            "fields" => CowVal::owned(FieldMap(self.fields)),
            // No name of CEL's begins like this: it was put there for a pattern.
            name => {
                let at: usize = name.strip_prefix('@')?.parse().ok()?;
                CowVal::owned(Pattern(self.patterns.get(at)?))
            }
        })
    }
}

fn text<'b>(text: &'b str) -> CowVal<'b, 'b> {
    CowVal::owned(CelString::from(text))
}

/// `fields`: a key that is not there, or whose value Falco says is missing, is null.
#[derive(Debug, Clone, Copy)]
struct FieldMap<'e>(&'e Fields<'e>);

impl Val for FieldMap<'_> {
    fn get_type(&self) -> &Type {
        &types::MAP_TYPE
    }

    fn cel_type() -> &'static Type {
        &types::MAP_TYPE
    }

    fn as_indexer<'b, 'v>(&'b self) -> Option<&'b (dyn Indexer + 'v)>
    where
        Self: 'v,
    {
        Some(self)
    }

    fn as_container(&self) -> Option<&dyn Container> {
        Some(self)
    }

    fn clone_as_boxed<'v>(&self) -> Box<dyn Val + 'v>
    where
        Self: 'v,
    {
        Box::new(*self)
    }
}

impl<'e> Indexer for FieldMap<'e> {
    fn get<'b, 'v>(&'b self, index: &dyn Val) -> Result<CowVal<'b, 'v>, ExecutionError>
    where
        Self: 'v,
    {
        value(self.0, key(index)?).map(CowVal::Owned)
    }

    fn steal<'v>(self: Box<Self>, index: &dyn Val) -> Result<Box<dyn Val + 'v>, ExecutionError>
    where
        Self: 'v,
    {
        value(self.0, key(index)?)
    }
}

impl Container for FieldMap<'_> {
    fn contains(&self, value: &dyn Val) -> Result<bool, ExecutionError> {
        Ok(self.0.get(key(value)?).is_some_and(|value| !is_missing(&value)))
    }
}

fn key(index: &dyn Val) -> Result<&str, ExecutionError> {
    index.downcast_ref::<CelString>().map(CelString::inner).ok_or_else(|| {
        ExecutionError::UnexpectedType {
            got: index.get_type().name().to_owned(),
            want: "string".to_owned(),
        }
    })
}

fn is_missing(value: &FieldValue<'_>) -> bool {
    matches!(value, FieldValue::Null)
        || (matches!(value, FieldValue::Text(_)) && value.text().is_none())
}

fn value<'v>(fields: &'v Fields<'v>, key: &str) -> Result<Box<dyn Val + 'v>, ExecutionError> {
    let Some(value) = fields.get(key).filter(|value| !is_missing(value)) else {
        return Ok(Box::new(CelNull));
    };
    if size(&value) > MOST_TEXT || items(&value) > MOST_ITEMS {
        return Err(ExecutionError::function_error(
            "fields",
            format!("`{key}` of this event is too large to evaluate"),
        ));
    }
    Ok(convert(value))
}

fn convert<'v>(value: FieldValue<'v>) -> Box<dyn Val + 'v> {
    match value {
        FieldValue::Null => Box::new(CelNull),
        FieldValue::Bool(value) => Box::new(CelBool::from(value)),
        FieldValue::Int(number) => Box::new(CelInt::from(number)),
        FieldValue::UInt(number) => Box::new(CelUInt::from(number)),
        FieldValue::Number(text) => {
            Box::new(CelDouble::from(text.parse::<f64>().unwrap_or(f64::NAN)))
        }
        FieldValue::Text(text) => Box::new(CelString::from(text)),
        FieldValue::Object(json) => Box::new(CelString::from(json)),
        FieldValue::List(values) => {
            Box::new(CelList::from(values.into_iter().map(convert).collect::<Vec<_>>()))
        }
    }
}

fn size(value: &FieldValue<'_>) -> usize {
    match value {
        FieldValue::Text(text) => text.len(),
        FieldValue::Object(json) => json.len(),
        FieldValue::List(values) => values.iter().map(size).sum(),
        _ => 8,
    }
}

fn items(value: &FieldValue<'_>) -> usize {
    match value {
        FieldValue::List(values) => values.iter().map(|value| 1 + items(value)).sum(),
        _ => 0,
    }
}
