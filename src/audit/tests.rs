use std::{fs, io::Write as _, path::PathBuf, sync::Arc};

use proptest::prelude::*;
use serde_json::{Value, json};
use tempfile::TempDir;

use super::{
    Audit,
    chain::{self, Hash, Tip},
    file::Log,
    verify::{Fault, Place, Verdict, Verifier},
};

const LONG: u64 = 1 << 20;

/// A log of its own in a folder of its own.
struct Shelf {
    folder: TempDir,
}

impl Shelf {
    fn new() -> Self {
        Self { folder: tempfile::tempdir().unwrap() }
    }

    fn path(&self) -> PathBuf {
        self.folder.path().join("audit.log")
    }

    fn open(&self) -> Log {
        Log::open(&self.path(), LONG).unwrap()
    }

    /// All of its files in order, those set aside first.
    fn verify(&self) -> Verdict {
        let entries = fs::read_dir(self.folder.path()).unwrap();
        let mut files: Vec<_> = entries.map(|entry| entry.unwrap().path()).collect();
        files.retain(|file| file.extension().is_some_and(|it| it != "lock"));
        files.sort_by_key(|file| (*file == self.path(), file.clone()));
        let mut verifier = Verifier::new(None, None);
        for file in files {
            read(&mut verifier, &fs::read(file).unwrap());
        }
        verifier.end()
    }
}

fn append(shelf: &Shelf, bytes: &[u8]) {
    let mut file = fs::OpenOptions::new().append(true).open(shelf.path()).unwrap();
    file.write_all(bytes).unwrap();
}

fn read(verifier: &mut Verifier, text: &[u8]) {
    let file: Arc<str> = "audit.log".into();
    for (position, line) in text.split_inclusive(|byte| *byte == b'\n').enumerate() {
        verifier.line(Place { file: file.clone(), line: position as u64 + 1 }, line);
    }
}

fn verify(text: &[u8]) -> Verdict {
    let mut verifier = Verifier::new(None, None);
    read(&mut verifier, text);
    verifier.end()
}

fn record(n: usize) -> Vec<u8> {
    serde_json::to_vec(&json!({"time": n, "rule": "a \"quoted\"\nrule", "hash": "none"})).unwrap()
}

/// The lines of a chain.
fn chained(count: usize) -> Vec<Vec<u8>> {
    let mut tip = Tip::START;
    let link = |n| {
        let mut text = Vec::new();
        tip = tip.link(&record(n), &mut text);
        text
    };
    (0..count).map(link).collect()
}

fn faults(verdict: &Verdict) -> Vec<&Fault> {
    verdict.faults.iter().map(|(_, fault)| fault).collect()
}

#[test]
fn a_line_is_json_with_what_it_said_its_number_and_the_hashes() {
    let lines = chained(2);
    let [first, second] = [0, 1].map(|n| serde_json::from_slice::<Value>(&lines[n]).unwrap());
    assert_eq!((first["seq"].as_u64(), second["seq"].as_u64()), (Some(1), Some(2)));
    assert_eq!(
        second["prev"].as_str(),
        chain::read(lines[0].trim_ascii_end()).map(|it| it.tip.hash.to_string()).as_deref()
    );
    assert_eq!(first["rule"], "a \"quoted\"\nrule");
}

#[test]
fn a_chain_goes_on_over_restarts() {
    let shelf = Shelf::new();
    for n in 0..3 {
        shelf.open().append(&[record(n), record(n)]).unwrap();
    }
    let verdict = shelf.verify();
    assert_eq!((verdict.lines, verdict.head.seq, faults(&verdict)), (6, 6, vec![]));
}

