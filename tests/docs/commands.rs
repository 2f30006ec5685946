//! Every command of the book: run where that takes no server, else read by the real command line.

use std::{collections::BTreeSet, fs};

use clap::Parser;
use stoop::cli::Cli;

use crate::{
    page::root,
    shell::{Call, calls},
    stage::Stage,
    worker,
};

/// What is not run here, but read by clap alone, and where it is run.
const READ_ALONE: [(&str, &str); 10] = [
    ("stoop audit", "wants a log that a worker wrote; tests/cli runs it"),
    ("stoop health", "asks a running worker; tests/cli runs it"),
    ("stoop run", "a worker; tests/worker, tests/end_to_end and tests/letters run them"),
    ("stoop setup", "creates on real brokers; tests/end_to_end runs it"),
    ("stoop event", "asks for a live pod; tests/end_to_end runs it"),
    ("stoop responses", "asks a cluster; tests/worker and tests/end_to_end run it"),
    ("stoop check --cluster", "asks a cluster; tests/kubernetes_api and tests/end_to_end run it"),
    ("stoop check -c stoop.yaml --cluster", "the same"),
    ("stoop explain - --cluster", "the same"),
    ("stoop explain -", "reads what the command before it says; tests/cli/explain.rs runs it"),
];

/// Programs of others: nothing here can read their command lines.
const OTHERS: [(&str, &str); 17] = [
    ("kubectl", "a cluster's"),
    ("helm", "tests/deploy lints and renders the chart with it"),
    (
        "docker",
        "no engine in the tests; docker-compose.yml is read by compose's own library in tests/deploy",
    ),
    ("cosign", "wants a published image"),
    ("falcosidekick", "tests/end_to_end posts what it posts"),
    ("kafka-consumer-groups.sh", "Kafka's own"),
    ("kafka-console-producer.sh", "Kafka's own"),
    ("curl", "HTTP; tests/letters posts to the intake"),
    ("make", "its targets are looked up below"),
    ("cargo", "its programs are looked up below"),
    ("source", "the shell's"),
    ("kill", "the shell's"),
    ("cat", "the shell's"),
    ("tail", "the shell's"),
    ("grep", "the shell's"),
    ("for", "the shell's"),
    ("done", "the shell's"),
];

/// The command line as clap takes it; what a shell would fill in is filled in.
pub(crate) fn filled(call: &Call) -> Vec<String> {
    let fill = |word: &String| match word.starts_with('$') {
        true => "filled-in".to_owned(),
        false => word.replace("...", "0000"),
    };
    call.words.iter().map(fill).collect()
}

fn of_stoop() -> Vec<Call> {
    calls().into_iter().filter(|call| call.program() == "stoop").collect()
}

fn is_not_run_here(call: &Call) -> bool {
    let asks_a_cluster = call.words.iter().any(|word| word == "--cluster" || word == "--probe");
    let asks_a_worker = worker::ASKED.iter().any(|words| call.begins(words));
    asks_a_cluster || asks_a_worker || READ_ALONE.iter().any(|(words, _)| call.begins(words))
}

#[test]
fn every_command_of_stoop_is_one_that_the_command_line_takes() {
    let calls = of_stoop();
    assert!(calls.len() > 30, "{}", calls.len());
    for call in calls {
        let read = Cli::try_parse_from(filled(&call));
        assert!(
            read.is_ok(),
            "{}: {}",
            call.place,
            read.err().map(|it| it.to_string()).unwrap_or_default()
        );
    }
}

/// A folder in which everything is there that the book's commands name.
fn stage() -> Stage {
    let stage = Stage::empty()
        .file("stoop.yaml", "playbooks: [./playbooks]\n")
        .file("rules.yaml", include_str!("../cli/talon/rules.yaml"))
        .file("rules_override.yaml", include_str!("../cli/talon/override.yaml"))
        .file("event.json", EVENT)
        .file("events.jsonl", EVENT);
    fs::create_dir(stage.path().join("playbooks")).expect("a folder");
    stage.file(
        "playbooks/shell.yaml",
        "apiVersion: stoop.dev/v1alpha1\nkind: Playbook\nmetadata: {name: shell-in-container}\n\
         spec: {match: {rules: [Terminal shell in container]}, actions: [delete]}\n",
    )
}

const EVENT: &str = r#"{"rule": "Terminal shell in container", "priority": "Notice", "source": "syscall", "output": "o", "time": "2026-11-21T05:24:10Z", "output_fields": {"k8s.ns.name": "shop", "k8s.pod.name": "web-0"}}
"#;

#[test]
fn every_command_that_takes_no_server_is_run_and_can_be_tried() {
    let mut ran = 0;
    for call in of_stoop().into_iter().filter(|call| !is_not_run_here(call)) {
        let stage = stage();
        let words = filled(&call);
        let arguments: Vec<_> = words.iter().skip(1).map(String::as_str).collect();
        let done = stage.run(&arguments);
        // 1 is an answer too: of an import that can't carry over everything.
        assert!(matches!(done.code, Some(0 | 1)), "{}: {words:?}: {done:?}", call.place);
        ran += 1;
    }
    assert!(ran >= 6, "{ran} were run");
}

#[test]
fn whatever_is_not_run_is_on_the_list_with_its_reason_and_the_list_has_no_more() {
    let calls = calls();
    let strange: BTreeSet<_> = calls
        .iter()
        .filter(|call| {
            let program = call.program();
            let assigns = program
                .split_once('=')
                .is_some_and(|(name, _)| name.chars().all(|c| c.is_ascii_lowercase()));
            program != "stoop" && !assigns && !OTHERS.iter().any(|(name, _)| *name == program)
        })
        .map(|call| format!("{}: {}", call.place, call.words.join(" ")))
        .collect();
    assert!(strange.is_empty(), "{strange:#?}");
    let unused: Vec<_> = READ_ALONE
        .iter()
        .filter(|(words, _)| !calls.iter().any(|call| call.begins(words)))
        .collect();
    assert!(unused.is_empty(), "{unused:?}");
    let unused: Vec<_> = OTHERS
        .iter()
        .filter(|(name, _)| !calls.iter().any(|call| call.program() == *name))
        .collect();
    assert!(unused.is_empty(), "{unused:?}");
}

#[test]
fn every_target_of_make_and_every_program_of_cargo_is_there() {
    let makefile = fs::read_to_string(root().join("Makefile")).expect("a Makefile");
    for call in calls() {
        match call.program() {
            "make" => {
                let targets = call.words.iter().skip(1).filter(|word| !word.contains('='));
                for target in targets {
                    assert!(makefile.contains(&format!("\n{target}:")), "{}: {target}", call.place);
                }
            }
            "cargo" => {
                let ours = call.words.iter().skip_while(|word| *word != "--").skip(1);
                let words: Vec<_> =
                    std::iter::once("stoop".to_owned()).chain(ours.cloned()).collect();
                let is_stoop = !call.words.iter().any(|word| word == "testbed") && words.len() > 1;
                assert!(
                    !is_stoop || Cli::try_parse_from(&words).is_ok(),
                    "{}: {words:?}",
                    call.place
                );
            }
            _ => {}
        }
    }
}
