//! Captures on a real cluster: real rights, a real job controller, and a pod that ends as a kubelet would say.

use std::time::Duration;

use k8s_openapi::api::{batch::v1::Job, core::v1::Pod};
use kube::{
    ResourceExt as _,
    api::{ListParams, Patch, PatchParams, PostParams},
};
use playbooks::act::{Advance, Api, Captures, Manifest, Permission};
use serde_json::{Value, json};
use testbed::cluster::{Access, Cluster};

use super::{connect, container_id, event_about, namespace, roles::connect_with};
use crate::{
    capture::{
        Kept,
        jobs::{said, upload},
    },
    fixtures::{Bench, Setup, words},
};

const PACKETS: &str = "mode: enforce\nactions: [capture: {packets: {}}]";
const SNAPSHOT: &str = "mode: enforce\nactions: [capture: {snapshot: {}}]";

async fn cluster() -> &'static Access {
    Cluster::shared().await.map_err(|error| error.to_string()).expect("a cluster")
}

async fn client(access: &Access) -> kube::Client {
    access.client().await.map_err(|error| error.to_string()).expect("a client")
}

/// A pod on a node that nobody runs, so that its status stays as it is written.
async fn victim(access: &Access, namespace: &str, name: &str) -> Pod {
    let pods = kube::Api::<Pod>::namespaced(client(access).await, namespace);
    let pod = json!({
        "metadata": {"name": name},
        "spec": {"nodeName": "nobodys", "containers": [{"name": "c", "image": "registry.example/web:1"}]}
    });
    pods.create(&PostParams::default(), &serde_json::from_value(pod).expect("a pod"))
        .await
        .expect("created");
    let id = format!("containerd://{}", container_id(name));
    let status = json!({"status": {
        "phase": "Running", "podIP": "10.0.0.7", "podIPs": [{"ip": "10.0.0.7"}],
        "containerStatuses": [{
            "name": "c", "image": "i", "imageID": "", "ready": true, "restartCount": 0, "containerID": id,
            "state": {"running": {}}
        }]
    }});
    pods.patch_status(name, &PatchParams::default(), &Patch::Merge(&status))
        .await
        .expect("a status")
}

fn bench(api: Api, captures: &Captures) -> Bench {
    let mut setup = Setup::new(api);
    setup.captures = Some(captures.clone());
    setup.build()
}

