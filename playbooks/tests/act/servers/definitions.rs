//! Kinds of other projects, defined as those projects define them.

use std::fs;

use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::CustomResourceDefinition;
use kube::{Api as Objects, ResourceExt as _, api::PostParams};
use testbed::{
    cluster::{self, Access},
    until,
};

use super::isolate::{PATIENCE, client};

/// What can deny, and what tells whether it does.
pub(super) const TIERS: [&str; 3] = [
    "ciliumendpoints.yaml",
    "ciliumnetworkpolicies.yaml",
    "policy.networking.k8s.io_clusternetworkpolicies.yaml",
];
/// Tekton's.
pub(super) const PIPELINE_RUNS: &str = "300-pipelinerun.yaml";

/// Defines the kinds of these files, for every test of the binary that meets them, and waits until they are served.
pub(super) async fn define(access: &Access, files: &[&str]) {
    let all = Objects::<CustomResourceDefinition>::all(client(access).await);
    let folder = tokio::task::spawn_blocking(cluster::definitions).await.expect("no panic");
    let folder = folder.expect("the definitions");
    for file in files {
        let text = fs::read_to_string(folder.join(file)).expect("a definition");
        let definition: CustomResourceDefinition =
            serde_saphyr::from_str(&text).expect("a definition");
        let name = definition.name_any();
        match all.create(&PostParams::default(), &definition).await {
            Err(kube::Error::Api(status)) if status.code == 409 => {}
            made => drop(made.expect("a definition")),
        }
        let served = until(format!("{name} to be served"), PATIENCE, async || {
            let live = all.get(&name).await.map_err(|error| error.to_string())?;
            let conditions = live.status.and_then(|status| status.conditions).unwrap_or_default();
            let is = conditions.iter().any(|it| it.type_ == "Established" && it.status == "True");
            is.then_some(()).ok_or_else(|| format!("{conditions:?}"))?;
            // A large one is established a moment before it answers.
            let (group, plural) = (&live.spec.group, &live.spec.names.plural);
            let version = live.spec.versions.iter().find(|it| it.storage).expect("a version");
            let path = format!("/apis/{group}/{}/{plural}?limit=1", version.name);
            let request = http::Request::get(path).body(Vec::new()).expect("a request");
            let asked = client(access).await.request_text(request).await;
            asked.map(drop).map_err(|error| error.to_string())
        });
        served.await.map_err(|error| error.to_string()).expect("served");
    }
}
