//! Builds the cluster's servers with Go, from the module beside this crate's sources.

use std::{env, path::PathBuf};

use crate::{
    error::Error,
    go::{self, Module},
    tool::Tool,
};

const VERSION: &str = "1.34.4";
/// A folder with `etcd` and `kube-apiserver`, as the tests of other projects take it.
const ASSETS: &str = "KUBEBUILDER_ASSETS";

/// Without these the API server can't say a version that clients can parse.
const LINK: &str = "-s -w \
    -X k8s.io/component-base/version.gitVersion=v1.34.4 \
    -X k8s.io/component-base/version.gitMajor=1 \
    -X k8s.io/component-base/version.gitMinor=34";

pub(super) const GO: Tool = Tool {
    command: "go",
    wanted_for: "building the cluster",
    install: "Go 1.24 or later, or name a running cluster with KUBECONFIG and STOOP_TEST_CLUSTER=1",
};

const MODULE: Module = Module {
    name: "cluster",
    version: VERSION,
    files: go::files![
        "cluster": "go.mod",
        "go.sum",
        "etcd/main.go",
        "kube-apiserver/main.go",
        "kube-controller-manager/main.go",
        "kube-scheduler/main.go",
        "hollow-node/main.go",
    ],
    link: Some(LINK),
    what: "Kubernetes (about 5 minutes on 2 cores)",
    tool: GO,
};

/// The folder with the cluster's servers, built first if need be: minutes. Blocks.
///
/// # Errors
/// If Go is missing or the build fails.
pub fn provision() -> Result<PathBuf, Error> {
    MODULE.provision()
}

/// The folder with `etcd` and `kube-apiserver`: `KUBEBUILDER_ASSETS`, or else what is built.
pub(crate) fn control_plane() -> Result<PathBuf, Error> {
    env::var_os(ASSETS).map_or_else(provision, |assets| Ok(assets.into()))
}
