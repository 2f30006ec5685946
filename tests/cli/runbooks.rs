//! The pages that alerts lead to: whoever is woken by one copies its commands as they stand.

use std::{fs, path::Path};

use clap::Parser as _;
use stoop::cli::Cli;

#[test]
fn every_command_of_a_runbook_is_one() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/runbooks");
    let mut seen = 0;
    for entry in fs::read_dir(folder).unwrap() {
        let page = fs::read_to_string(entry.unwrap().path()).unwrap();
        for line in page.lines().filter(|line| line.starts_with("$ stoop ")) {
            let command = line.split(" # ").next().unwrap_or(line);
            let words = command.trim_start_matches("$ ").split_whitespace();
            let read = Cli::try_parse_from(words).map(drop);
            assert!(read.is_ok(), "{line}: {}", read.unwrap_err());
            seen += 1;
        }
    }
    assert!(seen > 10, "{seen}");
}
