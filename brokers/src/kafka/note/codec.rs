//! A note as text, for the metadata of a commit.
//!
//! Base64 of: version, flags, witness, items, checksum. Numbers are varints, offsets count from the end of the item
//! before. The checksum covers the topic, the partition and the committed offset too, so that a note that was copied to
//! another place is none. What doesn't fit is left out at the end: what it says of its beginning still holds, and the rest
//! runs again.

#[cfg(fuzzing)]
pub(in crate::kafka) mod fuzzing;
#[cfg(test)]
mod tests;

use base64::{Engine as _, prelude::BASE64_STANDARD_NO_PAD as BASE64};
use integer_encoding::VarInt;

use super::{Fingerprint, Item, Note, Witness};

const VERSION: u8 = 1;

const OPEN: u8 = 1;
const WITNESS: u8 = 2;

const CHECKSUM: usize = size_of::<u32>();

/// An item is its distance with this bit for its kind.
const DONE: u64 = 1;

/// The commit that a note goes with.
#[derive(Clone, Copy, Debug)]
pub(in crate::kafka) struct Commit<'a> {
    pub(in crate::kafka) topic: &'a str,
    pub(in crate::kafka) partition: i32,
    pub(in crate::kafka) offset: i64,
}

impl Commit<'_> {
    fn checksum(&self, body: &[u8]) -> [u8; CHECKSUM] {
        let mut crc = crc32fast::Hasher::new();
        crc.update(body);
        crc.update(&self.partition.to_le_bytes());
        crc.update(&self.offset.to_le_bytes());
        crc.update(self.topic.as_bytes());
        crc.finalize().to_le_bytes()
    }
}

/// The note as text of at most `room` bytes; without its last items if need be, and empty if not even its head fits. A note
/// that says nothing is an empty text.
pub(in crate::kafka) fn encode(note: &Note, commit: Commit<'_>, room: usize) -> String {
    if *note == Note::default() {
        return String::new();
    }
    // Four characters carry three bytes.
    let room = (room / 4 * 3).saturating_sub(CHECKSUM);
    let mut body = head(note, commit.offset);
    if body.len() > room {
        return String::new();
    }
    let (mut end, mut item) = (commit.offset, Vec::new());
    for next in &note.items {
        item.clear();
        end = write(next, end, &mut item);
        if body.len() + item.len() > room {
            break;
        }
        body.extend_from_slice(&item);
    }
    let checksum = commit.checksum(&body);
    body.extend_from_slice(&checksum);
    BASE64.encode(body)
}

fn head(note: &Note, low: i64) -> Vec<u8> {
    let flags = if note.open { OPEN } else { 0 } | if note.witness.is_some() { WITNESS } else { 0 };
    let mut head = vec![VERSION, flags];
    if let Some(Witness { offset, print }) = note.witness {
        put(&mut head, distance(low, offset));
        head.extend_from_slice(&print.time.encode_var_vec());
        head.extend_from_slice(&print.crc.to_le_bytes());
    }
    head
}

/// Writes an item that comes after `end`. Says where it ends itself.
fn write(item: &Item, end: i64, into: &mut Vec<u8>) -> i64 {
    match *item {
        Item::Done(from, to) => {
            put(into, distance(end, from) << 1 | DONE);
            put(into, distance(from, to));
            to
        }
        Item::Begun(at, times) => {
            put(into, distance(end, at) << 1);
            put(into, u64::from(times));
            at + 1
        }
    }
}

fn put(into: &mut Vec<u8>, number: u64) {
    into.extend_from_slice(&number.encode_var_vec());
}

fn distance(from: i64, to: i64) -> u64 {
    u64::try_from(to.saturating_sub(from)).unwrap_or_default()
}

/// Reads what [`encode`] wrote beside this very commit. `None` for anything else.
pub(in crate::kafka) fn decode(text: &str, commit: Commit<'_>) -> Option<Note> {
    let bytes = BASE64.decode(text).ok()?;
    let (body, checksum) = bytes.split_last_chunk::<CHECKSUM>()?;
    if commit.checksum(body) != *checksum {
        return None;
    }
    let mut rest = Bytes(body);
    let [VERSION, flags] = rest.take()? else { return None };
    let witness = match flags & WITNESS {
        0 => None,
        _ => Some(Witness {
            offset: commit.offset.checked_add(rest.distance()?)?,
            print: Fingerprint { time: rest.number()?, crc: u32::from_le_bytes(rest.take()?) },
        }),
    };
    let mut items = Vec::new();
    let mut end = commit.offset;
    while !rest.0.is_empty() {
        items.push(rest.item(&mut end)?);
    }
    (items.is_empty() || witness.is_some()).then_some(Note {
        open: flags & OPEN != 0,
        witness,
        items,
    })
}

/// What is left to read.
struct Bytes<'a>(&'a [u8]);

impl Bytes<'_> {
    fn take<const N: usize>(&mut self) -> Option<[u8; N]> {
        let (taken, rest) = self.0.split_first_chunk::<N>()?;
        self.0 = rest;
        Some(*taken)
    }

    fn number<N: VarInt>(&mut self) -> Option<N> {
        let (number, length) = N::decode_var(self.0)?;
        self.0 = self.0.get(length..)?;
        Some(number)
    }

    fn distance(&mut self) -> Option<i64> {
        i64::try_from(self.number::<u64>()?).ok()
    }

    /// The item that comes after `end`, which it moves on.
    fn item(&mut self, end: &mut i64) -> Option<Item> {
        let head: u64 = self.number()?;
        let from = end.checked_add(i64::try_from(head >> 1).ok()?)?;
        if head & DONE == 0 {
            *end = from.checked_add(1)?;
            return Some(Item::Begun(from, self.number()?));
        }
        *end = from.checked_add(self.distance()?)?;
        (*end > from).then_some(Item::Done(from, *end))
    }
}
