//! What reads rules and expressions as Prometheus does, and plays alerts on series.

use std::path::PathBuf;

use crate::{
    error::Error,
    go::{self, Module},
    tool::Tool,
};

/// That of Prometheus 3.7.3, as its own modules count.
const VERSION: &str = "0.307.3";

const MODULE: Module = Module {
    name: "prometheus",
    version: VERSION,
    files: go::files!["prometheus": "go.mod", "go.sum", "main.go"],
    link: None,
    what: "what reads Prometheus' rules (about a minute)",
    tool: Tool {
        command: "go",
        wanted_for: "reading Prometheus' rules",
        install: "Go 1.25 or later (https://go.dev/dl)",
    },
};

/// A program that prints what Prometheus makes of rules and expressions, built first if need be. Blocks.
///
/// - `alerts RULES` prints the alerts of a file of rules as JSON;
/// - `metrics` reads a list of expressions as JSON, and prints the metrics of each;
/// - `play RULES` reads scenes, `{load, at}`: series as `promqltest` loads them and a time in seconds, and prints the alerts
///   that fire in each.
///
/// # Errors
/// If Go is missing or can't build it.
pub fn provision() -> Result<PathBuf, Error> {
    Ok(MODULE.provision()?.join("prometheus"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_version_is_that_of_the_module() {
        let [(_, module), ..] = MODULE.files else { panic!("no files") };
        assert!(module.contains(&format!("github.com/prometheus/prometheus v{VERSION}")));
    }
}
