//! What `fuzz/` throws at the reader of notes.

use base64::Engine as _;

use super::{BASE64, Commit, Item, Note, decode, encode};

/// Holds the reader against any bytes beside a commit of `offset`: as text, and as a note whose checksum fits, which
/// whoever means harm can make.
pub fn read_note(offset: i64, bytes: &[u8]) {
    let commit = Commit { topic: "falco", partition: 0, offset: offset.max(0) };
    if let Ok(text) = std::str::from_utf8(bytes) {
        check(decode(text, commit), commit);
    }
    let framed = BASE64.encode([bytes, &commit.checksum(bytes)].concat());
    check(decode(&framed, commit), commit);
}

/// What it names lies in order and above the commit, is found where it lies, and is the same once it is written again.
fn check(note: Option<Note>, commit: Commit<'_>) {
    let Some(note) = note else { return };
    let mut end = commit.offset;
    for item in &note.items {
        let (from, to) = match *item {
            Item::Done(from, to) => (from, to),
            Item::Begun(at, _) => (at, at + 1),
        };
        assert!(end <= from && from < to, "{note:?}");
        match *item {
            Item::Done(..) => assert_eq!(note.done(to - 1), Some(to)),
            Item::Begun(at, times) => assert_eq!(note.begun(at), Some(times)),
        }
        end = to;
    }
    assert_eq!(note.end(), note.items.last().map_or(0, |_| end));
    let written = encode(&note, commit, usize::MAX);
    let again = decode(&written, commit).unwrap_or_default();
    assert_eq!(again, note);
}
