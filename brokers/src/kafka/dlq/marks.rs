//! What says of a dead letter that it was redriven or dropped.
//!
//! A mark is a record without a body. `stoop-mark` says `redriven` or `dropped`, `stoop-mark-letter` where the letter lies
//! (`PARTITION/OFFSET`), `stoop-mark-message` which message it is about, `stoop-mark-handlers` for whom alone it was
//! redriven, and `stoop-mark-time` when. A mark whose letter is about another message is not heeded: where a topic was
//! copied or made anew, another letter may lie there now.

use std::collections::BTreeMap;

use bytes::Bytes;
use jiff::Timestamp;

use super::Place;
use crate::{dead_letter::Buried, message::Message};

const MARK: &str = "stoop-mark";
const LETTER: &str = "stoop-mark-letter";
const MESSAGE: &str = "stoop-mark-message";
const HANDLERS: &str = "stoop-mark-handlers";
const TIME: &str = "stoop-mark-time";

/// What became of a dead letter.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum What {
    /// Published again for these handlers; for all of them if none is named.
    Redriven(Vec<String>),
    /// Taken out.
    Dropped,
}

/// One mark.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Mark {
    pub(super) letter: Place,
    /// The id of the letter's message.
    pub(super) message: String,
    pub(super) what: What,
}

impl Mark {
    /// Whether a record is a mark. A dead letter never looks like one: it has none of its message's headers of that name.
    pub(super) fn is(record: &Message) -> bool {
        header(record, MARK).is_some()
    }

    pub(super) fn key(&self) -> Vec<u8> {
        format!("{MARK}:{}", self.letter).into_bytes()
    }

    pub(super) fn headers(&self) -> Vec<(String, Bytes)> {
        let (what, handlers) = match &self.what {
            What::Redriven(handlers) => ("redriven", handlers.join(",")),
            What::Dropped => ("dropped", String::new()),
        };
        let mut headers = vec![
            (MARK, what.to_owned()),
            (LETTER, self.letter.to_string()),
            (MESSAGE, self.message.clone()),
            (TIME, Timestamp::now().to_string()),
        ];
        if !handlers.is_empty() {
            headers.push((HANDLERS, handlers));
        }
        headers.into_iter().map(|(name, value)| (name.to_owned(), Bytes::from(value))).collect()
    }

    fn read(record: &Message) -> Option<Self> {
        let handlers = header(record, HANDLERS).unwrap_or_default();
        let what = match header(record, MARK)? {
            "redriven" if handlers.is_empty() => What::Redriven(Vec::new()),
            "redriven" => What::Redriven(handlers.split(',').map(str::to_owned).collect()),
            "dropped" => What::Dropped,
            _ => return None,
        };
        let letter = header(record, LETTER)?.parse().ok()?;
        Some(Self { letter, message: header(record, MESSAGE)?.to_owned(), what })
    }
}

fn header<'a>(record: &'a Message, name: &str) -> Option<&'a str> {
    let (_, value) = record.headers.iter().find(|(header, _)| header == name)?;
    std::str::from_utf8(value).ok()
}

/// All marks of a topic.
#[derive(Debug, Default)]
pub(super) struct Marks(BTreeMap<Place, Vec<Mark>>);

impl Marks {
    /// Takes note of a record, if it is a mark.
    pub(super) fn take(&mut self, record: &Message) {
        if let Some(mark) = Mark::read(record) {
            self.0.entry(mark.letter).or_default().push(mark);
        }
    }

    /// What is left of a letter; none if it was redriven for all, or dropped.
    pub(super) fn subtract(&self, place: Place, mut buried: Buried) -> Option<Buried> {
        let id = buried.message.id.to_string();
        let marks = self.0.get(&place).into_iter().flatten().filter(|mark| mark.message == id);
        for mark in marks {
            match &mark.what {
                What::Redriven(handlers) if !handlers.is_empty() => {
                    let left = |failed: &String| !handlers.contains(failed);
                    buried.letter.failed.retain(left);
                    if buried.letter.failed.is_empty() {
                        return None;
                    }
                }
                What::Redriven(_) | What::Dropped => return None,
            }
        }
        Some(buried)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::{super::record, *};

    const PLACE: Place = Place { partition: 2, offset: 7 };

    fn buried(failed: &[&str]) -> Buried {
        let headers = [
            ("stoop-reason", "failed".to_owned()),
            ("stoop-original-stream", "falco".to_owned()),
            ("stoop-original-partition", "0".to_owned()),
            ("stoop-original-sequence", "40".to_owned()),
            ("stoop-failed", failed.join(",")),
        ];
        let headers = headers.map(|(name, value)| (name.to_owned(), Bytes::from(value)));
        Buried::read(PLACE.to_string(), record(2, 7, headers.into(), Bytes::new()))
    }

    fn marks(marks: impl IntoIterator<Item = Mark>) -> Marks {
        let mut all = Marks::default();
        for mark in marks {
            all.take(&record(2, 8, mark.headers(), Bytes::new()));
        }
        all
    }

    fn mark(what: What) -> Mark {
        Mark { letter: PLACE, message: "falco/0/40".to_owned(), what }
    }

    fn left(all: &[Mark], failed: &[&str]) -> Option<Vec<String>> {
        marks(all.to_vec()).subtract(PLACE, buried(failed)).map(|left| left.letter.failed)
    }

    #[test]
    fn a_letter_is_gone_once_it_is_dropped_or_redriven_for_all() {
        assert_eq!(left(&[], &["a"]), Some(vec!["a".to_owned()]));
        assert_eq!(left(&[mark(What::Dropped)], &["a"]), None);
        assert_eq!(left(&[mark(What::Redriven(vec![]))], &["a", "b"]), None);
        assert_eq!(left(&[mark(What::Redriven(vec![]))], &[]), None);
    }

    #[test]
    fn a_letter_stays_for_those_it_was_not_redriven_for() {
        let for_a = mark(What::Redriven(vec!["a".to_owned()]));
        let for_b = mark(What::Redriven(vec!["b".to_owned()]));
        assert_eq!(left(std::slice::from_ref(&for_a), &["a", "b"]), Some(vec!["b".to_owned()]));
        assert_eq!(left(&[for_a, for_b], &["a", "b"]), None);
    }

    #[test]
    fn a_mark_of_another_message_or_place_is_not_heeded() {
        let other = Mark { message: "falco/0/41".to_owned(), ..mark(What::Dropped) };
        let elsewhere = Mark { letter: Place { partition: 0, offset: 7 }, ..mark(What::Dropped) };
        assert!(left(&[other, elsewhere], &["a"]).is_some());
    }

    proptest! {
        #[test]
        fn a_mark_is_read_as_it_was_written(
            partition in any::<i32>(), offset in any::<u64>(), message in "[a-z/0-9]{1,20}",
            handlers in prop::option::of(prop::collection::vec("[a-z-]{1,9}", 0..4)),
        ) {
            let what = handlers.map_or(What::Dropped, What::Redriven);
            let mark = Mark { letter: Place { partition, offset }, message, what };
            let record = record(0, 0, mark.headers(), Bytes::new());
            prop_assert!(Mark::is(&record));
            prop_assert_eq!(Mark::read(&record), Some(mark));
        }
    }
}