#[test]
fn what_a_writer_left_that_died_stays_and_the_next_line_says_so() {
    for torn in ["{\"seq\":3,\"pre", "{\"seq\":3\n", "\0\0\0\n\0\n", "{\"seq\":3}\n{\"se"] {
        let shelf = Shelf::new();
        shelf.open().append(&[record(0), record(1)]).unwrap();
        let mut text = fs::read(shelf.path()).unwrap();
        text.extend_from_slice(torn.as_bytes());
        fs::write(shelf.path(), &text).unwrap();
        shelf.open().append(&[record(2)]).unwrap();
        let now = fs::read(shelf.path()).unwrap();
        assert!(now.starts_with(&text), "{torn:?}");
        let verdict = shelf.verify();
        assert_eq!((verdict.torn, verdict.head.seq, faults(&verdict)), (1, 4, vec![]), "{torn:?}");
        // And what was torn can't be taken away, or be another afterwards.
        let without = String::from_utf8_lossy(&now).replacen(torn.trim_end(), "", 1);
        assert!(!verify(without.as_bytes()).is_whole(), "{torn:?}");
    }
}

#[test]
fn what_somebody_else_writes_is_a_fault_whether_the_worker_runs_or_not() {
    let line = "{\"playbook\":\"x\"}\n";
    let like_ours = "{\"seq\":3,\"pre";
    for (is_running, foreign) in [(true, line), (true, like_ours), (false, line)] {
        let shelf = Shelf::new();
        let mut log = shelf.open();
        log.append(&[record(0), record(1)]).unwrap();
        append(&shelf, foreign.as_bytes());
        if !is_running {
            drop(log);
            log = shelf.open();
        }
        log.append(&[record(2)]).unwrap();
        let verdict = shelf.verify();
        assert_eq!((verdict.torn, verdict.head.seq), (0, 4), "{foreign}");
        assert_eq!(faults(&verdict), [&Fault::Foreign], "{foreign}");
    }
}

#[test]
fn a_link_that_somebody_else_adds_under_a_running_worker_is_not_taken_for_its_own() {
    let shelf = Shelf::new();
    let mut log = shelf.open();
    log.append(&[record(0)]).unwrap();
    let text = fs::read(shelf.path()).unwrap();
    let mut forged = Vec::new();
    let tip = chain::read(text.trim_ascii_end()).unwrap().tip;
    let _ = tip.link(&record(7), &mut forged);
    append(&shelf, &forged);
    log.append(&[record(1)]).unwrap();
    let verdict = shelf.verify();
    assert!(faults(&verdict).contains(&&Fault::FoundGone), "{verdict:?}");
}

#[test]
fn a_first_batch_that_is_torn_whole_is_no_reason_to_stand_still() {
    for left in ["\0\0\0\0", "{\"s", "{", "{\"seq\":1,\"prev\":\"00"] {
        let shelf = Shelf::new();
        drop(shelf.open());
        fs::write(shelf.path(), left).unwrap();
        shelf.open().append(&[record(0)]).unwrap();
        let verdict = shelf.verify();
        assert_eq!((verdict.torn, verdict.head.seq, faults(&verdict)), (1, 2, vec![]), "{left:?}");
        // And in the file after one that was set aside.
        let aside = shelf.folder.path().join("audit.log.000000000002");
        fs::rename(shelf.path(), aside).unwrap();
        fs::write(shelf.path(), left).unwrap();
        shelf.open().append(&[record(1)]).unwrap();
        let verdict = shelf.verify();
        assert_eq!((verdict.torn, verdict.head.seq, faults(&verdict)), (2, 4, vec![]), "{left:?}");
    }
}

#[test]
fn the_chain_goes_on_where_what_was_before_is_out_of_sight() {
    let shelf = Shelf::new();
    let mut before = Vec::new();
    // A date, another folder's, compressed: and each time the worker is started before its next line.
    for (n, name) in ["audit.log-20261121", "elsewhere", "audit.log.1.gz"].iter().enumerate() {
        shelf.open().append(&[record(n)]).unwrap();
        before.extend(fs::read(shelf.path()).unwrap());
        let aside = shelf.folder.path().join(name);
        fs::rename(shelf.path(), &aside).unwrap();
        if name.ends_with(".gz") {
            fs::write(aside, b"\x1f\x8b\x08").unwrap();
        }
        drop(shelf.open());
    }
    shelf.open().append(&[record(3)]).unwrap();
    before.extend(fs::read(shelf.path()).unwrap());
    let verdict = verify(&before);
    assert_eq!((verdict.head.seq, faults(&verdict)), (4, vec![]));
}

