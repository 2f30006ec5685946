//! Dead letters that were written in [chunks](super::super::chunks), put together again.

use std::{
    collections::{BTreeMap, BTreeSet},
    str::FromStr,
};

use bytes::{Bytes, BytesMut};

use super::Place;
use crate::message::Message;

/// What the names of a chunk's headers begin with.
const CHUNK: &str = "stoop-chunk-";
/// The header with the key of the message, for a chunk's own is its set's name.
const KEY: &str = "stoop-original-key";

/// The sets of which chunks are still to come.
#[derive(Debug, Default)]
pub(super) struct Assembly {
    sets: BTreeMap<String, Set>,
    /// The messages whose letters were put together.
    whole: BTreeSet<String>,
}

#[derive(Debug)]
struct Set {
    place: Place,
    count: u64,
    bytes: u64,
    /// The first chunk that came; the one with the letter's headers once that is there.
    record: Message,
    has_first: bool,
    pieces: BTreeMap<u64, Bytes>,
}

/// What a chunk says of itself.
struct Chunk {
    set: String,
    index: u64,
    count: u64,
    bytes: u64,
}

impl Chunk {
    fn of(record: &Message) -> Option<Self> {
        let text = |name: &str| {
            let is = |(header, _): &&(String, Bytes)| header.strip_prefix(CHUNK) == Some(name);
            let (_, value) = record.headers.iter().find(is)?;
            std::str::from_utf8(value).ok()
        };
        let number = |name| u64::from_str(text(name)?).ok();
        let chunk = Self {
            set: text("set")?.to_owned(),
            index: number("index")?,
            count: number("count")?,
            bytes: number("bytes")?,
        };
        (chunk.index < chunk.count).then_some(chunk)
    }
}

impl Assembly {
    /// Takes a record, and gives the letter that is whole with it: the record itself if it is no chunk.
    pub(super) fn take(&mut self, place: Place, record: Message) -> Option<(Place, Message)> {
        let Some(chunk) = Chunk::of(&record) else { return Some((place, record)) };
        let Chunk { set: name, index, count, bytes } = chunk;
        let set = self.sets.entry(name.clone()).or_insert_with(|| Set {
            place,
            count,
            bytes,
            record: record.clone(),
            has_first: false,
            pieces: BTreeMap::new(),
        });
        set.pieces.insert(index, record.payload.clone());
        if index == 0 {
            set.record = record;
            set.has_first = true;
        }
        if !set.is_whole() {
            return None;
        }
        let set = self.sets.remove(&name)?;
        self.whole.insert(message_of(&name).to_owned());
        Some((set.place, set.into_record()))
    }

    /// What is left in parts, and was not written again as a whole.
    pub(super) fn leftovers(&mut self) -> Vec<(Place, Message)> {
        let (sets, whole) = (std::mem::take(&mut self.sets), &self.whole);
        let left = sets.into_iter().filter(|(name, _)| !whole.contains(message_of(name)));
        left.map(|(_, set)| {
            let (there, of) = (set.pieces.len(), set.count);
            let why = format!("incomplete, {there} of its {of} chunks are there: ");
            let (place, mut record) = (set.place, set.into_record());
            if let Some((_, error)) = record.headers.iter_mut().find(|(n, _)| n == "stoop-error") {
                *error = [why.as_bytes(), error].concat().into();
            } else {
                let reason = ("stoop-reason".to_owned(), Bytes::from_static(b"incomplete"));
                let error = ("stoop-error".to_owned(), Bytes::from(why + "the first is missing"));
                record.headers.extend([reason, error]);
            }
            (place, record)
        })
        .collect()
    }
}

/// The id of the message that a set was written for: its name without the number of the attempt.
fn message_of(set: &str) -> &str {
    set.rsplit_once('-').map_or(set, |(message, _)| message)
}

impl Set {
    fn is_whole(&self) -> bool {
        let bytes: usize = self.pieces.values().map(Bytes::len).sum();
        self.has_first && self.pieces.len() as u64 == self.count && bytes as u64 == self.bytes
    }

