//! Dead letters on their way out, and what the file keeps of it.

use bytes::Bytes;
use jiff::Timestamp;

use super::{
    super::{
        batch::Redriven,
        load::Load,
        record::{Event, Record, Sequence},
        store::{RedriveOutcome, Store, Transaction},
    },
    letter,
};
use crate::dead_letter::DeadLetter;

const NO_END: Load = Load { messages: u64::MAX, bytes: u64::MAX };
const FIRST: Sequence = Sequence::new(1);

/// A store in a folder, with one event that was given up for these.
fn buried(folder: &tempfile::TempDir, failed: &[&str]) -> Store {
    let (mut store, _) = Store::open(folder.path()).unwrap();
    let (received, payload) = (Timestamp::UNIX_EPOCH, Bytes::from_static(b"body"));
    let traceparent = Some("00-1".to_owned());
    let event = Event { received, traceparent, content_type: None, payload };
    let letter =
        DeadLetter { failed: failed.iter().map(ToString::to_string).collect(), ..letter() };
    let mut tx = store.begin().unwrap();
    tx.append(&[Record::new(FIRST, event)]).unwrap();
    tx.bury(FIRST, 1, &serde_json::to_vec(&letter).unwrap(), NO_END).unwrap();
    tx.commit(FIRST).unwrap();
    store
}

fn headers(handlers: &str) -> Vec<(String, String)> {
    vec![("stoop-failed".to_owned(), handlers.to_owned())]
}

fn redrive(tx: &mut Transaction<'_>, handlers: &[&str], to: u64, room: Load) -> RedriveOutcome {
    let new = Redriven { at: Timestamp::MAX, headers: headers(&handlers.join(",")) };
    let handlers: Vec<_> = handlers.iter().map(ToString::to_string).collect();
    tx.redrive(FIRST, &handlers, &new, Sequence::new(to), room).unwrap()
}

fn dead(store: &Store) -> Vec<Vec<String>> {
    let found = store.dead_letters(Sequence::default(), 10).unwrap();
    found.into_iter().map(|(_, letter)| letter.failed).collect()
}

#[test]
fn what_a_redrive_says_is_there_after_a_restart_until_the_event_is_settled() {
    let folder = tempfile::tempdir().unwrap();
    let mut store = buried(&folder, &["a"]);
    let mut tx = store.begin().unwrap();
    assert!(matches!(redrive(&mut tx, &[], 2, NO_END), RedriveOutcome::Redriven(_)));
    assert!(matches!(redrive(&mut tx, &[], 3, NO_END), RedriveOutcome::NotThere));
    tx.commit(FIRST).unwrap();
    drop(store);

    let (mut store, recovered) = Store::open(folder.path()).unwrap();
    assert_eq!((recovered.last, dead(&store).len()), (Sequence::new(2), 0));
    assert_eq!((store.totals().redriven, store.totals().dead), (1, Load::default()));
    let mut tx = store.begin().unwrap();
    let read = tx.read(FIRST, 10, usize::MAX).unwrap();
    assert_eq!(read[0].redriven, headers(""));
    assert_eq!(read[0].event.traceparent.as_deref(), Some("00-1"));
    let again = tx.lend_again(&[Sequence::new(2)]).unwrap();
    assert_eq!((&again[0].0.redriven, again[0].1), (&headers(""), 2));
    assert_eq!(tx.remove([(Sequence::new(2), 2)]).unwrap(), [true]);
    tx.commit(Sequence::new(2)).unwrap();
    drop(store);
    let (store, _) = Store::open(folder.path()).unwrap();
    assert_eq!(store.totals().redriven, 0, "nothing is left of it");
}

#[test]
fn redriven_for_some_it_stays_for_the_others() {
    let folder = tempfile::tempdir().unwrap();
    let mut store = buried(&folder, &["a", "b", "c"]);
    let mut tx = store.begin().unwrap();
    assert!(matches!(redrive(&mut tx, &["b"], 2, NO_END), RedriveOutcome::Redriven(_)));
    assert!(matches!(redrive(&mut tx, &["b"], 3, NO_END), RedriveOutcome::NotThere));
    tx.commit(FIRST).unwrap();
    drop(store);
    let (mut store, _) = Store::open(folder.path()).unwrap();
    assert_eq!(dead(&store), [["a", "c"]]);
    assert_eq!(store.totals().dead.messages, 1);
    let mut tx = store.begin().unwrap();
    assert!(matches!(redrive(&mut tx, &["a", "c"], 3, NO_END), RedriveOutcome::Redriven(_)));
    tx.commit(FIRST).unwrap();
    assert!(dead(&store).is_empty());
    assert_eq!((store.totals().events.messages, store.totals().dead.bytes), (2, 0));
}

#[test]
fn a_full_journal_takes_none_back_and_keeps_the_letter() {
    let folder = tempfile::tempdir().unwrap();
    let mut store = buried(&folder, &["a"]);
    let mut tx = store.begin().unwrap();
    for room in [Load { messages: 0, ..NO_END }, Load { bytes: 3, ..NO_END }] {
        assert!(matches!(redrive(&mut tx, &[], 2, room), RedriveOutcome::NoRoom));
    }
    tx.commit(FIRST).unwrap();
    assert_eq!((dead(&store).len(), store.totals().events.messages), (1, 0));
}

#[test]
fn buried_again_it_leaves_nothing_of_the_first_time() {
    let folder = tempfile::tempdir().unwrap();
    let mut store = buried(&folder, &["a"]);
    let mut tx = store.begin().unwrap();
    redrive(&mut tx, &[], 2, NO_END);
    let letter = serde_json::to_vec(&letter()).unwrap();
    tx.bury(Sequence::new(2), 1, &letter, NO_END).unwrap();
    tx.commit(Sequence::new(2)).unwrap();
    assert_eq!((store.totals().redriven, store.totals().dead.messages), (0, 1));
}

/// What a journal's file was before anything could be redriven.
#[test]
fn a_file_without_the_table_of_redriven_events_is_read_as_it_stands() {
    use redb::{Database, TableDefinition};

    type Stored = (i64, Option<&'static str>, Option<&'static str>, &'static [u8]);
    type Dead = (i64, Option<&'static str>, Option<&'static str>, &'static [u8], &'static [u8]);
    let folder = tempfile::tempdir().unwrap();
    let old = Database::create(folder.path().join("journal.redb")).unwrap();
    let tx = old.begin_write().unwrap();
    {
        let mut events = tx.open_table(TableDefinition::<u64, Stored>::new("events")).unwrap();
        events.insert(5, (0, None, Some("00-1"), &b"event"[..])).unwrap();
        let mut dead = tx.open_table(TableDefinition::<u64, Dead>::new("dead letters")).unwrap();
        let letter = serde_json::to_vec(&letter()).unwrap();
        dead.insert(1, (0, None, None, &b"body"[..], letter.as_slice())).unwrap();
    }
    tx.commit().unwrap();
    drop(old);

    let (mut store, _) = Store::open(folder.path()).unwrap();
    assert_eq!((dead(&store).len(), store.totals().redriven), (1, 0));
    let mut tx = store.begin().unwrap();
    assert_eq!(tx.read(Sequence::default(), 10, usize::MAX).unwrap()[0].event.payload, "event");
    assert!(matches!(redrive(&mut tx, &[], 6, NO_END), RedriveOutcome::Redriven(_)));
    tx.commit(FIRST).unwrap();
    assert_eq!(store.events(Sequence::default(), 10).unwrap().len(), 2);
}
