//! One event, owned: what outlives the message it came in.

use std::{collections::BTreeMap, time::Duration};

use bytes::Bytes;
use jiff::Timestamp;

use super::trace::TraceParent;
use crate::decide::{Event, EventError, EventId, Priority};

/// How much of Falco's text is kept beside the payload, which has all of it: more than any message shows.
const OUTPUT: usize = 16 << 10;

/// An event as actions see it. One is shared by all playbooks that answer it.
///
/// Everything but `id` is the event's own word, chosen by whoever caused it: never part of a name, an
/// argument or a template.
#[derive(Debug, Clone)]
pub struct Occurrence {
    /// The event's identity: the same for every copy of it.
    pub id: EventId,
    /// The cluster that the event names.
    pub cluster: Option<String>,
    /// The message's original bytes.
    pub payload: Bytes,
    /// The rule's name.
    pub rule: String,
    /// How severe it is.
    pub priority: Priority,
    /// When it happened.
    pub time: Timestamp,
    /// `syscall`, `k8s_audit`, a plugin's name.
    pub source: String,
    /// The text that Falco or an operator's template made of it, or its first 16 KiB; may be empty.
    pub output: String,
    /// The node, or the Falco pod's own name.
    pub hostname: Option<String>,
    /// The output fields that have a value, as text.
    pub fields: BTreeMap<String, String>,
    /// The trace that its publisher was in.
    pub trace: Option<TraceParent>,
    /// A person's word that it may be answered up to this age, whatever playbooks and actions say of age. Nobody's, but
    /// for what was redriven so.
    pub max_age: Option<Duration>,
    /// When a person has approved its answer: its age counts from then.
    pub approved: Option<Timestamp>,
}

impl Occurrence {
    /// Takes what actions need out of a borrowed event.
    ///
    /// # Errors
    ///
    /// Where the output fields can't be read.
    pub fn new(
        event: &Event<'_>,
        id: EventId,
        cluster: Option<String>,
        payload: Bytes,
        trace: Option<TraceParent>,
    ) -> Result<Occurrence, EventError> {
        let fields = event
            .fields()?
            .iter()
            .filter_map(|(key, value)| Some((key.to_owned(), value.text()?.into_owned())))
            .collect();
        Ok(Occurrence {
            id,
            cluster,
            payload,
            rule: event.rule.clone().into_owned(),
            priority: event.priority,
            time: event.time,
            source: event.source.clone().into_owned(),
            output: beginning(&event.output).to_owned(),
            hostname: event.hostname.as_deref().map(str::to_owned),
            fields,
            trace,
            max_age: None,
            approved: None,
        })
    }
}

fn beginning(output: &str) -> &str {
    output.split_at(output.floor_char_boundary(OUTPUT)).0
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_long_text_is_held_once_and_not_twice() {
        let whole = "é".repeat(OUTPUT);
        assert_eq!(beginning(&format!("x{whole}")).len(), OUTPUT - 1, "no character is cut");
        assert_eq!(beginning(&whole).len(), OUTPUT);
        assert_eq!(beginning("short"), "short");
    }
}
