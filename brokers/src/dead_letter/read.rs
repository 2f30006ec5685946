//! A dead letter read back from the record that a broker keeps it in.

use std::{borrow::Cow, str::FromStr};

use bytes::Bytes;
use jiff::Timestamp;

use super::{Buried, DeadLetter, FAILED, PREFIX};
use crate::message::{Attempt, Message, MessageId};

/// What stands for a reason that nobody gave.
const UNKNOWN: &str = "unknown";

impl Buried {
    /// Reads a dead letter from its record, which lies at `place`: the headers of [`DeadLetter::headers`], the original key
    /// and body.
    ///
    /// It never fails. What isn't there or can't be read is left at what the record itself tells, so that a record that
    /// somebody else wrote is seen as well.
    pub fn read(place: String, record: Message) -> Self {
        let header = Headers(&record.headers);
        let written = record.published.unwrap_or_default();
        let reason = header.text("reason");
        let error = match &reason {
            Some(_) => header.text("error").unwrap_or_default(),
            None => "it has no header stoop-reason: somebody else wrote it".into(),
        };
        let last_failed = header.parse("last-failed").unwrap_or(written);
        let letter = DeadLetter {
            reason: reason.unwrap_or(UNKNOWN.into()).into_owned(),
            error: error.into_owned(),
            attempts: header.parse("attempts").unwrap_or_default(),
            first_failed: header.parse("first-failed").unwrap_or(last_failed),
            last_failed,
            failed: header.text(FAILED).map(|names| handlers(&names)).unwrap_or_default(),
            worker: header.text("worker").unwrap_or_default().into_owned(),
        };
        let id = header.origin().unwrap_or_else(|| record.id.clone());
        let published = header.parse::<Timestamp>("original-time").or(record.published);
        let own = |(name, _): &(String, Bytes)| !name.starts_with(PREFIX);
        let headers = record.headers.into_iter().filter(own).collect();
        let attempt = Attempt::Unknown;
        let message = Message { id, headers, published, attempt, ..record };
        Self { place, message, letter }
    }
}

/// The handlers that a header names.
pub(super) fn handlers(names: &str) -> Vec<String> {
    names.split(',').filter(|name| !name.is_empty()).map(str::to_owned).collect()
}

/// The headers that are ours.
struct Headers<'a>(&'a [(String, Bytes)]);

impl<'a> Headers<'a> {
    fn text(&self, name: &str) -> Option<Cow<'a, str>> {
        let ours = |(header, _): &&(String, Bytes)| header.strip_prefix(PREFIX) == Some(name);
        self.0.iter().find(ours).map(|(_, value)| String::from_utf8_lossy(value))
    }

    fn parse<T: FromStr>(&self, name: &str) -> Option<T> {
        self.text(name)?.parse().ok()
    }

    fn origin(&self) -> Option<MessageId> {
        let (stream, place) = (self.text("original-stream")?, self.text("original-sequence")?);
        let Ok(sequence) = place.parse() else {
            return Some(MessageId::named(stream.into(), &place));
        };
        Some(match self.parse("original-partition") {
            Some(partition) => MessageId::in_partition(stream.into(), partition, sequence),
            None => MessageId::in_stream(stream.into(), sequence),
        })
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn record(headers: Vec<(String, Bytes)>) -> Message {
        Message {
            id: MessageId::in_partition("dead".into(), 0, 9),
            payload: Bytes::from_static(b"\xff"),
            key: Some(Bytes::from_static(b"k")),
            headers,
            published: Timestamp::from_second(50).ok(),
            attempt: Attempt::Unknown,
        }
    }

    fn name() -> impl Strategy<Value = String> {
        "[a-z0-9.-]{1,12}"
    }

    fn time() -> impl Strategy<Value = Timestamp> {
        (0..4_000_000_000_i64).prop_map(|second| Timestamp::from_second(second).unwrap())
    }

    prop_compose! {
        fn letter()(
            reason in name(), error in "\\PC{0,200}", attempts in any::<u32>(), first in time(), last in time(),
            failed in prop::collection::vec(name(), 0..4), worker in name(),
        ) -> DeadLetter {
            DeadLetter { reason, error, attempts, first_failed: first, last_failed: last, failed, worker }
        }
    }

    prop_compose! {
        fn message()(
            stream in name(), partition in prop::option::of(0..100_i32), sequence in any::<u64>(),
            published in prop::option::of(time()), value in prop::collection::vec(any::<u8>(), 0..20),
        ) -> Message {
            let id = match partition {
                Some(partition) => MessageId::in_partition(stream.into(), partition, sequence),
                None => MessageId::in_stream(stream.into(), sequence),
            };
            let headers = vec![("traceparent".to_owned(), Bytes::from(value))];
            Message { id, published, ..record(headers) }
        }
    }

    proptest! {
        #[test]
        fn what_was_written_is_read_back(letter in letter(), message in message()) {
            let record = Message { headers: letter.headers(&message), ..record(Vec::new()) };
            let read = Buried::read("0/9".to_owned(), record);
            prop_assert_eq!(&read.letter, &letter);
            prop_assert_eq!(&read.message.id, &message.id);
            prop_assert_eq!(&read.message.headers, &message.headers);
            if let Some(published) = message.published {
                prop_assert_eq!(read.message.published, Some(published));
            }
        }

        #[test]
        fn whatever_the_headers_are_it_is_read(
            headers in prop::collection::vec(("(stoop-(reason|attempts|failed|original-(stream|sequence|partition))|[a-z]{1,5})", prop::collection::vec(any::<u8>(), 0..8)), 0..8),
        ) {
            let headers = headers.into_iter().map(|(name, value)| (name, Bytes::from(value))).collect();
            let read = Buried::read("0/9".to_owned(), record(headers));
            prop_assert_eq!(&read.message.payload[..], b"\xff");
            prop_assert!(read.message.headers.iter().all(|(name, _)| !name.starts_with(PREFIX)));
        }
    }

    #[test]
    fn a_record_of_somebody_else_is_known_by_its_place_and_time() {
        let read = Buried::read("0/9".to_owned(), record(Vec::new()));
        assert_eq!((read.letter.reason.as_str(), read.letter.attempts), (UNKNOWN, 0));
        assert_eq!(read.letter.last_failed.as_second(), 50);
        assert_eq!(read.message.id.to_string(), "dead/0/9");
        assert!(read.letter.error.contains("somebody else"), "{}", read.letter.error);
    }

    #[test]
    fn a_broken_header_takes_no_other_with_it() {
        let headers =
            [("stoop-reason", "failed"), ("stoop-attempts", "many"), ("stoop-failed", "a,,b")];
        let headers = headers.map(|(name, value)| (name.to_owned(), Bytes::from(value))).into();
        let read = Buried::read("0/9".to_owned(), record(headers));
        assert_eq!((read.letter.reason.as_str(), read.letter.attempts), ("failed", 0));
        assert_eq!(read.letter.failed, ["a", "b"]);
    }
}
