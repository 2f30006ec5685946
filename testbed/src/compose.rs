//! What reads a compose file as `docker compose` does, without a container engine.

use std::{
    fs,
    path::{Path, PathBuf},
};

use crate::{cache, error::Error, progress::progress, tool::Tool};

const VERSION: &str = "2.16.2";

const MODULE: [(&str, &str); 3] = [
    ("go.mod", include_str!("../compose/go.mod")),
    ("go.sum", include_str!("../compose/go.sum")),
    ("main.go", include_str!("../compose/main.go")),
];

const GO: Tool = Tool {
    command: "go",
    wanted_for: "reading a compose file",
    install: "Go 1.25 or later (https://go.dev/dl)",
};

/// A program that prints the project of a compose file as JSON, built first if need be. Blocks.
///
/// # Errors
/// If Go is missing or can't build it.
pub fn provision() -> Result<PathBuf, Error> {
    let sources = MODULE.iter().flat_map(|&(name, text)| [name, text]);
    let folder = cache::ensure(&cache::versioned("compose", VERSION, sources), build)?;
    Ok(folder.join("compose"))
}

fn build(into: &Path) -> Result<(), Error> {
    progress("building what reads compose files (about 20 seconds)");
    let module = into.join("module");
    fs::create_dir_all(&module).map_err(Error::file("make", &module))?;
    for (name, text) in MODULE {
        let path = module.join(name);
        fs::write(&path, text).map_err(Error::file("write", &path))?;
    }
    GO.run(
        "building what reads compose files with Go",
        GO.command()
            .current_dir(&module)
            // Neither cgo nor a workspace around the cache has a say in what comes out.
            .envs([("CGO_ENABLED", "0"), ("GOWORK", "off")])
            .args(["build", "-trimpath", "-buildvcs=false", "-o"])
            .arg(into.join("compose"))
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
        assert!(module.contains(&format!("github.com/compose-spec/compose-go/v2 v{VERSION}")));
    }
}
