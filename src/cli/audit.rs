//! `stoop audit`: whether the audit log is what workers wrote.

use std::{
    fs::File,
    io::{BufRead, BufReader},
    path::{Path, PathBuf},
    process::ExitCode,
    sync::Arc,
};

use clap::{Args, Subcommand};

use super::{Ended, Refused, output::say, safe};
use crate::audit::{
    chain::{self, Hash},
    verify::{Place, Verdict, Verifier},
};

/// How many faults are shown; each of them is enough.
const SHOWN: usize = 20;

/// Verify the audit log.
#[derive(Debug, Args)]
#[command(after_help = "\
Example:
  stoop audit verify audit.log.* audit.log")]
pub struct Audit {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Find out whether lines were changed, taken out, put in or moved
    #[command(after_help = "\
Each line of `audit.file` has a number, the hash of the line before it, and its own. Exits with 0 where
they are whole, with 1 where they are not, and with 2 where they can't be read.

Lines that are missing at the end can't be seen from those that are left, and who can write the file can
make a whole new chain. Both are found out with a hash that was kept elsewhere: what this prints as head,
and what workers log when they start and when they set a file aside.

Examples:
  stoop audit verify audit.log
  stoop audit verify audit.log.* audit.log     with those set aside, named in any order
  stoop audit verify --head 4f1c… audit.log    the line with this hash has to be there
  stoop audit verify --after 9b02… audit.log   what came before is kept elsewhere")]
    Verify(Verify),
}

#[derive(Debug, Args)]
struct Verify {
    /// A hash that a line of the log once had: everything up to it has to be there
    #[arg(long, value_name = "HASH")]
    head: Option<Hash>,

    /// The hash of the line before the first of these
    #[arg(long, value_name = "HASH")]
    after: Option<Hash>,

    /// The files of one log
    #[arg(required = true)]
    files: Vec<PathBuf>,
}

impl Audit {
    pub(super) fn run(self) -> Ended {
        let Command::Verify(verify) = self.command;
        let mut verifier = Verifier::new(verify.after, verify.head);
        for file in in_order(verify.files)? {
            read(&file, &mut verifier).map_err(|error| unreadable(&file, &error))?;
        }
        let verdict = verifier.end();
        say(tell(&verdict))?;
        Ok(if verdict.is_whole() { ExitCode::SUCCESS } else { ExitCode::from(1) })
    }
}

fn unreadable(path: &Path, error: &std::io::Error) -> Refused {
    Refused(format!("{} can't be read: {error}", path.display()))
}

/// By the number of the first line in each that is a link, for tools count up or down, or name the day. One that has none
/// stays where it was named, after the one before it. So do all, where one is a pipe: that can't be read twice.
fn in_order(files: Vec<PathBuf>) -> Result<Vec<PathBuf>, Refused> {
    if !files.iter().all(|file| file.is_file()) {
        return Ok(files);
    }
    let mut numbered = Vec::new();
    let mut before = 0;
    for file in files {
        before = first(&file).map_err(|error| unreadable(&file, &error))?.unwrap_or(before);
        numbered.push((before, file));
    }
    numbered.sort_by_key(|(first, _)| *first);
    Ok(numbered.into_iter().map(|(_, file)| file).collect())
}

fn first(path: &Path) -> std::io::Result<Option<u64>> {
    let mut lines = BufReader::new(File::open(path)?);
    let mut text = Vec::new();
    while lines.read_until(b'\n', &mut text)? > 0 {
        if let Some(link) = chain::read(text.strip_suffix(b"\n").unwrap_or(&text)) {
            return Ok(Some(link.tip.seq));
        }
        text.clear();
    }
    Ok(None)
}

fn read(path: &Path, verifier: &mut Verifier) -> std::io::Result<()> {
    let name: Arc<str> = safe(&path.display().to_string()).into();
    let mut lines = BufReader::with_capacity(1 << 20, File::open(path)?);
    let (mut text, mut line) = (Vec::new(), 0);
    while lines.read_until(b'\n', &mut text)? > 0 {
        line += 1;
        verifier.line(Place { file: name.clone(), line }, &text);
        text.clear();
    }
    Ok(())
}

fn tell(verdict: &Verdict) -> String {
    let Verdict { lines, first, head, torn, faults } = verdict;
    let mut told: Vec<_> =
        faults.iter().take(SHOWN).map(|(place, fault)| format!("{place}: {fault}")).collect();
    if let Some(more) = faults.len().checked_sub(SHOWN).filter(|more| *more > 0) {
        told.push(format!("and {more} more"));
    }
    let count = match lines {
        1 => "1 line".to_owned(),
        lines => format!("{lines} lines"),
    };
    let word = if verdict.is_whole() { "whole" } else { "not whole" };
    told.push(match first {
        Some(first) => format!("{word}: {count}, {first} to {} of the chain", head.seq),
        None => format!("{word}: {count}"),
    });
    if *torn > 0 {
        told.push(format!(
            "unfinished: {torn}, where a worker died while it wrote; the line after each says so"
        ));
    }
    if first.is_some() {
        told.push(format!("head: {}", head.hash));
    }
    told.join("\n")
}