    /// The record that the letter would have been if it had fitted.
    fn into_record(self) -> Message {
        let mut payload = BytesMut::new();
        self.pieces.values().for_each(|piece| payload.extend_from_slice(piece));
        let mut record = Message { payload: payload.freeze(), key: None, ..self.record };
        record.key =
            record.headers.iter().find(|(name, _)| name == KEY).map(|(_, key)| key.clone());
        record.headers.retain(|(name, _)| !name.starts_with(CHUNK) && name != KEY);
        record
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::{super::super::chunks::Chunks, super::record, *};

    /// The records of a letter with this body, as they are written.
    fn chunks(body: &[u8], size: usize) -> Vec<Message> {
        let original = Message {
            key: Some(Bytes::from_static(b"k")),
            ..record(1, 7, Vec::new(), Bytes::copy_from_slice(body))
        };
        let headers = [("stoop-reason", "failed"), ("stoop-error", "why")];
        let headers = headers.map(|(name, value)| (name.to_owned(), Bytes::from(value)));
        let chunks = Chunks::of(&original, &headers, size);
        chunks.map(|(headers, body)| record(0, 0, headers, Bytes::copy_from_slice(body))).collect()
    }

    fn take(assembly: &mut Assembly, records: &[Message]) -> Vec<(Place, Message)> {
        let offsets = records.iter().enumerate();
        let taken = offsets.filter_map(|(offset, record)| {
            assembly.take(Place { partition: 0, offset: offset as u64 }, record.clone())
        });
        taken.collect()
    }

    proptest! {
        #[test]
        fn whatever_the_order_a_letter_is_put_together(
            body in prop::collection::vec(any::<u8>(), 1..200), size in 1..60usize, seed in any::<u64>(),
        ) {
            let mut records = chunks(&body, size);
            fastrand::Rng::with_seed(seed).shuffle(&mut records);
            let mut assembly = Assembly::default();
            let whole = take(&mut assembly, &records);
            prop_assert_eq!(whole.len(), 1);
            let (place, whole) = &whole[0];
            prop_assert_eq!(place.offset, 0);
            prop_assert_eq!(&whole.payload[..], &body[..]);
            prop_assert_eq!(whole.key.as_deref(), Some(&b"k"[..]));
            prop_assert_eq!(whole.headers.len(), 2);
            prop_assert!(assembly.leftovers().is_empty());
        }
    }

    #[test]
    fn an_attempt_that_was_given_up_is_nothing_once_another_was_whole() {
        let (given_up, whole) = (chunks(b"0123456789", 4), chunks(b"0123456789", 3));
        let mut assembly = Assembly::default();
        assert_eq!(take(&mut assembly, &given_up[..1]).len(), 0);
        assert_eq!(take(&mut assembly, &whole).len(), 1);
        assert!(assembly.leftovers().is_empty());
    }

    #[test]
    fn what_stays_incomplete_is_not_hidden() {
        for (missing, reason) in [(0, "incomplete"), (1, "failed")] {
            let mut records = chunks(b"0123456789", 4);
            records.remove(missing);
            let mut assembly = Assembly::default();
            assert_eq!(take(&mut assembly, &records).len(), 0);
            let left = assembly.leftovers();
            let [(_, left)] = left.as_slice() else { panic!("{left:?}") };
            let header =
                |name: &str| left.headers.iter().find(|(n, _)| n == name).unwrap().1.clone();
            assert_eq!(header("stoop-reason"), reason);
            let error = String::from_utf8(header("stoop-error").to_vec()).unwrap();
            assert!(error.contains("2 of its 3 chunks"), "{error}");
        }
    }

    #[test]
    fn headers_that_lie_make_it_a_letter_as_it_is() {
        let mut odd = chunks(b"0123456789", 4).remove(1);
        for (name, value) in &mut odd.headers {
            if name == "stoop-chunk-index" {
                *value = Bytes::from_static(b"9");
            }
        }
        assert_eq!(take(&mut Assembly::default(), &[odd]).len(), 1);
    }
}
