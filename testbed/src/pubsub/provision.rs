//! What a Pub/Sub server is started from: the emulator's jar, or `pstest` built with Go from the module beside this
//! crate's sources.

use std::{
    fs,
    path::{Path, PathBuf},
};

use super::google;
use crate::{cache, error::Error, progress::progress, tool::Tool};

const VERSION: &str = "2.6.0";

const MODULE: [(&str, &str); 3] = [
    ("go.mod", include_str!("../../pubsub/go.mod")),
    ("go.sum", include_str!("../../pubsub/go.sum")),
    ("main.go", include_str!("../../pubsub/main.go")),
];

const GO: Tool = Tool {
    command: "go",
    wanted_for: "a Pub/Sub server without Google's emulator",
    install: "the emulator (gcloud components install pubsub-emulator, or Debian's google-cloud-cli-pubsub-emulator from \
              packages.cloud.google.com), or Go 1.25 or later, or name a running emulator in PUBSUB_EMULATOR_HOST",
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
    let sources = MODULE.iter().flat_map(|&(name, text)| [name, text]);
    let folder = cache::ensure(&cache::versioned("pubsub", VERSION, sources), build)?;
    Ok(Program::PsTest(folder.join("pubsub")))
}

fn build(into: &Path) -> Result<(), Error> {
    progress("building pstest, for want of Google's Pub/Sub emulator");
    let module = into.join("module");
    fs::create_dir_all(&module).map_err(Error::file("make", &module))?;
    for (name, text) in MODULE {
        let path = module.join(name);
        fs::write(&path, text).map_err(Error::file("write", &path))?;
    }
    GO.run(
        "building pstest with Go",
        GO.command()
            .current_dir(&module)
            // Neither cgo nor a workspace around the cache has a say in what comes out.
            .envs([("CGO_ENABLED", "0"), ("GOWORK", "off")])
            .args(["build", "-trimpath", "-buildvcs=false", "-o"])
            .arg(into.join("pubsub"))
            .arg("."),
    )?;
    fs::remove_dir_all(&module).map_err(Error::file("clear", &module))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_version_is_that_of_the_module() {
        let [(_, module), ..] = MODULE;
        assert!(module.contains(&format!("cloud.google.com/go/pubsub/v2 v{VERSION}")));
    }
}
