//! `stoop audit verify`, on a log that a worker could have written.

use std::{fs, path::Path, process::Command};

use serde_json::json;
use stoop::audit::Audit;

async fn log(path: &Path, lines: u32) {
    let audit = Audit::file(path, 1 << 20).expect("a log");
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
