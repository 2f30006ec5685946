//! What reads a compose file as `docker compose` does, without a container engine.

use std::path::PathBuf;

use crate::{
    error::Error,
    go::{self, Module},
    tool::Tool,
};

const VERSION: &str = "2.16.2";

const MODULE: Module = Module {
    name: "compose",
    version: VERSION,
    files: go::files!["compose": "go.mod", "go.sum", "main.go"],
    link: None,
    what: "what reads compose files (about 20 seconds)",
    tool: Tool {
        command: "go",
        wanted_for: "reading a compose file",
        install: "Go 1.25 or later (https://go.dev/dl)",
    },
};

/// A program that prints the project of a compose file as JSON, built first if need be. Blocks.
///
/// # Errors
/// If Go is missing or can't build it.
pub fn provision() -> Result<PathBuf, Error> {
    Ok(MODULE.provision()?.join("compose"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_version_is_that_of_the_module() {
        let [(_, module), ..] = MODULE.files else { panic!("no files") };
        assert!(module.contains(&format!("github.com/compose-spec/compose-go/v2 v{VERSION}")));
    }
}