/// The job's pod, as soon as the controller has made it.
async fn pod_of(pods: &kube::Api<Pod>) -> Pod {
    for _ in 0..600 {
        let found = pods.list(&ListParams::default()).await.expect("pods").items;
        if let [pod] = &found[..] {
            return pod.clone();
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    panic!("the job controller has made no pod")
}

#[tokio::test]
async fn a_job_is_made_run_and_sealed_under_exactly_its_rights() {
    let access = cluster().await;
    let (shop, there) = (namespace(access).await, namespace(access).await);
    let pod = victim(access, &shop, "web").await;
    let kept = Kept::new("http://stoop-uploads.stoop:2809");
    let captures = kept.captures_in(&there);
    let permissions = bench(connect(access).await, &captures).plan(PACKETS).permissions();
    let worker = bench(connect_with(access, "act-capture", &permissions).await, &captures);
    let event = event_about(&pod, None);

    let mut response = worker.begin(PACKETS, &event).await;
    let Advance::Retry(waits) = worker.advance(&mut response).await else { panic!("not pending") };
    assert!(waits.why.contains("captures"), "{}", waits.why);
    let jobs = kube::Api::<Job>::namespaced(client(access).await, &there);
    let job = jobs.list(&ListParams::default()).await.expect("jobs").items.pop().expect("a job");
    let spec = &job.spec.as_ref().expect("a spec").template.spec.as_ref().expect("a pod");
    let told =
        spec.containers[0].env.as_ref().expect("variables")[0].value.clone().expect("a value");
    let told: Value = serde_json::from_str(&told).expect("JSON");
    assert_eq!(told["addresses"], json!(["10.0.0.7"]));

    // What the kubelet would do.
    let pods = kube::Api::<Pod>::namespaced(client(access).await, &there);
    let its = pod_of(&pods).await;
    assert_eq!(its.spec.as_ref().and_then(|spec| spec.node_name.as_deref()), Some("nobodys"));
    assert_eq!(
        its.spec.as_ref().and_then(|spec| spec.automount_service_account_token),
        Some(false)
    );
    upload(&kept, &told, b"packets").await.expect("taken");
    let status = json!({"status": {
        "phase": "Succeeded",
        "containerStatuses": [{
            "name": "capture", "image": "i", "imageID": "", "ready": false, "restartCount": 0,
            "state": {"terminated": {"exitCode": 0, "message": said(b"packets").to_string()}}
        }]
    }});
    pods.patch_status(&its.name_any(), &PatchParams::default(), &Patch::Merge(&status))
        .await
        .expect("ended");

    let report = loop {
        match worker.advance(&mut response).await {
            Advance::Finished(report) => break report,
            Advance::Retry(_) => tokio::time::sleep(Duration::from_millis(200)).await,
            Advance::Lost => panic!("lost"),
        }
    };
    assert_eq!(words(&report), ["capture applied"], "{}", report.overall);
    let manifest: Manifest = serde_json::from_str(&kept.read("manifest.json")).expect("a manifest");
    assert_eq!(manifest.about.uid, pod.uid());
    assert_eq!(words(&worker.run(PACKETS, &event).await), ["capture already-done"]);

    // In that namespace alone, and nothing that the plan does not name.
    let may = async |permission: Permission| {
        worker.engine.api().expect("a cluster").can_i(&permission).await.expect("an answer")
    };
    for permission in permissions.iter().filter(|permission| permission.resource == "jobs") {
        assert!(may(permission.clone()).await, "{permission}");
        assert!(
            !may(Permission { namespace: Some(shop.clone()), ..permission.clone() }).await,
            "{permission}"
        );
    }
    for (resource, verb) in
        [("pods/exec", "create"), ("secrets", "get"), ("nodes/proxy", "get"), ("pods", "create")]
    {
        let more =
            Permission { namespace: Some(there.clone()), ..Permission::new("", resource, verb) };
        assert!(!may(more).await, "{verb} {resource}");
    }
}

#[tokio::test]
async fn what_the_rights_do_not_grant_is_forbidden_and_named() {
    let access = cluster().await;
    let (shop, there) = (namespace(access).await, namespace(access).await);
    let pod = victim(access, &shop, "api").await;
    let kept = Kept::new("http://stoop-uploads.stoop:2809");
    let captures = kept.captures_in(&there);
    let permissions = bench(connect(access).await, &captures).plan(PACKETS).permissions();
    let reads: Vec<_> =
        permissions.into_iter().filter(|permission| permission.verb != "create").collect();
    let worker = bench(connect_with(access, "act-capture-reads", &reads).await, &captures);
    let report = worker.run(PACKETS, &event_about(&pod, None)).await;
    assert_eq!(words(&report), ["capture failed (permanent)"]);
    let detail = report.overall.detail();
    assert!(detail.contains("create") && detail.contains("jobs"), "{detail}");
}

#[tokio::test]
async fn a_snapshot_takes_exactly_its_rights_and_a_missing_kubelet_costs_only_logs() {
    let access = cluster().await;
    let shop = namespace(access).await;
    let pod = victim(access, &shop, "db").await;
    let kept = Kept::new("http://stoop-uploads.stoop:2809");
    let permissions = bench(connect(access).await, &kept.captures).plan(SNAPSHOT).permissions();
    let worker = bench(connect_with(access, "act-snapshot", &permissions).await, &kept.captures);
    let report = worker.run(SNAPSHOT, &event_about(&pod, None)).await;
    assert_eq!(words(&report), ["capture applied"], "{}", report.overall);
    let manifest: Manifest = serde_json::from_str(&kept.read("manifest.json")).expect("a manifest");
    let missing: Vec<_> = manifest.missing.iter().map(|missing| missing.what.as_str()).collect();
    assert_eq!(missing, ["node.json", "log-c.txt"], "there is no such node");
    assert!(kept.read("pod.json").contains(&pod.uid().expect("a uid")));

    let fewer: Vec<_> =
        permissions.iter().filter(|permission| permission.resource != "events").cloned().collect();
    let (blind, event) = (Kept::new("http://stoop-uploads.stoop:2809"), event_about(&pod, None));
    let worker = bench(connect_with(access, "act-snapshot-less", &fewer).await, &blind.captures);
    let report = worker.run(SNAPSHOT, &event).await;
    assert_eq!(words(&report), ["capture failed (permanent)"]);
    assert!(
        report.overall.detail().contains("cannot list resource \"events\""),
        "{}",
        report.overall.detail()
    );

    // Who may, adds what is missing.
    let worker =
        bench(connect_with(access, "act-snapshot-more", &permissions).await, &blind.captures);
    let report = worker.run(SNAPSHOT, &event).await;
    assert_eq!(words(&report), ["capture applied"], "{}", report.overall);
    assert!(blind.read("manifest-2.json").contains("events.json"));
    assert_eq!(words(&worker.run(SNAPSHOT, &event).await), ["capture already-done"]);
}
