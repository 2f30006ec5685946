//! A folder to run the program in, with nothing around it: no cluster, no settings in the environment.

use std::{
    fs,
    io::Write,
    path::Path,
    process::{Command, Output, Stdio},
};

use tempfile::TempDir;

pub(crate) struct Stage(TempDir);

/// What became of a run.
#[derive(Debug)]
pub(crate) struct Ran {
    pub(crate) code: Option<i32>,
    pub(crate) out: String,
    pub(crate) err: String,
}

impl Stage {
    pub(crate) fn empty() -> Stage {
        Stage(tempfile::tempdir().expect("a folder"))
    }

    /// A configuration that names one file of playbooks: these, each a name and the rest of its `spec`.
    pub(crate) fn with_playbooks(playbooks: &[(&str, &str)]) -> Stage {
        let document = |(name, spec): &(&str, &str)| {
            format!(
                "apiVersion: stoop.dev/v1alpha1\nkind: Playbook\nmetadata: {{name: {name}}}\nspec: {spec}\n"
            )
        };
        let documents: Vec<_> = playbooks.iter().map(document).collect();
        Stage::empty()
            .file("stoop.yaml", "playbooks: [playbooks.yaml]\n")
            .file("playbooks.yaml", &documents.join("---\n"))
    }

    pub(crate) fn file(self, name: &str, text: &str) -> Stage {
        fs::write(self.0.path().join(name), text).expect("a file");
        self
    }

    pub(crate) fn path(&self) -> &Path {
        self.0.path()
    }

    pub(crate) fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_stoop"));
        command.args(arguments).current_dir(self.0.path());
        // A home without a kubeconfig, and no service account's address.
        command.env_clear().env("HOME", self.0.path());
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
        command
    }

    pub(crate) fn run(&self, arguments: &[&str]) -> Ran {
        self.command(arguments).output().expect("it starts").into()
    }

    pub(crate) fn run_with_input(&self, arguments: &[&str], input: &str) -> Ran {
        let mut child = self.command(arguments).stdin(Stdio::piped()).spawn().expect("it starts");
        child.stdin.take().expect("piped").write_all(input.as_bytes()).expect("it reads");
        child.wait_with_output().expect("it ends").into()
    }
}

impl From<Output> for Ran {
    fn from(output: Output) -> Ran {
        Ran {
            code: output.status.code(),
            out: String::from_utf8(output.stdout).expect("text"),
            err: String::from_utf8(output.stderr).expect("text"),
        }
    }
}

/// How often a text is in another.
pub(crate) fn times(text: &str, within: &str) -> usize {
    within.matches(text).count()
}
