//! The trace that an event's publisher was in, carried on to whoever is told of the answer.

use std::{fmt, str::FromStr};

use serde::Serialize;

/// The target of the spans that are one event's. They are of the level `trace`, so that no log shows them unasked.
pub const SPANS: &str = "stoop::spans";

/// The value of a [`traceparent`](https://www.w3.org/TR/trace-context/#traceparent-header) header: its publisher's, or where
/// stoop exports spans of its own the place of the event's.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TraceParent(String);

/// It is no trace context, and starts a new trace wherever one is kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("not a traceparent: version, trace id, parent id and flags, in lower-case hex")]
pub struct NotATrace;

impl TraceParent {
    /// The whole value.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The trace's id: 32 digits in hex.
    pub fn trace_id(&self) -> &str {
        self.field(1)
    }

    /// The id of the span that it was given by: 16 digits in hex.
    pub fn span_id(&self) -> &str {
        self.field(2)
    }

    /// Whether who gave it keeps the trace.
    pub fn is_sampled(&self) -> bool {
        u8::from_str_radix(self.field(3), 16).is_ok_and(|flags| flags & 1 == 1)
    }

    fn field(&self, position: usize) -> &str {
        self.0.split('-').nth(position).unwrap_or_default()
    }
}

impl FromStr for TraceParent {
    type Err = NotATrace;

    /// A later version may add fields at the end; of version 00 there are no others. What is added is not kept, for nobody
    /// has said what may be in it: the value is 55 characters and goes on as one of version 00.
    fn from_str(text: &str) -> Result<Self, NotATrace> {
        let mut fields = text.split('-');
        let version = fields.next().filter(|v| is_hex(v, 2) && *v != "ff").ok_or(NotATrace)?;
        let mut id = |length| {
            let some = |id: &&str| is_hex(id, length) && id.bytes().any(|digit| digit != b'0');
            fields.next().filter(some).ok_or(NotATrace)
        };
        let (trace, span) = (id(32)?, id(16)?);
        let flags = fields.next().filter(|flags| is_hex(flags, 2)).ok_or(NotATrace)?;
        match version == "00" && fields.next().is_some() {
            true => Err(NotATrace),
            false => Ok(Self(format!("00-{trace}-{span}-{flags}"))),
        }
    }
}

impl fmt::Display for TraceParent {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl Serialize for TraceParent {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&self.0)
    }
}

fn is_hex(text: &str, length: usize) -> bool {
    text.len() == length && text.bytes().all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f'))
}

#[cfg(test)]
mod tests {
    use super::*;

    const VALID: &str = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";

    #[test]
    fn what_the_standard_calls_valid_is_carried_on() {
        let trace: TraceParent = VALID.parse().expect(VALID);
        assert_eq!(trace.as_str(), VALID);
        assert_eq!(trace.trace_id(), "4bf92f3577b34da6a3ce929d0e0e4736");
        assert_eq!(trace.span_id(), "00f067aa0ba902b7");
        assert!(trace.is_sampled());
        let unsampled = VALID.replace("b7-01", "b7-00");
        assert!(!unsampled.parse::<TraceParent>().expect("not sampled").is_sampled());
    }

    #[test]
    fn what_a_later_version_adds_goes_no_further_whatever_it_is() {
        let long = "x".repeat(1 << 20);
        for added in [
            "",
            "-",
            "-what-comes-later",
            "-\n",
            "-\r\nx-other: 1",
            "-\0\u{1b}[31m",
            "-\u{202e}",
            &long,
        ] {
            let later = format!("01{}{added}", VALID.trim_start_matches("00"));
            match later.parse::<TraceParent>() {
                Ok(trace) => assert_eq!(trace.as_str(), VALID, "{added:.20}"),
                // It is no field of its own.
                Err(NotATrace) => assert_eq!(added, long),
            }
        }
        let fields = format!("cc{}-{long}", VALID.trim_start_matches("00"));
        assert_eq!(fields.parse::<TraceParent>().expect("fields").as_str(), VALID);
    }

    #[test]
    fn what_it_calls_invalid_is_no_trace() {
        for invalid in [
            "",
            "00",
            "00-1",
            "ff-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01",
            "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01-more",
            "00-00000000000000000000000000000000-00f067aa0ba902b7-01",
            "00-4bf92f3577b34da6a3ce929d0e0e4736-0000000000000000-01",
            "00-4BF92F3577B34DA6A3CE929D0E0E4736-00f067aa0ba902b7-01",
            "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-0x",
            "00-4bf92f3577b34da6a3ce929d0e0e473\u{e9}-00f067aa0ba902b7-01",
        ] {
            assert_eq!(invalid.parse::<TraceParent>(), Err(NotATrace), "{invalid}");
        }
    }
}
