//! The file itself: who may read it, how it shrinks, what is said when it can't be had.

use std::{fs, os::unix::fs::PermissionsExt};

use bytes::Bytes;
use jiff::Timestamp;

use super::super::{
    record::{Event, Record, Sequence},
    store::Store,
};

fn record(number: u64, size: usize) -> Record {
    let (received, payload) = (Timestamp::UNIX_EPOCH, Bytes::from(vec![b'x'; size]));
    let event = Event { received, traceparent: None, content_type: None, payload };
    Record::new(Sequence::new(number), event)
}

#[test]
fn nobody_else_can_read_it() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("new").join("journal");
    let _open = Store::open(&path).unwrap();
    let mode = |path| fs::metadata(path).unwrap().permissions().mode() & 0o777;
    assert_eq!(mode(path.clone()), 0o700);
    assert_eq!(mode(path.join("journal.redb")), 0o600);
}

#[test]
fn a_path_that_can_not_be_is_named() {
    let file = tempfile::NamedTempFile::new().unwrap();
    let Err(error) = Store::open(file.path()) else { panic!("a file is no folder") };
    assert!(error.is_configuration());
    assert!(error.to_string().contains(file.path().to_str().unwrap()), "{error}");
}

#[test]
fn a_file_that_ran_empty_gives_its_space_back() {
    let folder = tempfile::tempdir().unwrap();
    let (mut store, _) = Store::open(folder.path()).unwrap();
    let length = || fs::metadata(folder.path().join("journal.redb")).unwrap().len();
    for block in 0..5 {
        let mut tx = store.begin().unwrap();
        let records: Vec<_> = (1..=8).map(|n| record(block * 8 + n, 1 << 20)).collect();
        tx.append(&records).unwrap();
        tx.commit(Sequence::default()).unwrap();
    }
    let mut tx = store.begin().unwrap();
    tx.remove((2..=40).map(|n| (Sequence::new(n), 1))).unwrap();
    tx.commit(Sequence::new(40)).unwrap();
    let before = length();
    store.compact_if_it_pays();
    assert!(length() < before / 8, "{} of {before}", length());
    let tx = store.begin().unwrap();
    let left = tx.read(Sequence::default(), 10, usize::MAX).unwrap();
    assert_eq!(left.iter().map(|r| r.sequence.get()).collect::<Vec<_>>(), [1]);
    assert_eq!(left[0].event.payload.len(), 1 << 20);
}
