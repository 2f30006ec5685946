//! Runs the tools that fetch and build servers (`mvn`, `go`, `java`) to their end.

use std::{io, process::Command, process::Stdio};

use crate::error::Error;

/// A tool from outside, and what to tell someone who hasn't got it.
pub(crate) struct Tool {
    pub(crate) command: &'static str,
    pub(crate) wanted_for: &'static str,
    pub(crate) install: &'static str,
}

impl Tool {
    /// A command line to add arguments to.
    pub(crate) fn command(&self) -> Command {
        Command::new(self.command)
    }

    /// Runs `command` to its end; `what` names it in errors. Blocks.
    pub(crate) fn run(&self, what: &str, command: &mut Command) -> Result<(), Error> {
        self.output(what, command).map(drop)
    }

    /// Like [`Self::run`]: what it prints.
    pub(crate) fn output(&self, what: &str, command: &mut Command) -> Result<Vec<u8>, Error> {
        let output = command.stdin(Stdio::null()).output().map_err(|error| match error.kind() {
            io::ErrorKind::NotFound => Error::MissingTool {
                tool: self.command,
                wanted_for: self.wanted_for,
                install: self.install,
            },
            _ => Error::io(format!("can't run {}", self.command))(error),
        })?;
        if output.status.success() {
            return Ok(output.stdout);
        }
        let text = [output.stdout, output.stderr].concat();
        Err(Error::Tool {
            what: what.to_owned(),
            status: output.status,
            output: last_lines(&String::from_utf8_lossy(&text)),
        })
    }
}

/// The end of a log: as much as helps and still fits a screen.
pub(crate) fn last_lines(text: &str) -> String {
    let lines: Vec<&str> = text.lines().collect();
    lines[lines.len().saturating_sub(25)..].join("\n")
}
