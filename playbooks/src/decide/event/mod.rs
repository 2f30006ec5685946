//! What Falco saw: its envelope, the fields, what they claim, and the identity computed from them.
//!
//! Everything borrows from the message. `output_fields` is checked for being an object and otherwise left
//! alone until a playbook or a claim asks for it. Nothing here trusts a value: names are syntax-checked
//! claims, and what they are worth is for the caller to verify.

mod claim;
mod error;
mod fields;
mod identity;
mod names;
mod priority;
mod subject;
mod text;

pub use claim::{Claim, ClaimSource};
pub use error::{EventError, EventErrorKind};
pub use fields::{FieldValue, Fields};
pub use identity::EventId;
pub use names::{is_label, is_subdomain};
pub use priority::{Priority, UnknownPriority};
pub(super) use subject::slug;

use jiff::Timestamp;
use serde::Deserialize;
use serde_json::value::RawValue;
use std::borrow::Cow;
use std::cell::OnceCell;
use text::Text;

/// One Falco event, borrowed from the message it came in.
///
/// The envelope is the one Falcosidekick, Falco itself and log shippers send; keys that are not known are
/// ignored. It is [`Send`], not `Sync`: fields are parsed on the first call and kept.
#[derive(Debug)]
pub struct Event<'a> {
    /// A random id that Falcosidekick draws at each ingest. Not the event's identity: see [`Event::id`].
    pub uuid: Option<Cow<'a, str>>,
    /// The rendered text; may be empty or rewritten by an operator.
    pub output: Cow<'a, str>,
    /// How severe it is.
    pub priority: Priority,
    /// The rule's name.
    pub rule: Cow<'a, str>,
    /// When it happened.
    pub time: Timestamp,
    /// Where Falco saw it: `syscall`, `k8s_audit`, a plugin's name. Falcosidekick writes `syscalls` where Falco
    /// left it empty: both, and none at all, are `syscall` here.
    pub source: Cow<'a, str>,
    /// The rule's tags; may repeat.
    pub tags: Vec<Cow<'a, str>>,
    /// The node, where the operator sets it, else the Falco pod's own name.
    pub hostname: Option<Cow<'a, str>>,
    raw_fields: &'a str,
    fields: OnceCell<Result<Fields<'a>, EventError>>,
}

#[derive(Deserialize)]
#[serde(expecting = "a Falco event, a JSON object")]
struct Envelope<'a> {
    #[serde(borrow)]
    uuid: Option<Text<'a>>,
    #[serde(borrow)]
    output: Option<Text<'a>>,
    #[serde(borrow)]
    priority: Cow<'a, str>,
    #[serde(borrow)]
    rule: Cow<'a, str>,
    #[serde(borrow)]
    time: Cow<'a, str>,
    #[serde(borrow)]
    source: Option<Text<'a>>,
    #[serde(borrow)]
    tags: Option<Vec<Text<'a>>>,
    #[serde(borrow)]
    hostname: Option<Text<'a>>,
    #[serde(borrow)]
    output_fields: Option<&'a RawValue>,
}

impl<'a> Event<'a> {
    /// Reads a message's bytes.
    ///
    /// # Errors
    ///
    /// Whatever is not one JSON object with a known priority, a rule and a time. Repeating the call can't help.
    pub fn decode(payload: &'a [u8]) -> Result<Event<'a>, EventError> {
        let text = std::str::from_utf8(payload)
            .map_err(|error| EventError::new(EventErrorKind::NotUtf8, error.to_string()))?;
        if text::too_deep(text) {
            return Err(EventError::new(
                EventErrorKind::TooDeep,
                "nested deeper than any Falco event",
            ));
        }
        // serde would also read the envelope from an array, by position.
        if !text.trim_start().starts_with('{') {
            let kind = match serde_json::from_str::<&RawValue>(text) {
                Ok(_) => EventErrorKind::NotObject,
                Err(_) => EventErrorKind::NotJson,
            };
            return Err(EventError::new(kind, "not a JSON object"));
        }
        let envelope: Envelope<'a> = serde_json::from_str(text)?;
        let priority = envelope.priority.parse().map_err(|error: UnknownPriority| {
            EventError::new(EventErrorKind::UnknownPriority, error.to_string())
        })?;
        let time = envelope.time.parse().map_err(|error: jiff::Error| {
            EventError::new(EventErrorKind::BadTime, format!("time is not RFC 3339: {error}"))
        })?;
        Ok(Event {
            uuid: envelope.uuid.map(|text| text.0),
            output: envelope.output.map(|text| text.0).unwrap_or_default(),
            priority,
            rule: envelope.rule,
            time,
            source: normal_source(envelope.source.map(|text| text.0).unwrap_or_default()),
            tags: envelope.tags.unwrap_or_default().into_iter().map(|text| text.0).collect(),
            hostname: envelope.hostname.map(|text| text.0),
            raw_fields: object(envelope.output_fields)?,
            fields: OnceCell::new(),
        })
    }

    /// `output_fields`, parsed on the first call.
    ///
    /// # Errors
    ///
    /// A value that can't be read, or a key that is there twice and so has no one meaning.
    pub fn fields(&self) -> Result<&Fields<'a>, EventError> {
        self.fields.get_or_init(|| Fields::parse(self.raw_fields)).as_ref().map_err(Clone::clone)
    }

    /// Whether it is about Falco or stoop itself, which is never acted on.
    pub fn is_internal(&self) -> bool {
        is_internal_rule(self.rule.as_bytes()) || self.source == OWN_SOURCE
    }

    /// The cluster that the event names in `field`, for example `static.cluster`.
    ///
    /// # Errors
    ///
    /// As [`Event::fields`].
    pub fn cluster(&self, field: &str) -> Result<Option<Cow<'_, str>>, EventError> {
        Ok(self.fields()?.text(field))
    }
}

/// The source of stoop's own events.
pub(crate) const OWN_SOURCE: &str = "stoop";

/// Whether a rule is one that Falco raises about itself.
pub(crate) fn is_internal_rule(rule: &[u8]) -> bool {
    rule == b"Test rule" || rule.starts_with(b"Falco internal:")
}

/// The source's one name; see [`Event::source`].
pub(crate) fn normal_source(source: Cow<'_, str>) -> Cow<'_, str> {
    match source.as_ref() {
        "" | "syscalls" => Cow::Borrowed("syscall"),
        _ => source,
    }
}

/// The text of an `output_fields` that is an object, or absent.
fn object(raw: Option<&RawValue>) -> Result<&str, EventError> {
    match raw.map(RawValue::get) {
        None | Some("null") => Ok("{}"),
        Some(text) if text.starts_with('{') => Ok(text),
        Some(_) => {
            Err(EventError::new(EventErrorKind::WrongType, "output_fields is not an object"))
        }
    }
}
