//! What a commit says beside its offset: which messages above it are done, how often the others were begun, and whether
//! whoever wrote it may have begun more since. Pure.
//!
//! It is believed only after its witness was seen: the lowest message that was not done, with its timestamp and checksum.
//! A topic made anew has the same offsets and other messages, and a stale note must not pass over any of them.

mod codec;

use rdkafka::message::{BorrowedMessage, Message as _};

#[cfg(fuzzing)]
pub use codec::fuzzing::read_note;
pub(super) use codec::{Commit, decode, encode};

/// What one message can be told from another by that has its offset.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Fingerprint {
    /// Milliseconds since the epoch; 0 without a timestamp.
    pub(super) time: i64,
    /// Of payload and key.
    pub(super) crc: u32,
}

impl Fingerprint {
    pub(super) fn of(message: &BorrowedMessage<'_>) -> Self {
        let mut crc = crc32fast::Hasher::new();
        crc.update(message.payload().unwrap_or_default());
        crc.update(message.key().unwrap_or_default());
        Self { time: message.timestamp().to_millis().unwrap_or_default(), crc: crc.finalize() }
    }
}

/// The lowest message that was not done when the note was written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Witness {
    pub(super) offset: i64,
    pub(super) print: Fingerprint,
}

/// Something known of what lies above the committed offset.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Item {
    /// Everything from the first offset to below the second is done.
    Done(i64, i64),
    /// The message at the offset is not done, and work on it was begun so many times.
    Begun(i64, u32),
}

/// What is known of a partition above its committed offset.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Note {
    /// Whether messages that it doesn't name may have been begun as well: its writer had not left in good order.
    pub(super) open: bool,
    /// There if anything else is.
    pub(super) witness: Option<Witness>,
    /// In order of offset; they neither overlap nor lie below the committed offset.
    pub(super) items: Vec<Item>,
}

impl Note {
    /// Whether a message, the first one received, shows that the note is about this log.
    pub(super) fn is_proven_by(&self, offset: i64, print: Fingerprint) -> bool {
        self.witness == Some(Witness { offset, print })
    }

    /// If a message is done: where the stretch of done ones ends that it lies in.
    pub(super) fn done(&self, offset: i64) -> Option<i64> {
        match self.items.get(self.above(offset).checked_sub(1)?)? {
            Item::Done(_, to) if offset < *to => Some(*to),
            _ => None,
        }
    }

    /// How often work on a message was begun, if the note names it.
    pub(super) fn begun(&self, offset: i64) -> Option<u32> {
        match self.items.get(self.above(offset).checked_sub(1)?)? {
            Item::Begun(at, times) if *at == offset => Some(*times),
            _ => None,
        }
    }

    /// Where the last of what it names ends.
    pub(super) fn end(&self) -> i64 {
        match self.items.last() {
            Some(Item::Done(_, to)) => *to,
            Some(Item::Begun(at, _)) => at + 1,
            None => 0,
        }
    }

    /// How many items begin at `offset` or below.
    fn above(&self, offset: i64) -> usize {
        self.items.partition_point(|item| match item {
            Item::Done(from, _) => *from <= offset,
            Item::Begun(at, _) => *at <= offset,
        })
    }
}
