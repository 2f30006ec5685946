//! Builds nats-server from its Go module.

use std::path::{Path, PathBuf};

use crate::{cache, error::Error, progress::progress, tool::Tool};

const VERSION: &str = "v2.15.2";
const MODULE: &str = "github.com/nats-io/nats-server/v2";
const GO: Tool = Tool {
    command: "go",
    wanted_for: "building nats-server",
    install: "Go 1.25 or later (https://go.dev/dl), or name a running server in STOOP_TEST_NATS",
};

/// The folder with `nats-server`, built first if need be. Blocks.
///
/// # Errors
/// If Go is missing or can't build it.
pub fn provision() -> Result<PathBuf, Error> {
    cache::ensure(&cache::versioned("nats", VERSION, [MODULE]), build)
}

fn build(into: &Path) -> Result<(), Error> {
    progress(&format!("building nats-server {VERSION} (about 15 seconds)"));
    GO.run(
        "building nats-server",
        GO.command()
            .args(["install", "-trimpath", "-ldflags", "-s -w"])
            .arg(format!("{MODULE}@{VERSION}"))
            .env("GOBIN", into)
            .env("CGO_ENABLED", "0"),
    )
}
