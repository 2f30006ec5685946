//! What a Pub/Sub server is started from: the emulator's jar, or `pstest` built with Go from the module beside this
//! crate's sources.

use std::path::PathBuf;

use super::google;
use crate::{
    error::Error,
    go::{self, Module},
    tool::Tool,
};

const VERSION: &str = "2.6.0";

const MODULE: Module = Module {
    name: "pubsub",
    version: VERSION,
    files: go::files!["pubsub": "go.mod", "go.sum", "main.go"],
    link: None,
    what: "pstest, for want of Google's Pub/Sub emulator",
    tool: Tool {
        command: "go",
        wanted_for: "a Pub/Sub server without Google's emulator",
        install: "the emulator (gcloud components install pubsub-emulator, or Debian's google-cloud-cli-pubsub-emulator from \
                  packages.cloud.google.com), or Go 1.25 or later, or name a running emulator in PUBSUB_EMULATOR_HOST",
    },
};

/// What to start.
#[derive(Clone, Debug)]
pub(crate) enum Program {
    /// Google's emulator, a jar.
    Emulator(PathBuf),
    /// `pstest` behind a `main`.
    PsTest(PathBuf),
}

/// The jar of Google's emulator, or the folder with `pstest`, built first if need be. Blocks.
///
/// # Errors
/// There is no emulator, and Go is missing or the build fails.
pub fn provision() -> Result<PathBuf, Error> {
    Ok(match program()? {
        Program::Emulator(path) | Program::PsTest(path) => path,
    })
}

pub(crate) fn program() -> Result<Program, Error> {
    if let Some(jar) = google::jar() {
        return Ok(Program::Emulator(jar));
    }
    Ok(Program::PsTest(MODULE.provision()?.join("pubsub")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_version_is_that_of_the_module() {
        let [(_, module), ..] = MODULE.files else { panic!("no files") };
        assert!(module.contains(&format!("cloud.google.com/go/pubsub/v2 v{VERSION}")));
    }
}
