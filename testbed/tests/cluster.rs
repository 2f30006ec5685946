//! The cluster behaves as a cluster does.

use k8s_openapi::api::core::v1::Pod;
use kube::{Api, ResourceExt, api::DeleteParams};
use testbed::{Error, cluster::Cluster};

#[tokio::test]
async fn a_deleted_pod_of_a_deployment_is_replaced() -> Result<(), Error> {
    let cluster = Cluster::shared().await.unwrap();
    let namespace = cluster.create_namespace("replace").await?;
    let pods = cluster.create_deployment(&namespace, "web", 1).await?;
    let (name, uid) = (pods[0].name_any(), pods[0].uid().unwrap());

    let api = Api::<Pod>::namespaced(cluster.client().await?, &namespace);
    api.delete(&name, &DeleteParams::default()).await.unwrap();

    cluster.pod_gone(&namespace, &name, &uid).await?;
    let successors = cluster.running_pods(&namespace, "web", 1).await?;
    assert_ne!(successors[0].uid().unwrap(), uid);
    Ok(())
}
