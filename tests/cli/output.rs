//! What goes where: answers to standard output, logs to standard error, and a pipe that closes early is no failure.

use std::io::pipe;

use crate::stage::{Ran, Stage};

#[test]
fn a_pipe_that_nobody_reads_ends_it_quietly() {
    let stage = Stage::with_playbooks(&[("p", "{match: {rules: '*'}, actions: [delete]}")]);
    for arguments in [
        &["completions", "fish"][..],
        &["completions", "bash"],
        &["schema", "playbook"],
        &["schema", "config"],
        &["check"],
        &["--help"],
    ] {
        let (reader, writer) = pipe().unwrap();
        drop(reader);
        let ran = Ran::from(stage.command(arguments).stdout(writer).output().unwrap());
        assert_eq!((ran.code, ran.err.as_str()), (Some(0), ""), "{arguments:?}");
    }
}

#[test]
fn completions_and_schemas_are_whole() {
    let stage = Stage::empty();
    let completions = stage.run(&["completions", "fish"]);
    assert!(completions.out.contains("explain") && completions.code == Some(0), "{completions:?}");
    for of in ["playbook", "config"] {
        let schema = stage.run(&["schema", of]);
        let schema: serde_json::Value = serde_json::from_str(&schema.out).unwrap();
        assert!(schema["properties"].is_object(), "{schema}");
    }
}

#[test]
fn a_log_level_that_does_not_exist_is_told_on_standard_error() {
    let stage = Stage::empty();
    let warned = |level| {
        let ran = Ran::from(stage.command(&["check"]).env("STOOP_LOG", level).output().unwrap());
        assert_eq!(ran.code, Some(0), "{ran:?}");
        ran.err
    };
    let told = warned("debgu");
    assert!(told.contains("`debgu` is no level") && told.lines().count() == 1, "{told}");
    assert_eq!(warned("warn"), "");
}
