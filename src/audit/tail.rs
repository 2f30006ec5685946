//! How a file of the chain ends: its last whole line, and what was left after it, by a writer that died or by somebody else.

use std::{
    fs::File,
    io::{self, Read, Seek, SeekFrom},
};

use super::chain::{self, Tip};

/// How much is read at first; more, where no whole line is in it.
const FIRST: u64 = 64 * 1024;

/// The end of a file.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Tail {
    /// How far its chain came, where there is a whole line.
    pub(super) tip: Option<Tip>,
    /// What follows that line, without a line break at its end.
    pub(super) rest: Vec<u8>,
    /// Whether the next line needs a line break before it.
    pub(super) is_open: bool,
    /// The bytes of the file.
    pub(super) length: u64,
}

impl Tail {
    /// Reads the end of `file`, from the back. Where its last line is `known`, no other is taken for it.
    pub(super) fn read(file: &mut File, known: Option<Tip>) -> io::Result<Self> {
        let length = file.metadata()?.len();
        let mut take = FIRST.min(length);
        loop {
            let from = length - take;
            file.seek(SeekFrom::Start(from))?;
            let mut bytes = Vec::new();
            Read::by_ref(file).take(take).read_to_end(&mut bytes)?;
            let tail = Self { length, ..Self::of(&bytes, from == 0, known) };
            if tail.tip.is_some() || from == 0 {
                return Ok(tail);
            }
            take = take.saturating_mul(8).min(length);
        }
    }

    /// Of the end of a file; its first line is whole only if these are `all` of its bytes.
    fn of(bytes: &[u8], all: bool, known: Option<Tip>) -> Self {
        let start = match all {
            true => 0,
            false => bytes.iter().position(|byte| *byte == b'\n').map_or(bytes.len(), |at| at + 1),
        };
        let lines = bytes.get(start..).unwrap_or_default();
        let is_open = bytes.last().is_some_and(|last| *last != b'\n');
        let mut end = lines.len();
        while let Some(before) = lines.get(..end).filter(|before| !before.is_empty()) {
            let text = before.strip_suffix(b"\n").unwrap_or(before);
            let begin = text.iter().rposition(|byte| *byte == b'\n').map_or(0, |at| at + 1);
            let tip = text.get(begin..).and_then(chain::read).map(|link| link.tip);
            if let Some(tip) = tip.filter(|tip| known.is_none_or(|known| known == *tip)) {
                let after = lines.get(end..).unwrap_or_default();
                let rest = after.strip_suffix(b"\n").unwrap_or(after).to_vec();
                return Self { tip: Some(tip), rest, is_open, length: 0 };
            }
            end = begin;
        }
        let rest = lines.strip_suffix(b"\n").unwrap_or(lines).to_vec();
        Self { tip: None, rest, is_open, length: 0 }
    }

    /// Whether the rest may be what a power cut leaves of lines: as much of them as was written, or the room for them.
    pub(super) fn is_torn(&self) -> bool {
        let (rest, head) = (self.rest.as_slice(), chain::HEAD.as_bytes());
        rest.starts_with(head)
            || head.starts_with(rest)
            || rest.iter().all(|byte| matches!(byte, 0 | b'\n'))
    }
}