#[test]
fn a_note_of_the_end_that_a_power_cut_took_is_done_without() {
    let shelf = Shelf::new();
    shelf.open().append(&[record(0)]).unwrap();
    let lock = shelf.folder.path().join("audit.log.lock");
    fs::write(lock, [0; 86]).unwrap();
    shelf.open().append(&[record(1)]).unwrap();
    let verdict = shelf.verify();
    assert_eq!((verdict.head.seq, faults(&verdict)), (2, vec![]));
}

#[test]
fn a_log_that_was_cut_is_not_gone_on_with() {
    let shelf = Shelf::new();
    shelf.open().append(&[record(0)]).unwrap();
    let shorter = fs::read(shelf.path()).unwrap();
    shelf.open().append(&[record(1)]).unwrap();
    fs::write(shelf.path(), shorter).unwrap();
    let refused = Log::open(&shelf.path(), LONG).unwrap_err();
    assert!(refused.to_string().contains("something else"), "{refused}");
}

#[test]
fn a_whole_line_without_its_line_break_is_the_last_one() {
    let shelf = Shelf::new();
    shelf.open().append(&[record(0)]).unwrap();
    let text = fs::read(shelf.path()).unwrap();
    fs::write(shelf.path(), text.trim_ascii_end()).unwrap();
    shelf.open().append(&[record(1)]).unwrap();
    let verdict = shelf.verify();
    assert_eq!((verdict.lines, verdict.torn, faults(&verdict)), (2, 0, vec![]));
}

#[test]
fn a_last_line_longer_than_what_is_read_at_first_is_found() {
    let shelf = Shelf::new();
    let long = serde_json::to_vec(&json!({"rule": "x".repeat(300_000)})).unwrap();
    shelf.open().append(&[record(0), long]).unwrap();
    shelf.open().append(&[record(1)]).unwrap();
    assert_eq!(faults(&shelf.verify()), Vec::<&Fault>::new());
}

#[test]
fn the_chain_goes_on_over_files_whoever_sets_them_aside() {
    let shelf = Shelf::new();
    let mut log = Log::open(&shelf.path(), 1).unwrap();
    log.append(&[record(0)]).unwrap();
    log.append(&[record(1)]).unwrap();
    assert!(shelf.folder.path().join("audit.log.000000000001").exists());
    // As logrotate does, while it is open.
    fs::rename(shelf.path(), shelf.folder.path().join("audit.log.000000000002")).unwrap();
    log.append(&[record(2)]).unwrap();
    drop(log);
    // And while nobody has it open.
    fs::rename(shelf.path(), shelf.folder.path().join("audit.log.000000000003")).unwrap();
    shelf.open().append(&[record(3)]).unwrap();
    let verdict = shelf.verify();
    assert_eq!((verdict.lines, verdict.head.seq, faults(&verdict)), (4, 4, vec![]));
}

#[test]
fn one_writer_has_a_file_and_what_is_no_audit_log_is_left_alone() {
    let shelf = Shelf::new();
    let first = shelf.open();
    assert!(Log::open(&shelf.path(), LONG).unwrap_err().to_string().contains("another worker"));
    drop(first);
    fs::write(shelf.path(), "{\"time\":\"…\"}\n").unwrap();
    let refused = Log::open(&shelf.path(), LONG).unwrap_err();
    assert!(refused.to_string().contains("something else"), "{refused}");
    assert_eq!(fs::read(shelf.path()).unwrap(), "{\"time\":\"…\"}\n".as_bytes());
}

#[test]
fn a_log_that_could_not_be_written_goes_on_once_it_can() {
    let shelf = Shelf::new();
    let (folder, away) = (shelf.folder.path().join("logs"), shelf.folder.path().join("away"));
    fs::create_dir(&folder).unwrap();
    let mut log = Log::open(&folder.join("audit.log"), LONG).unwrap();
    log.append(&[record(0)]).unwrap();
    fs::rename(&folder, &away).unwrap();
    assert!(log.append(&[record(1)]).is_err());
    fs::rename(&away, &folder).unwrap();
    log.append(&[record(1)]).unwrap();
    let verdict = verify(&fs::read(folder.join("audit.log")).unwrap());
    assert_eq!((verdict.head.seq, faults(&verdict)), (2, vec![]));
}

