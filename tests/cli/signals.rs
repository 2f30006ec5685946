//! Commands that are told to end while they wait for others.

use std::{
    io::Write,
    net::TcpListener,
    process::{Child, Command, Stdio},
    thread,
    time::{Duration, Instant},
};

use crate::stage::{Ran, Stage};

/// SIGTERM, once it is listened for.
fn terminate(child: &Child) {
    let status = format!("/proc/{}/status", child.id());
    let begun = Instant::now();
    loop {
        let status = std::fs::read_to_string(&status).expect("it runs");
        let caught = status.lines().find_map(|line| line.strip_prefix("SigCgt:")).expect("a mask");
        if u64::from_str_radix(caught.trim(), 16).expect("hex") & (1 << (15 - 1)) != 0 {
            break;
        }
        assert!(begun.elapsed() < Duration::from_secs(60), "it does not listen for SIGTERM");
        thread::sleep(Duration::from_millis(10));
    }
    let sent = Command::new("kill").args(["-TERM", &child.id().to_string()]).status();
    assert!(sent.expect("kill").success());
}

#[test]
fn a_rehearsal_reports_what_it_has_read_and_that_it_was_interrupted() {
    let stage = Stage::with_playbooks(&[("p", "{match: {rules: R}, actions: [delete]}")]);
    let arguments = ["replay", "--file", "-", "--dry-run", "--output", "json"];
    let mut child = stage.command(&arguments).stdin(Stdio::piped()).spawn().expect("it starts");
    let mut input = child.stdin.take().expect("piped");
    input.write_all(b"{}\n").expect("it reads");
    terminate(&child);
    let ran: Ran = child.wait_with_output().expect("it ends").into();
    drop(input);
    assert_eq!(ran.code, Some(1), "{ran:?}");
    assert!(ran.out.contains("(interrupted)"), "{ran:?}");
    assert!(ran.err.contains("signal again to leave at once"), "{ran:?}");
}

#[test]
fn a_setup_that_was_interrupted_says_for_whom_and_that_it_can_be_repeated() {
    // Takes connections and never says a word.
    let silent = TcpListener::bind("127.0.0.1:0").expect("a port");
    let address = silent.local_addr().expect("an address");
    let kafka = |name: &str| {
        format!(
            "{name}: {{kafka: {{brokers: [\"{address}\"], topic: t, group: g, deadLetters: d}}}}"
        )
    };
    let config = format!("subscriptions: {{{}, {}}}\n", kafka("first"), kafka("second"));
    let stage = Stage::empty().file("stoop.yaml", &config);
    let child = stage.command(&["setup"]).spawn().expect("it starts");
    terminate(&child);
    let ran: Ran = child.wait_with_output().expect("it ends").into();
    assert_eq!((ran.code, ran.out.as_str()), (Some(2), ""), "{ran:?}");
    assert!(ran.err.contains("first: interrupted") && ran.err.contains("repeat it"), "{ran:?}");
    assert!(!ran.err.contains("second:"), "{ran:?}");
}
