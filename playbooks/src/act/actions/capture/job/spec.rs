//! The job itself: everything that it may, and why.

use k8s_openapi::api::batch::v1::Job;
use kube::ResourceExt as _;
use serde_json::{Value, json};

use super::{request::Request, turn};
use crate::act::{
    actions::capture::{config::JobKind, settings::Jobs},
    evidence::About,
    outcome::Failure,
};

/// What the capture is about, as its manifest will say, in JSON.
const ABOUT: &str = "stoop.dev/about";
/// The key of the object that it uploads.
const KEY: &str = "stoop.dev/evidence-key";

/// Beyond the day that an event may be old for the longest-lived action: until then a redelivery finds the job.
const KEPT: u32 = 2 * 24 * 60 * 60;

/// What the job's disk holds beside what it captures.
const SPARE: u64 = 16 << 20;

/// Everything that makes a job.
pub(super) struct Order<'a> {
    pub(super) name: &'a str,
    pub(super) jobs: &'a Jobs,
    pub(super) kind: &'a JobKind,
    pub(super) node: &'a str,
    pub(super) about: &'a About,
    pub(super) key: &'a str,
    pub(super) request: &'a Request<'a>,
    /// Seconds until Kubernetes ends it.
    pub(super) lasts: u64,
}

/// What the program has to be allowed, by kind. Nothing has the host's file system, a token, or more than this.
struct Powers {
    host_pid: bool,
    host_network: bool,
    capabilities: &'static [&'static str],
    /// What it is likely to use, and what it may: counted by the kubelet, which turns away what doesn't fit.
    memory: (&'static str, &'static str),
}

impl Powers {
    fn of(kind: &JobKind) -> Powers {
        match kind {
            // SYS_PTRACE to go through another process's root, DAC_READ_SEARCH to read files of any owner there.
            JobKind::Files { .. } => Powers {
                host_pid: true,
                host_network: false,
                capabilities: &["SYS_PTRACE", "DAC_READ_SEARCH"],
                // Python, and a MiB of a file at a time; the pages of what it writes are given back.
                memory: ("64Mi", "512Mi"),
            },
            // BPF and PERFMON to load sysdig's probe, SYS_RESOURCE to lock its buffers, SYS_PTRACE to read what the
            // processes are that run already.
            JobKind::Syscalls(_) => Powers {
                host_pid: true,
                host_network: false,
                capabilities: &["BPF", "PERFMON", "SYS_RESOURCE", "SYS_PTRACE"],
                // sysdig's buffers are 8 MiB for each CPU, and count; beside them, what it knows of the node's processes.
                memory: ("256Mi", "2Gi"),
            },
            // NET_RAW to open the socket, SETGID since tcpdump sets its groups before it records, those of root too. On the
            // node's network, where the pod's packets pass: to enter the pod's own would take SYS_ADMIN.
            JobKind::Packets(_) => Powers {
                host_pid: false,
                host_network: true,
                capabilities: &["NET_RAW", "SETGID"],
                // Python, tcpdump and its buffer.
                memory: ("64Mi", "512Mi"),
            },
        }
    }
}

pub(super) fn job(order: &Order<'_>) -> Result<Job, Failure> {
    let unwritable =
        |error| Failure::permanent(format!("the capture job can't be written: {error}"));
    let request = order.request.text().map_err(unwritable)?;
    let about = serde_json::to_string(order.about).map_err(unwritable)?;
    let labels = json!({
        "app.kubernetes.io/name": "stoop-capture", "app.kubernetes.io/managed-by": "stoop",
        "stoop.dev/capture": order.kind.as_str(), turn::NODE: turn::label(order.node),
    });
    let job = json!({
        "metadata": {
            "name": order.name, "namespace": order.jobs.namespace, "labels": labels,
            "annotations": {ABOUT: about, KEY: order.key},
        },
        "spec": {
            "activeDeadlineSeconds": order.lasts, "backoffLimit": 0,
            "ttlSecondsAfterFinished": KEPT,
            "template": {"metadata": {"labels": labels}, "spec": pod(order, &request)},
        },
    });
    serde_json::from_value(job).map_err(unwritable)
}

fn pod(order: &Order<'_>, request: &str) -> Value {
    let powers = Powers::of(order.kind);
    let (likely, most) = powers.memory;
    let disk = order.kind.most() + SPARE;
    let dns = if powers.host_network { "ClusterFirstWithHostNet" } else { "ClusterFirst" };
    json!({
        // Not by the scheduler: what is to be captured is there and nowhere else.
        "nodeName": order.node,
        // Tainted nodes are those where something has happened.
        "tolerations": [{"operator": "Exists"}],
        "restartPolicy": "Never",
        "terminationGracePeriodSeconds": 5,
        "automountServiceAccountToken": false,
        "enableServiceLinks": false,
        "hostPID": powers.host_pid,
        "hostNetwork": powers.host_network,
        "dnsPolicy": dns,
        "securityContext": {"seccompProfile": {"type": "RuntimeDefault"}},
        "containers": [{
            "name": "capture",
            "image": order.jobs.image,
            "env": [{"name": "STOOP_CAPTURE", "value": request}],
            "securityContext": {
                // Capabilities that are added reach no other user.
                "runAsUser": 0,
                "allowPrivilegeEscalation": false,
                "readOnlyRootFilesystem": true,
                "capabilities": {"drop": ["ALL"], "add": powers.capabilities},
            },
            "resources": {
                "requests": {"cpu": "10m", "memory": likely},
                "limits": {"memory": most},
            },
            "volumeMounts": [{"name": "work", "mountPath": "/work"}],
        }],
        "volumes": [{"name": "work", "emptyDir": {"sizeLimit": disk.to_string()}}],
    })
}

/// What the capture is about and the key that it uploads to, where the job is one of ours.
pub(super) fn notes(job: &Job) -> Option<(About, String)> {
    let notes = job.annotations();
    let about = serde_json::from_str(notes.get(ABOUT)?).ok()?;
    Some((about, notes.get(KEY)?.clone()))
}
