//! The cluster behaves as a cluster does.

use k8s_openapi::api::{
    core::v1::{ConfigMap, Pod},
    rbac::v1::PolicyRule,
};
use kube::{
    Api, Client, Config, ResourceExt,
    api::{DeleteParams, ListParams, PostParams},
    config::{KubeConfigOptions, Kubeconfig},
};
use testbed::{
    Error,
    cluster::{Cluster, Size},
};

#[tokio::test]
async fn a_deleted_pod_of_a_deployment_is_replaced() -> Result<(), Error> {
    let cluster = Cluster::shared().await?;
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

#[tokio::test]
async fn a_service_account_may_do_what_its_rules_say_and_nothing_else() -> Result<(), Error> {
    let cluster = Cluster::shared_api_server().await?;
    let namespace = cluster.create_namespace("rbac").await?;
    cluster.create_pod_with_status(&namespace, "victim", &["containerd://1"]).await?;
    let rule = PolicyRule {
        api_groups: Some(vec![String::new()]),
        resources: Some(vec!["pods".to_owned()]),
        verbs: vec!["list".to_owned()],
        ..Default::default()
    };
    let kubeconfig = cluster.kubeconfig_for("reader", &[rule]).await?;

    let kubeconfig = Kubeconfig::read_from(kubeconfig).unwrap();
    let config = Config::from_custom_kubeconfig(kubeconfig, &KubeConfigOptions::default()).await;
    let pods = Api::<Pod>::namespaced(Client::try_from(config.unwrap()).unwrap(), &namespace);
    assert_eq!(pods.list(&ListParams::default()).await.unwrap().items.len(), 1);
    let refused = pods.delete("victim", &DeleteParams::default()).await.unwrap_err();
    assert!(matches!(refused, kube::Error::Api(status) if status.is_forbidden()));
    Ok(())
}

#[tokio::test]
async fn a_pod_with_a_chosen_status_keeps_it_and_is_gone_when_deleted() -> Result<(), Error> {
    let cluster = Cluster::shared_api_server().await?;
    let namespace = cluster.create_namespace("status").await?;
    let ids = ["containerd://0a", "containerd://0b"];
    let pod = cluster.create_pod_with_status(&namespace, "web", &ids).await?;

    let pods = Api::<Pod>::namespaced(cluster.client().await?, &namespace);
    let statuses = pods.get("web").await.unwrap().status.unwrap().container_statuses.unwrap();
    let seen: Vec<_> = statuses.into_iter().map(|status| status.container_id.unwrap()).collect();
    assert_eq!(seen, ids);

    pods.delete("web", &DeleteParams::default()).await.unwrap();
    cluster.pod_gone(&namespace, "web", &pod.uid().unwrap()).await
}

#[tokio::test]
async fn a_killed_api_server_comes_back_with_what_it_had() -> Result<(), Error> {
    let mut cluster = Cluster::start(Size::ApiServer).await?;
    let kept = ConfigMap { metadata: named("kept"), ..Default::default() };
    let objects = Api::<ConfigMap>::namespaced(cluster.client().await?, "default");
    objects.create(&PostParams::default(), &kept).await.unwrap();

    cluster.kill_api_server();
    assert!(objects.get("kept").await.is_err());

    cluster.restart_api_server().await?;
    let objects = Api::<ConfigMap>::namespaced(cluster.client().await?, "default");
    assert!(objects.get("kept").await.is_ok());
    Ok(())
}

fn named(name: &str) -> kube::api::ObjectMeta {
    kube::api::ObjectMeta { name: Some(name.to_owned()), ..Default::default() }
}
