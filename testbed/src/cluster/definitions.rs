//! The definitions of kinds that clusters of users serve, as their projects publish them: fetched with Go, from the
//! modules that hold them.

use std::{
    fs,
    path::{Path, PathBuf},
};

use serde_json::Value;

use super::provision::GO;
use crate::{cache, error::Error, progress::progress};

/// A module, and the definitions in it that are kept.
struct Module {
    path: &'static str,
    version: &'static str,
    /// Of what the module's archive holds, as `go.sum` has it.
    sum: &'static str,
    files: &'static [&'static str],
}

const MODULES: [Module; 5] = [
    Module {
        path: "github.com/cilium/cilium",
        version: "v1.20.2",
        sum: "h1:dqiEGIcXc+gqCLYG/l7VCFJ8GHyb4HUrwbZOpkX5dL8=",
        files: &[
            "pkg/k8s/apis/cilium.io/client/crds/v2/ciliumendpoints.yaml",
            "pkg/k8s/apis/cilium.io/client/crds/v2/ciliumnetworkpolicies.yaml",
        ],
    },
    Module {
        path: "github.com/kedacore/keda/v2",
        version: "v2.18.1",
        sum: "h1:h6bRt/IOxxtZpJlHSqhdH/lcInH7Z9obxg/JvWOmGAw=",
        files: &["config/crd/bases/keda.sh_scaledobjects.yaml"],
    },
    Module {
        path: "github.com/prometheus-operator/prometheus-operator",
        version: "v0.85.0",
        sum: "h1:M5xLCLEoaW2IJfnuCwFzzpL+jSVQu3KGT84Pye+fW8s=",
        files: &[
            "example/prometheus-operator-crd/monitoring.coreos.com_prometheusrules.yaml",
            "example/prometheus-operator-crd/monitoring.coreos.com_servicemonitors.yaml",
        ],
    },
    Module {
        path: "github.com/tektoncd/pipeline",
        version: "v1.6.0",
        sum: "h1:A+D+jzOVl2QNl/yiNT7csVgBUy2wpz6K6+/D4q5lfss=",
        files: &["config/300-crds/300-pipelinerun.yaml"],
    },
    Module {
        path: "sigs.k8s.io/network-policy-api",
        version: "v0.2.0",
        sum: "h1:W/f0Y9VoeQdOWjX/h2gZyLH6gZ5LLEXmh/9wy9mQWKw=",
        files: &["config/crd/standard/policy.networking.k8s.io_clusternetworkpolicies.yaml"],
    },
];

/// The folder with the definitions, each under its file's own name, fetched first if need be: a minute. Blocks.
///
/// # Errors
/// If Go is missing, the modules can't be fetched, or aren't what they were.
pub fn definitions() -> Result<PathBuf, Error> {
    let sources =
        MODULES.iter().flat_map(|it| [it.path, it.sum].into_iter().chain(it.files.iter().copied()));
    cache::ensure(&cache::versioned("definitions", "1", sources), |into| {
        progress(
            "fetching the definitions of Cilium, KEDA, the Prometheus operator, Tekton and the Network Policy API",
        );
        MODULES.iter().try_for_each(|module| module.fetch(into))
    })
}

impl Module {
    fn fetch(&self, into: &Path) -> Result<(), Error> {
        let Module { path, version, sum, files } = self;
        let what = format!("fetching {path} {version}");
        let told = GO.output(
            &what,
            // In no module: nobody's go.mod has a say in it.
            GO.command()
                .current_dir(into)
                .env("GOWORK", "off")
                .args(["mod", "download", "-json"])
                .arg(format!("{path}@{version}")),
        )?;
        let wrong = |why: String| {
            Error::io(format!("{what}: {why}"))(std::io::Error::other("not what was expected"))
        };
        let told: Value =
            serde_json::from_slice(&told).map_err(|error| wrong(error.to_string()))?;
        if told["Sum"] != *sum {
            return Err(wrong(format!("its sum is {}, and not {sum}", told["Sum"])));
        }
        let folder = told["Dir"]
            .as_str()
            .map(Path::new)
            .ok_or_else(|| wrong("Go names no folder".to_owned()))?;
        for file in *files {
            let (from, name) = (folder.join(file), Path::new(file).file_name().unwrap_or_default());
            fs::copy(&from, into.join(name)).map_err(Error::file("copy", &from))?;
        }
        Ok(())
    }
}
