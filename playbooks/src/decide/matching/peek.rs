//! A look at a message's rule, priority and source, without decoding it.
//!
//! This runs for every message that a broker hands over, most of which no playbook wants. It walks the keys
//! of the outermost object and stops as soon as the answer is known. Whatever it doesn't expect means keep.

use super::interest::{Interest, Wanted};
use crate::decide::Priority;
use crate::decide::event::is_internal_rule;
use memchr::memchr2;
use std::ops::Deref;

/// Whether a message may be wanted, given what is wanted of its rule.
pub(super) fn wants<I: Deref<Target = Interest>>(
    payload: &[u8],
    interest: impl Fn(&[u8]) -> I,
) -> bool {
    decide(payload, interest).unwrap_or(true)
}

/// `None` where the message is not as expected.
fn decide<I: Deref<Target = Interest>>(
    payload: &[u8],
    interest_in: impl Fn(&[u8]) -> I,
) -> Option<bool> {
    let mut at = Cursor { bytes: payload, at: 0 };
    at.expect(b'{')?;
    let (mut interest, mut priority, mut source) = (None, None, None);
    loop {
        at.expect(b'"')?;
        let key = at.string()?;
        at.expect(b':')?;
        match key {
            b"rule" => {
                at.expect(b'"')?;
                let rule = at.string()?;
                if is_internal_rule(rule) {
                    return Some(false);
                }
                let wanted = interest_in(rule);
                if wanted.is_empty() {
                    return Some(false);
                }
                interest = Some(wanted);
            }
            b"priority" => {
                at.expect(b'"')?;
                priority = Some(Priority::from_bytes(at.string()?)?);
            }
            b"source" => {
                at.expect(b'"')?;
                source = Some(at.string()?);
            }
            _ => at.skip()?,
        }
        if let (Some(interest), Some(priority)) = (&interest, priority) {
            match (interest.at(priority), source) {
                (Wanted::No, _) => return Some(false),
                (Wanted::Yes, _) => return Some(true),
                (Wanted::FromSomeSources, None) => {}
                (Wanted::FromSomeSources, Some(source)) => {
                    let source = match source {
                        b"" | b"syscalls" => "syscall",
                        other => std::str::from_utf8(other).ok()?,
                    };
                    return Some(interest.from(priority, source));
                }
            }
        }
        at.expect(b',')?;
    }
}

struct Cursor<'a> {
    bytes: &'a [u8],
    at: usize,
}

impl<'a> Cursor<'a> {
    /// Steps over white space and this byte.
    fn expect(&mut self, wanted: u8) -> Option<()> {
        let found = self.next_solid()?;
        self.at += 1;
        (found == wanted).then_some(())
    }

    /// The next byte that is no white space, which is not stepped over.
    fn next_solid(&mut self) -> Option<u8> {
        loop {
            match *self.bytes.get(self.at)? {
                b' ' | b'\n' | b'\r' | b'\t' => self.at += 1,
                byte => return Some(byte),
            }
        }
    }

    /// The rest of a string whose opening quote was stepped over. `None` if it has escapes.
    fn string(&mut self) -> Option<&'a [u8]> {
        let rest = self.bytes.get(self.at..)?;
        let end = memchr2(b'"', b'\\', rest)?;
        self.at += end + 1;
        if rest.get(end) == Some(&b'"') { rest.get(..end) } else { None }
    }

    /// Steps over the rest of a string, escapes and all.
    fn skip_string(&mut self) -> Option<()> {
        loop {
            let rest = self.bytes.get(self.at..)?;
            let end = memchr2(b'"', b'\\', rest)?;
            if rest.get(end) == Some(&b'"') {
                self.at += end + 1;
                return Some(());
            }
            self.at += end + 2;
        }
    }

    /// Steps over a value.
    fn skip(&mut self) -> Option<()> {
        match self.next_solid()? {
            b'"' => {
                self.at += 1;
                self.skip_string()
            }
            b'{' | b'[' => self.skip_nested(),
            _ => {
                let rest = self.bytes.get(self.at..)?;
                self.at += rest.iter().position(|byte| matches!(byte, b',' | b'}'))?;
                Some(())
            }
        }
    }

    /// Steps over an object or a list. Brackets are counted, not paired: decoding does that.
    fn skip_nested(&mut self) -> Option<()> {
        let mut depth = 0usize;
        loop {
            let byte = *self.bytes.get(self.at)?;
            self.at += 1;
            match byte {
                b'"' => self.skip_string()?,
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
