//! Steps through JSON text without building anything from it.
//!
//! The filter looks at messages with it that nobody validated: whatever is not as it should be is `None`, and
//! nothing is ever read past the end. Fields are found with it in text that serde_json has validated.

use memchr::memchr2;
use std::ops::Range;

/// A position in JSON text. Values come as ranges, so that bytes and text can both be cut by them.
pub(super) struct Cursor<'a> {
    bytes: &'a [u8],
    at: usize,
}

/// A string without its quotes.
pub(super) struct Quoted {
    pub(super) range: Range<usize>,
    /// Whether it has escapes, and so is not what it says.
    pub(super) escaped: bool,
}

impl<'a> Cursor<'a> {
    pub(super) fn new(bytes: &'a [u8]) -> Cursor<'a> {
        Cursor { bytes, at: 0 }
    }

    /// The next byte that is no white space, which is not stepped over.
    #[inline]
    pub(super) fn peek(&mut self) -> Option<u8> {
        loop {
            match *self.bytes.get(self.at)? {
                b' ' | b'\n' | b'\r' | b'\t' => self.at += 1,
                byte => return Some(byte),
            }
        }
    }

    /// Steps over white space and one byte.
    #[inline]
    pub(super) fn next(&mut self) -> Option<u8> {
        let byte = self.peek()?;
        self.at += 1;
        Some(byte)
    }

    /// Steps over white space and this byte.
    #[inline]
    pub(super) fn expect(&mut self, wanted: u8) -> Option<()> {
        (self.next()? == wanted).then_some(())
    }

    /// Steps over a string.
    #[inline]
    pub(super) fn string(&mut self) -> Option<Quoted> {
        self.expect(b'"')?;
        let start = self.at;
        let escaped = self.rest_of_string()?;
        Some(Quoted { range: start..self.at - 1, escaped })
    }

    /// Steps over the rest of a string and its closing quote; tells whether it has escapes.
    #[inline]
    fn rest_of_string(&mut self) -> Option<bool> {
        let mut escaped = false;
        loop {
            let end = string_end(self.bytes.get(self.at..)?)?;
            if self.bytes.get(self.at + end) == Some(&b'"') {
                self.at += end + 1;
                return Some(escaped);
            }
            escaped = true;
            self.at += end + 2;
        }
    }

    /// Steps over a value of any kind.
    #[inline]
    pub(super) fn value(&mut self) -> Option<Range<usize>> {
        let first = self.peek()?;
        let start = self.at;
        match first {
            b'"' => {
                self.at += 1;
                self.rest_of_string()?;
            }
            b'{' | b'[' => self.nested()?,
            _ => {
                let ends =
                    |byte: &u8| matches!(byte, b',' | b'}' | b']' | b' ' | b'\n' | b'\r' | b'\t');
                self.at += self.bytes.get(self.at..)?.iter().position(ends)?;
            }
        }
        Some(start..self.at)
    }

    /// Steps over an object or a list. Brackets are counted, not paired: decoding does that.
    fn nested(&mut self) -> Option<()> {
        let mut depth = 0usize;
        loop {
            let byte = *self.bytes.get(self.at)?;
            self.at += 1;
            match byte {
                b'"' => {
                    self.rest_of_string()?;
                }
                b'{' | b'[' => depth += 1,
                b'}' | b']' => {
                    depth -= 1;
                    if depth == 0 {
                        return Some(());
                    }
                }
                _ => {}
            }
        }
    }
}

/// Where the first quote or backslash is.
///
/// Most strings of an event are short: for them the set-up of a vector search costs more than the search.
#[inline]
fn string_end(bytes: &[u8]) -> Option<usize> {
    const WORDS: usize = 3;
    let (words, _) = bytes.as_chunks::<8>();
    for (at, word) in words.iter().take(WORDS).enumerate() {
        let word = u64::from_le_bytes(*word);
        let hits = zeros(word ^ repeated(b'"')) | zeros(word ^ repeated(b'\\'));
        if hits != 0 {
            return Some(at * 8 + hits.trailing_zeros() as usize / 8);
        }
    }
    let looked_at = words.len().min(WORDS) * 8;
    Some(looked_at + memchr2(b'"', b'\\', bytes.get(looked_at..)?)?)
}

const fn repeated(byte: u8) -> u64 {
    u64::from_le_bytes([byte; 8])
}

/// The high bits of the bytes that are zero: exact up to and with the lowest of them.
const fn zeros(word: u64) -> u64 {
    word.wrapping_sub(repeated(1)) & !word & repeated(0x80)
}

#[cfg(test)]
mod tests {
    use super::{Cursor, string_end};
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn a_strings_end_is_where_the_first_quote_or_backslash_is(bytes in proptest::collection::vec(prop_oneof![
            4 => any::<u8>(), 1 => prop::sample::select(&b"\"\\!#[]\xa2\xdc"[..]),
        ], 0..80)) {
            prop_assert_eq!(string_end(&bytes), bytes.iter().position(|byte| matches!(byte, b'"' | b'\\')));
        }

        #[test]
        fn a_value_is_stepped_over_as_a_whole(value in "[a-z\\[\\]{}\"\\\\:, ]{0,40}", list in any::<bool>()) {
            let value = if list { serde_json::json!([{ value.clone(): [1, null, value] }]) } else { serde_json::json!(value) };
            let text = format!(" {value},rest");
            let mut at = Cursor::new(text.as_bytes());
            let written = value.to_string();
            prop_assert_eq!(at.value().and_then(|range| text.get(range)), Some(written.as_str()));
            prop_assert_eq!(at.next(), Some(b','));
        }
    }
}
