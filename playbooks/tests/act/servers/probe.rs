//! The probe on a real API server, its pods' statuses written as a kubelet would: of a network that enforces, of one
//! that doesn't, and of everything that can go wrong.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex},
    time::Duration,
};

use k8s_openapi::api::{
    core::v1::{Namespace, Pod},
    networking::v1::NetworkPolicy,
};
use kube::{
    Api as Objects, ResourceExt as _,
    api::{ListParams, Patch, PatchParams, PostParams},
};
use playbooks::act::{Aspect, Finding, Probe};
use serde_json::{Value, json};
use testbed::{cluster::Access, until};
use tokio::task::JoinHandle;

use super::{
    api_server, connect,
    definitions::{TIERS, define},
    isolate::{PATIENCE, client},
    namespace, pods,
};

const SERVER: &str = "stoop-probe-server";
const CLIENT: &str = "stoop-probe-client";
/// Made under them, and by nobody else.
const LABEL: &str = "stoop.dev/probe";

/// What a node makes of the pods.
#[derive(Clone, Copy, PartialEq)]
enum Node {
    /// Runs them, on a network that enforces what this says it does.
    Runs { ingress: bool, egress: bool },
    /// Nobody connects to anybody.
    Deaf,
    /// What was blocked stays blocked.
    Sticky,
    /// The image has no `nc`.
    Bare,
    /// It has no place for them.
    Full,
    /// It can't pull the image.
    NoImage,
}

const ENFORCES: Node = Node::Runs { ingress: true, egress: true };

fn probe(namespace: &str, patience: Duration) -> Probe {
    Probe { namespace: namespace.to_owned(), image: "probe:1".into(), patience }
}

/// A namespace in which only what Pod Security calls restricted may run.
async fn restricted(access: &Access) -> String {
    define(access, &TIERS).await;
    let name = namespace(access).await;
    let enforce =
        json!({"metadata": {"labels": {"pod-security.kubernetes.io/enforce": "restricted"}}});
    let all = Objects::<Namespace>::all(client(access).await);
    all.patch(&name, &PatchParams::default(), &Patch::Merge(enforce)).await.expect("restricted");
    name
}

/// Writes the statuses of the probe's pods until it is dropped.
struct Kubelet(JoinHandle<()>);

impl Drop for Kubelet {
    fn drop(&mut self) {
        self.0.abort();
    }
}

impl Kubelet {
    async fn start(access: &Access, namespace: &str, node: Node) -> Kubelet {
        let pods = pods(access, namespace).await;
        let policies = Objects::<NetworkPolicy>::namespaced(client(access).await, namespace);
        Kubelet(tokio::spawn(async move {
            let mut was_blocked = false;
            let ended = Arc::new(Mutex::new(BTreeMap::new()));
            loop {
                for name in [SERVER, CLIENT] {
                    let Ok(Some(pod)) = pods.get_opt(name).await else { continue };
                    let held = policies.list(&ListParams::default()).await.expect("a list");
                    let held: Vec<_> = held.iter().map(|policy| policy.name_any()).collect();
                    let status = status(&pod, &held, node, &mut was_blocked, &ended);
                    let patch = Patch::Merge(json!({ "status": status }));
                    // It may be gone by now.
                    let _ = pods.patch_status(name, &PatchParams::default(), &patch).await;
                }
                tokio::time::sleep(Duration::from_millis(50)).await;
            }
        }))
    }
}

/// The parts that have ended, of one client.
type Ended = Arc<Mutex<BTreeMap<String, Vec<Value>>>>;