#[tokio::test]
async fn lines_that_are_written_at_once_are_all_there() {
    let shelf = Shelf::new();
    let audit = Arc::new(Audit::file(&shelf.path(), LONG).unwrap());
    let lines = (0..500).map(|n| {
        let audit = audit.clone();
        tokio::spawn(async move { audit.write(&json!({"n": n})).await })
    });
    for line in lines.collect::<Vec<_>>() {
        line.await.unwrap().unwrap();
    }
    let verdict = shelf.verify();
    assert_eq!((verdict.head.seq, faults(&verdict)), (500, vec![]));
}

#[test]
fn what_was_done_to_a_log_is_named() {
    let lines = chained(4);
    let text = |order: &[usize]| order.iter().flat_map(|n| lines[*n].clone()).collect::<Vec<_>>();
    assert_eq!(faults(&verify(&text(&[0, 3]))), [&Fault::Gap(2, 3)]);
    assert_eq!(faults(&verify(&text(&[1, 2]))), [&Fault::Beginning(2)]);
    assert!(faults(&verify(&text(&[0, 2, 1, 3]))).contains(&&Fault::Reordered(2)));
    assert_eq!(faults(&verify(&text(&[0, 1, 1, 2]))), [&Fault::Reordered(2)]);
    let changed = String::from_utf8(text(&[0, 1, 2])).unwrap().replace("\"time\":1", "\"time\":9");
    assert_eq!(faults(&verify(changed.as_bytes())), [&Fault::Changed]);
    let mut cut = text(&[0, 1]);
    cut.truncate(cut.len() - 9);
    assert_eq!(faults(&verify(&cut)), [&Fault::Cut]);
    // Written anew from one line on, with hashes that are right: only the line after it tells.
    let mut other = Vec::new();
    let _ = chain::read(lines[0].trim_ascii_end()).unwrap().tip.link(&record(7), &mut other);
    let forged = [lines[0].clone(), other, lines[2].clone()].concat();
    assert!(matches!(faults(&verify(&forged))[..], [Fault::Follows(_)]));
}

#[test]
fn what_is_missing_at_the_end_is_found_with_a_hash_that_was_kept() {
    let lines = chained(3);
    let head = chain::read(lines[2].trim_ascii_end()).unwrap().tip.hash;
    let with = |text: &[u8], after: Option<Hash>| {
        let mut verifier = Verifier::new(after, Some(head));
        read(&mut verifier, text);
        verifier.end()
    };
    assert!(with(&lines.concat(), None).is_whole());
    assert!(verify(&lines[..2].concat()).is_whole());
    assert_eq!(faults(&with(&lines[..2].concat(), None)), [&Fault::HeadMissing(head)]);
    let first = chain::read(lines[0].trim_ascii_end()).unwrap().tip.hash;
    assert!(with(&lines[1..].concat(), Some(first)).is_whole());
    assert_eq!(faults(&with(&lines[1..].concat(), Some(head))), [&Fault::Beginning(2)]);
}

proptest! {
    #[test]
    fn no_line_is_changed_taken_out_doubled_or_moved_unseen(
        count in 2usize..12, at in 0usize..1000, byte in 0usize..10_000, how in 0u8..5, bits in 1u8..=255,
    ) {
        let mut lines = chained(count);
        let (at, last) = (at % count, count - 1);
        match how {
            0 => {
                let byte = byte % lines[at].len();
                lines[at][byte] ^= bits;
            }
            // The last one is found missing only with its hash.
            1 => drop(lines.remove(at % last)),
            2 => lines.insert(at, lines[at].clone()),
            3 => lines.swap(at, (at + 1) % count),
            _ => {
                let end = byte % (lines[at].len() - 1);
                lines[at].truncate(end.max(1));
            }
        }
        prop_assert!(!verify(&lines.concat()).is_whole());
    }

    #[test]
    fn no_bytes_break_the_reader(bytes: Vec<u8>, lines in prop::collection::vec(".*", 0..5)) {
        let _ = chain::read(&bytes);
        verify(&bytes);
        verify(lines.join("\n").as_bytes());
    }
}
