use proptest::prelude::*;

use super::*;

const COMMIT: Commit<'_> = Commit { topic: "falco", partition: 3, offset: 1000 };

fn note(items: Vec<Item>) -> Note {
    let print = Fingerprint { time: 1_700_000_000_123, crc: 0xdead_beef };
    Note { open: true, witness: Some(Witness { offset: 1002, print }), items }
}

#[test]
fn a_hole_costs_a_few_bytes_whatever_is_done_above_it() {
    let stuck = note(vec![Item::Begun(1002, 1), Item::Done(1003, 101_003)]);
    let text = encode(&stuck, COMMIT, 4000);
    assert_eq!(decode(&text, COMMIT), Some(stuck));
    assert!(text.len() < 40, "{} bytes", text.len());
}

#[test]
fn what_does_not_fit_is_left_out_at_the_end() {
    let hole = |n: i64| [Item::Begun(1002 + 10 * n, 1), Item::Done(1003 + 10 * n, 1012 + 10 * n)];
    let whole = note((0..5000).flat_map(hole).collect());
    let text = encode(&whole, COMMIT, 4000);
    assert!(text.len() <= 4000);
    let read = decode(&text, COMMIT).unwrap();
    assert!(read.items.len() > 1000, "{} items", read.items.len());
    assert_eq!(read.items, whole.items[..read.items.len()]);
}

#[test]
fn a_note_that_was_copied_elsewhere_is_none() {
    let text = encode(&note(vec![Item::Begun(1002, 1)]), COMMIT, 4000);
    for elsewhere in [
        Commit { topic: "other", ..COMMIT },
        Commit { partition: 4, ..COMMIT },
        Commit { offset: 999, ..COMMIT },
    ] {
        assert_eq!(decode(&text, elsewhere), None);
    }
}

#[test]
fn a_later_version_is_none() {
    let mut body = head(&note(Vec::new()), COMMIT.offset);
    body[0] += 1;
    body.extend_from_slice(&COMMIT.checksum(&body));
    assert_eq!(decode(&BASE64.encode(body), COMMIT), None);
}

fn notes() -> impl Strategy<Value = Note> {
    let item = (0..1_000_000i64, 1..1_000_000i64, 1..100u32, any::<bool>());
    let items = proptest::collection::vec(item, 0..200).prop_map(|parts| {
        let mut end = 1000;
        let item = |(gap, length, times, done)| {
            let from = end + gap;
            end = from + if done { length } else { 1 };
            if done { Item::Done(from, end) } else { Item::Begun(from, times) }
        };
        parts.into_iter().map(item).collect::<Vec<_>>()
    });
    (items, any::<bool>(), any::<i64>(), any::<u32>()).prop_map(|(items, open, time, crc)| {
        let print = Fingerprint { time, crc };
        Note { open, witness: Some(Witness { offset: 1007, print }), items }
    })
}

proptest! {
    #[test]
    fn what_is_read_is_what_was_written(note in notes(), room in 0..5000usize) {
        let text = encode(&note, COMMIT, room);
        prop_assert!(text.len() <= room);
        match decode(&text, COMMIT) {
            Some(read) => {
                prop_assert_eq!((read.open, read.witness), (note.open, note.witness));
                prop_assert!(note.items.starts_with(&read.items));
            }
            None => prop_assert!(text.is_empty()),
        }
        prop_assert_eq!(decode(&encode(&note, COMMIT, 1 << 20), COMMIT), Some(note));
    }

    #[test]
    fn a_text_that_was_changed_is_none(note in notes(), at in any::<prop::sample::Index>(), to in any::<u8>()) {
        let mut bytes = encode(&note, COMMIT, 4000).into_bytes();
        let at = at.index(bytes.len());
        prop_assume!(bytes[at] != to);
        bytes[at] = to;
        prop_assert_eq!(String::from_utf8(bytes).ok().and_then(|text| decode(&text, COMMIT)), None);
    }

    /// Past the checksum too, for it can be made to fit.
    #[test]
    fn nothing_that_can_be_written_breaks_the_reader(mut body in proptest::collection::vec(any::<u8>(), 0..200), framed in any::<bool>()) {
        if framed {
            body.splice(..0, [VERSION, OPEN | WITNESS]);
        }
        body.extend_from_slice(&COMMIT.checksum(&body));
        let Some(note) = decode(&BASE64.encode(body), COMMIT) else { return Ok(()) };
        let mut end = COMMIT.offset;
        for item in note.items {
            let (from, to) = match item { Item::Done(from, to) => (from, to), Item::Begun(at, _) => (at, at + 1) };
            prop_assert!(end <= from && from < to);
            end = to;
        }
    }
}