fn status(pod: &Pod, held: &[String], node: Node, was_blocked: &mut bool, ended: &Ended) -> Value {
    match node {
        Node::Full => {
            return json!({"phase": "Pending", "conditions": [{
                "type": "PodScheduled", "status": "False", "reason": "Unschedulable",
                "message": "0/3 nodes are available"
            }]});
        }
        Node::NoImage => {
            return json!({"phase": "Pending", "containerStatuses": [{
                "name": "server", "image": "i", "imageID": "", "ready": false, "restartCount": 0,
                "state": {"waiting": {"reason": "ImagePullBackOff", "message": "no such image"}}
            }]});
        }
        _ => {}
    }
    let container = |name: &str, state: Value| json!({"name": name, "image": "i", "imageID": "", "ready": true, "restartCount": 0, "state": state});
    if pod.name_any() == SERVER {
        return json!({"phase": "Running", "podIP": "10.0.0.7", "podIPs": [{"ip": "10.0.0.7"}], "containerStatuses": [container("server", json!({"running": {}}))]});
    }
    let spec = pod.spec.as_ref().expect("a spec");
    let before = spec.init_containers.iter().flatten().map(|it| it.name.clone());
    let parts: Vec<_> = before.chain(spec.containers.iter().map(|it| it.name.clone())).collect();
    let mut ended = ended.lock().expect("what ended");
    let ended = ended.entry(pod.uid().expect("a uid")).or_default();
    if let Some(part) = parts.get(ended.len()) {
        let (server, own) = (held.contains(&SERVER.to_owned()), held.contains(&CLIENT.to_owned()));
        let blocks = match node {
            Node::Runs { ingress, egress } => (server && ingress) || (own && egress),
            Node::Deaf => true,
            _ => server || own || *was_blocked,
        };
        *was_blocked |= blocks;
        let wants_policy = !part.starts_with("open");
        // A part tries for a while: it ends as wanted, or when it has waited for nothing.
        if wants_policy == (server || own) {
            let (code, message) = match (node, blocks) {
                (Node::Bare, _) => (1, "the image has no nc"),
                (_, true) => (0, "blocked"),
                (_, false) => (0, "open"),
            };
            ended.push(container(
                part,
                json!({"terminated": {"exitCode": code, "message": format!("{message}\n")}}),
            ));
        }
    }
    let inits = ended.len().min(parts.len() - 1);
    json!({"phase": "Pending", "initContainerStatuses": ended[..inits], "containerStatuses": ended[inits..]})
}

async fn run(
    access: &Access,
    namespace: &str,
    node: Node,
    patience: Duration,
) -> Vec<(Aspect, Finding)> {
    let _kubelet = Kubelet::start(access, namespace, node).await;
    let (api, probe) = (connect(access).await, probe(namespace, patience));
    let found = probe.run(&api).await.expect("findings");
    probe.clean(&api).await.expect("cleaned");
    found
}

async fn left(access: &Access, namespace: &str) -> usize {
    let policies = Objects::<NetworkPolicy>::namespaced(client(access).await, namespace);
    let of_probes = ListParams::default().labels(LABEL);
    let policies = policies.list(&of_probes).await.expect("a list").items.len();
    policies + pods(access, namespace).await.list(&of_probes).await.expect("a list").items.len()
}

#[tokio::test]
async fn what_the_client_saw_is_what_is_said_and_nothing_is_left() {
    let access = api_server().await;
    let (yes, no) = (Finding::Enforces, Finding::DoesNot);
    for (ingress, egress) in [(true, true), (false, false), (true, false)] {
        let namespace = restricted(access).await;
        let found = run(access, &namespace, Node::Runs { ingress, egress }, PATIENCE).await;
        let of = |enforces: bool| if enforces { yes.clone() } else { no.clone() };
        assert_eq!(found[..2], [(Aspect::Ingress, of(ingress)), (Aspect::Egress, of(egress))]);
        assert_eq!(left(access, &namespace).await, 0);
    }
}

#[tokio::test]
async fn what_could_not_be_told_is_never_called_enforced() {
    let access = api_server().await;
    let short = Duration::from_secs(1);
    let table = [
        (Node::Full, short, "it is not scheduled: Unschedulable: 0/3 nodes are available"),
        (Node::NoImage, short, "waits: ImagePullBackOff: no such image"),
        (Node::Deaf, PATIENCE, "no connection without the policy either"),
        (Node::Sticky, PATIENCE, "did not come back once the policy was gone"),
        (Node::Bare, PATIENCE, "ended with 1: the image has no nc"),
    ];
    for (node, patience, said) in table {
        let namespace = restricted(access).await;
        let found = run(access, &namespace, node, patience).await;
        let (_, first) = &found[0];
        assert!(first.to_string().contains(said), "{first}");
        assert!(found.iter().all(|(_, it)| matches!(it, Finding::CouldNotTell(_))), "{found:?}");
        assert_eq!(left(access, &namespace).await, 0, "{said}");
    }
}

