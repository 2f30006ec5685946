//! A look at a message's rule, priority and source, without decoding it.
//!
//! This runs for every message that a broker hands over, most of which no playbook wants. It walks the keys
//! of the outermost object and stops as soon as the answer is known. Whatever it doesn't expect means keep.

use super::interest::{Interest, Wanted};
use crate::decide::Priority;
use crate::decide::event::is_internal_rule;
use crate::decide::json::{Cursor, Quoted};
use std::ops::Deref;
use std::sync::Arc;

/// Whether a message may be wanted, given what is wanted of its rule.
pub(super) fn wants<I: Deref<Target = Arc<Interest>>>(
    payload: &[u8],
    interest: impl Fn(&[u8]) -> I,
) -> bool {
    decide(payload, interest).unwrap_or(true)
}

/// `None` where the message is not as expected.
fn decide<I: Deref<Target = Arc<Interest>>>(
    payload: &[u8],
    interest_in: impl Fn(&[u8]) -> I,
) -> Option<bool> {
    // What is escaped could be spelled in many ways.
    let plain = |text: Quoted| if text.escaped { None } else { payload.get(text.range) };
    let mut at = Cursor::new(payload);
    at.expect(b'{')?;
    let (mut interest, mut priority, mut source) = (None, None, None);
    loop {
        let key = plain(at.string()?)?;
        at.expect(b':')?;
        match key {
            b"rule" => {
                let rule = plain(at.string()?)?;
                if is_internal_rule(rule) {
                    return Some(false);
                }
                let wanted = interest_in(rule);
                if wanted.is_empty() {
                    return Some(false);
                }
                interest = Some(wanted);
            }
            b"priority" => priority = Some(Priority::from_bytes(plain(at.string()?)?)?),
            b"source" => source = Some(plain(at.string()?)?),
            _ => {
                at.value()?;
            }
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
