//! Why bytes are not an event.

use std::fmt;

/// What kind of fault a message has: the closed set behind a metric label.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum EventErrorKind {
    /// The bytes are not UTF-8.
    NotUtf8,
    /// The text is not JSON, or more than one value.
    NotJson,
    /// The JSON is something other than an object.
    NotObject,
    /// Nested deeper than anything Falco sends.
    TooDeep,
    /// A key that every event has is missing.
    MissingKey,
    /// A key holds a value of another type, or is there twice.
    WrongType,
    /// `priority` is none of Falco's.
    UnknownPriority,
    /// `time` is not RFC 3339.
    BadTime,
    /// `output_fields` can't be read.
    BadFields,
}

impl EventErrorKind {
    /// The label.
    pub const fn as_str(self) -> &'static str {
        match self {
            EventErrorKind::NotUtf8 => "not-utf8",
            EventErrorKind::NotJson => "not-json",
            EventErrorKind::NotObject => "not-object",
            EventErrorKind::TooDeep => "too-deep",
            EventErrorKind::MissingKey => "missing-key",
            EventErrorKind::WrongType => "wrong-type",
            EventErrorKind::UnknownPriority => "unknown-priority",
            EventErrorKind::BadTime => "bad-time",
            EventErrorKind::BadFields => "bad-fields",
        }
    }
}

/// A message that is no Falco event. It will never become one: it belongs among the dead letters.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EventError {
    kind: EventErrorKind,
    what: String,
}

impl EventError {
    pub(crate) fn new(kind: EventErrorKind, what: impl Into<String>) -> Self {
        EventError { kind, what: what.into() }
    }

    /// The kind of fault.
    pub const fn kind(&self) -> EventErrorKind {
        self.kind
    }
}

impl fmt::Display for EventError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.what)
    }
}

impl std::error::Error for EventError {}

impl From<serde_json::Error> for EventError {
    fn from(error: serde_json::Error) -> Self {
        use serde_json::error::Category;
        let what = error.to_string();
        let kind = match error.classify() {
            Category::Data if what.starts_with("missing field") => EventErrorKind::MissingKey,
            Category::Data => EventErrorKind::WrongType,
            _ if what.starts_with("recursion limit") => EventErrorKind::TooDeep,
            _ => EventErrorKind::NotJson,
        };
        EventError { kind, what }
    }
}
