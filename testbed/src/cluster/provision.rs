//! Builds the cluster's servers with Go, from the module beside this crate's sources.

use std::{
    env, fs,
    path::{Path, PathBuf},
};

use crate::{cache, error::Error, progress::progress, tool::Tool};

const VERSION: &str = "1.34.4";
/// A folder with `etcd` and `kube-apiserver`, as the tests of other projects take it.
const ASSETS: &str = "KUBEBUILDER_ASSETS";

macro_rules! module {
    ($($file:literal),+ $(,)?) => {
        [$(($file, include_str!(concat!("../../cluster/", $file)))),+]
    };
}

const MODULE: [(&str, &str); 7] = module![
    "go.mod",
    "go.sum",
    "etcd/main.go",
    "kube-apiserver/main.go",
    "kube-controller-manager/main.go",
    "kube-scheduler/main.go",
    "hollow-node/main.go",
];

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

/// The folder with the cluster's servers, built first if need be: minutes. Blocks.
///
/// # Errors
/// If Go is missing or the build fails.
pub fn provision() -> Result<PathBuf, Error> {
    let sources = MODULE.iter().flat_map(|&(name, text)| [name, text]);
    cache::ensure(&cache::versioned("cluster", VERSION, sources.chain([LINK])), build)
}

/// The folder with `etcd` and `kube-apiserver`: `KUBEBUILDER_ASSETS`, or else what is built.
pub(crate) fn control_plane() -> Result<PathBuf, Error> {
    env::var_os(ASSETS).map_or_else(provision, |assets| Ok(assets.into()))
}

fn build(into: &Path) -> Result<(), Error> {
    progress(&format!("building Kubernetes {VERSION} (about 5 minutes on 2 cores)"));
    let module = into.join("module");
    for (name, text) in MODULE {
        let path = module.join(name);
        let folder = path.parent().unwrap_or(&module);
        fs::create_dir_all(folder).map_err(Error::file("make", folder))?;
        fs::write(&path, text).map_err(Error::file("write", &path))?;
    }
    GO.run(
        "building the cluster's servers with Go",
        GO.command()
            .current_dir(&module)
            // Neither cgo nor a workspace around the cache has a say in what comes out.
            .envs([("CGO_ENABLED", "0"), ("GOWORK", "off")])
            .args(["build", "-trimpath", "-buildvcs=false", "-ldflags", LINK, "-o"])
            .arg(into)
            .arg("./..."),
    )?;
    fs::remove_dir_all(&module).map_err(Error::file("clear", &module))
}