#[tokio::test]
async fn what_a_killed_probe_left_is_taken_away_by_the_next_one() {
    let access = api_server().await;
    let namespace = restricted(access).await;
    let policies = Objects::<NetworkPolicy>::namespaced(client(access).await, &namespace);
    let theirs: NetworkPolicy = serde_json::from_value(
        json!({"metadata": {"name": "theirs"}, "spec": {"podSelector": {"matchLabels": {"app": "x"}}}}),
    )
    .expect("a policy");
    let theirs = policies.create(&PostParams::default(), &theirs).await.expect("created");
    let api = connect(access).await;
    let probe = probe(&namespace, PATIENCE);
    // Under its first policy, of which nobody writes that it blocks.
    let killed = {
        let (api, probe) = (api.clone(), probe.clone());
        tokio::spawn(async move { probe.run(&api).await.map(drop) })
    };
    {
        let _kubelet = Kubelet::start(access, &namespace, ENFORCES).await;
        let begun = until("a policy of the probe", PATIENCE, async || {
            let live = policies.get_opt(SERVER).await.map_err(|error| error.to_string())?;
            live.map(drop).ok_or_else(|| "not yet".to_owned())
        });
        begun.await.map_err(|error| error.to_string()).expect("begun");
    }
    killed.abort();
    assert!(left(access, &namespace).await > 0);

    probe.clean(&api).await.expect("cleaned");
    assert_eq!(left(access, &namespace).await, 0);
    assert_eq!(policies.get("theirs").await.expect("theirs"), theirs);
    let found = run(access, &namespace, ENFORCES, PATIENCE).await;
    assert_eq!(found[0], (Aspect::Ingress, Finding::Enforces));
}

#[tokio::test]
async fn a_pod_that_goes_meanwhile_ends_it() {
    let access = api_server().await;
    let namespace = restricted(access).await;
    let api = connect(access).await;
    let probe = probe(&namespace, PATIENCE);
    let running = {
        let (api, probe) = (api.clone(), probe.clone());
        tokio::spawn(async move { probe.run(&api).await })
    };
    let pods = pods(access, &namespace).await;
    let made = until("the server", PATIENCE, async || {
        let live = pods.get_opt(SERVER).await.map_err(|error| error.to_string())?;
        live.map(drop).ok_or_else(|| "not yet".to_owned())
    });
    made.await.map_err(|error| error.to_string()).expect("made");
    pods.delete(SERVER, &Default::default()).await.expect("deleted");
    let found = running.await.expect("ended").expect("findings");
    assert!(found[0].1.to_string().contains("has another probe begun?"), "{found:?}");
}

#[tokio::test]
async fn what_only_has_the_name_of_a_probes_pod_is_not_touched() {
    let access = api_server().await;
    let namespace = namespace(access).await;
    let theirs = super::pod(access, &namespace, SERVER, &super::container_id("theirs")).await;
    let refused = probe(&namespace, PATIENCE).clean(&connect(access).await).await;
    assert!(refused.expect_err("refused").why.contains("is not a probe's"));
    assert_eq!(pods(access, &namespace).await.get(SERVER).await.expect("theirs"), theirs);
}

#[tokio::test]
async fn what_the_server_refuses_is_why_it_could_not_be_told() {
    let access = api_server().await;
    define(access, &TIERS).await;
    let api = super::roles::connect_with(access, "act-probe-nobody", &[]).await;
    let found = probe("default", PATIENCE).run(&api).await.expect("findings");
    for (_, finding) in found {
        assert!(finding.to_string().contains("cannot create resource \"pods\""), "{finding}");
    }
}
