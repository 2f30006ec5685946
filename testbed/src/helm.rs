//! Helm, for tests of the chart.

use std::path::{Path, PathBuf};

use crate::{cache, error::Error, progress::progress, tool::Tool};

const VERSION: &str = "v3.22.0";
const MODULE: &str = "helm.sh/helm/v3/cmd/helm";
/// As its own Makefile links it: without the last two a chart's `kubeVersion` is compared with 1.20.
const LINK: &str = "-s -w \
    -X helm.sh/helm/v3/internal/version.version=v3.22.0 \
    -X helm.sh/helm/v3/pkg/lint/rules.k8sVersionMajor=1 \
    -X helm.sh/helm/v3/pkg/lint/rules.k8sVersionMinor=37 \
    -X helm.sh/helm/v3/pkg/chartutil.k8sVersionMajor=1 \
    -X helm.sh/helm/v3/pkg/chartutil.k8sVersionMinor=37";
const GO: Tool = Tool {
    command: "go",
    wanted_for: "building helm",
    install: "Go 1.25 or later (https://go.dev/dl)",
};

/// The program `helm`, built first if need be: minutes. Blocks.
///
/// # Errors
/// If Go is missing or can't build it.
pub fn provision() -> Result<PathBuf, Error> {
    let folder = cache::ensure(&cache::versioned("helm", VERSION, [MODULE, LINK]), build)?;
    Ok(folder.join("helm"))
}

fn build(into: &Path) -> Result<(), Error> {
    progress(&format!("building helm {VERSION} (about 2 minutes)"));
    GO.run(
        "building helm",
        GO.command()
            .args(["install", "-trimpath", "-ldflags", LINK])
            .arg(format!("{MODULE}@{VERSION}"))
            .env("GOBIN", into)
            .env("CGO_ENABLED", "0"),
    )
}
