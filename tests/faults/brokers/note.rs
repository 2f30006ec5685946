//! What a worker's commit says beside its offset, read by other code than what wrote it: which messages above it are done.

use std::ops::Range;

use base64::{Engine as _, prelude::BASE64_STANDARD_NO_PAD as BASE64};

const VERSION: u8 = 1;
const WITNESS: u8 = 2;
const CHECKSUM: usize = 4;

/// The offsets above `committed` that are done; none where the note can't be read, or tells of another log: `published` says
/// when the message at an offset was, if that is known.
pub fn done(note: &str, committed: i64, published: impl Fn(i64) -> Option<i64>) -> Vec<Range<i64>> {
    read(note, committed, published).unwrap_or_default()
}

fn read(
    note: &str,
    committed: i64,
    published: impl Fn(i64) -> Option<i64>,
) -> Option<Vec<Range<i64>>> {
    let bytes = BASE64.decode(note).ok()?;
    let body = bytes.get(..bytes.len().checked_sub(CHECKSUM)?)?;
    let mut rest = body.iter().copied();
    let (version, flags) = (rest.next()?, rest.next()?);
    if version != VERSION {
        return None;
    }
    if flags & WITNESS != 0 {
        let at = committed + i64::try_from(varint(&mut rest)?).ok()?;
        let folded = varint(&mut rest)?;
        let time = (folded >> 1) as i64 ^ -((folded & 1) as i64);
        rest.nth(CHECKSUM - 1)?;
        if published(at).is_some_and(|published| published != time) {
            return None;
        }
    }
    let (mut end, mut done) = (committed, Vec::new());
    while rest.len() > 0 {
        let head = varint(&mut rest)?;
        let from = end + i64::try_from(head >> 1).ok()?;
        let number = varint(&mut rest)?;
        // An item is a stretch that is done, or one message that was begun so many times.
        if head & 1 == 1 {
            end = from + i64::try_from(number).ok()?;
            done.push(from..end);
        } else {
            end = from + 1;
        }
    }
    Some(done)
}

fn varint(bytes: &mut impl Iterator<Item = u8>) -> Option<u64> {
    let mut number = 0;
    for shift in (0..64).step_by(7) {
        let byte = bytes.next()?;
        number |= u64::from(byte & 0x7f) << shift;
        if byte & 0x80 == 0 {
            return Some(number);
        }
    }
    None
}

#[test]
fn what_is_done_above_the_commit_is_read_and_nothing_else() {
    // No witness; three on from 100 a stretch of 300 done, then one after the next begun twice, then 5 done.
    let body = [VERSION, 0, 3 << 1 | 1, 0xac, 0x02, 1 << 1, 2, 1, 5];
    let note = |body: &[u8]| BASE64.encode([body, &[0; CHECKSUM]].concat());
    assert_eq!(done(&note(&body), 100, |_| None), [103..403, 405..410]);
    // Its witness is the message at 1, of millisecond 64.
    let witness = note(&[VERSION, WITNESS, 1, 0x80, 0x01, 9, 9, 9, 9, 1, 7]);
    for (time, believed) in [(None, true), (Some(64), true), (Some(65), false)] {
        let read = done(&witness, 0, |at| time.filter(|_| at == 1));
        assert_eq!(read.first(), believed.then_some(&(0..7)), "{time:?}");
    }
    for nothing in ["", "garbage", &note(&[2, 0, 1, 7]), &note(&[VERSION, 0, 1])] {
        assert_eq!(done(nothing, 0, |_| None), []);
    }
}
