//! `stoop audit verify`, on a log that a worker could have written.

use std::{fs, io::ErrorKind, path::Path, process::Command};

use serde_json::json;
use stoop::audit::Audit;

async fn log(path: &Path, lines: u32) {
    let audit = loop {
        match Audit::file(path, 1 << 20) {
            // The writer before it may not have seen yet that it is over.
            Err(error) if error.kind() == ErrorKind::ResourceBusy => std::thread::yield_now(),
            opened => break opened.expect("a log"),
        }
    };
    for n in 0..lines {
        audit.write(&json!({"playbook": "shell", "n": n})).await.expect("written");
    }
}

fn verify(arguments: &[&str]) -> (Option<i32>, String) {
    let mut command = Command::new(env!("CARGO_BIN_EXE_stoop"));
    let ran = command.args(["audit", "verify"]).args(arguments).output().expect("it starts");
    let said = [ran.stdout, ran.stderr].concat();
    (ran.status.code(), String::from_utf8(said).expect("text"))
}

#[tokio::test]
async fn a_log_is_whole_until_a_line_of_it_is_changed_and_then_that_line_is_named() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("audit.log");
    log(&path, 5).await;
    let file = path.to_str().unwrap();
    let (code, whole) = verify(&[file]);
    assert_eq!(
        (code, whole.lines().next()),
        (Some(0), Some("whole: 5 lines, 1 to 5 of the chain"))
    );
    let head = whole.lines().find_map(|line| line.strip_prefix("head: ")).unwrap();

    let text = fs::read_to_string(&path).unwrap();
    let shorter: String = text.split_inclusive('\n').take(4).collect();
    fs::write(&path, &shorter).unwrap();
    assert_eq!(verify(&[file]).0, Some(0), "what is missing at the end leaves no trace");
    let (code, cut) = verify(&["--head", head, file]);
    assert!(code == Some(1) && cut.contains("no line has the hash"), "{cut}");

    fs::write(&path, text.replace("\"n\":2", "\"n\":7")).unwrap();
    let (code, changed) = verify(&[file]);
    assert!(code == Some(1) && changed.starts_with(&format!("{file}:3: changed")), "{changed}");

    assert_eq!(verify(&[&format!("{file}.not-there")]).0, Some(2));
    assert_eq!(verify(&["--head", "abc", file]).0, Some(2));
}

#[tokio::test]
async fn files_are_put_in_order_whatever_a_tool_has_called_them() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("audit.log");
    let name = |suffix: &str| format!("{}{suffix}", path.display());
    // As logrotate does: the newest of those set aside is .1.
    for _ in 0..3 {
        log(&path, 2).await;
        for (from, to) in [(".2", ".3"), (".1", ".2"), ("", ".1")] {
            let _ = fs::rename(name(from), name(to));
        }
    }
    log(&path, 1).await;
    let [first, second, third] = [".1", ".2", ".3"].map(name);
    let (code, said) = verify(&[&first, &second, &third, &name("")]);
    assert_eq!((code, said.lines().next()), (Some(0), Some("whole: 7 lines, 1 to 7 of the chain")));
    // What comes through a pipe is read once, and stays where it was named.
    let piped = format!("cat {third} | {} audit verify /dev/stdin", env!("CARGO_BIN_EXE_stoop"));
    let ran = Command::new("sh").args(["-c", &piped]).output().expect("it starts");
    assert!(ran.status.success(), "{ran:?}");
}
