//! The two pods: what runs in them, and under which restrictions.

use k8s_openapi::api::core::v1::Pod;
use serde_json::{Value, json};

use super::Aspect;
use crate::act::config::ConfigError;

/// The pod that is connected to.
pub(super) const SERVER: &str = "stoop-probe-server";
/// The pod that connects.
pub(super) const CLIENT: &str = "stoop-probe-client";
/// On both, and on the policies: which of the two.
pub(super) const ROLE: &str = "stoop.dev/probe";

const PORT: u16 = 8080;

/// How often a connection is tried until it is as expected, one or two seconds apart.
const TRIES: u32 = 20;
/// How many failures in a row are no accident.
const IN_A_ROW: u32 = 3;

/// One after the other, for the shell and `nc` of any image that has both.
const SERVE: &str = "while :; do nc -l -p \"$PORT\" </dev/null >/dev/null; done";

/// Says in the termination message what it saw last. It ends well whatever it saw, or nothing would be tried after it.
const CONNECT: &str = "\
command -v nc >/dev/null || { echo 'the image has no nc' >/dev/termination-log; exit 1; }
row=0 try=0
while [ \"$try\" -lt \"$TRIES\" ]; do
  try=$((try + 1))
  if nc -w 2 \"$ADDRESS\" \"$PORT\" </dev/null >/dev/null 2>&1; then now=open; else now=blocked; fi
  if [ \"$now\" = \"$WANTED\" ]; then row=$((row + 1)); else row=0; fi
  if [ \"$row\" -ge \"$ROW\" ]; then break; fi
  sleep 1
done
echo \"$now\" >/dev/termination-log";

/// How a pod is made.
#[derive(Debug, Clone, Copy)]
pub(super) struct Making<'a> {
    pub(super) namespace: &'a str,
    pub(super) image: &'a str,
    /// After which the kubelet ends it, should nobody else.
    pub(super) seconds: u64,
}

/// What the client does, in order. Each part is a container of its own, since only an ended one says something.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Part {
    /// It has to connect: before everything, and once a policy is gone.
    Open(usize),
    /// It must not, under this one.
    Blocked(Aspect),
}

/// What the client saw when it tried to connect.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Saw {
    Open,
    Blocked,
}

impl Saw {
    /// As the script says it.
    pub(super) fn as_str(self) -> &'static str {
        match self {
            Saw::Open => "open",
            Saw::Blocked => "blocked",
        }
    }
}

/// The parts that these aspects take.
pub(super) fn parts(aspects: &[Aspect]) -> Vec<Part> {
    let mut parts = vec![Part::Open(0)];
    for (at, aspect) in aspects.iter().enumerate() {
        parts.extend([Part::Blocked(*aspect), Part::Open(at + 1)]);
    }
    parts
}

impl Part {
    /// What the client is to see.
    pub(super) fn wants(self) -> Saw {
        match self {
            Part::Open(_) => Saw::Open,
            Part::Blocked(_) => Saw::Blocked,
        }
    }

    /// The container's name.
    pub(super) fn name(self) -> String {
        match self {
            Part::Open(at) => format!("open-{at}"),
            Part::Blocked(Aspect::Ingress) => "ingress".into(),
            Part::Blocked(Aspect::Egress) => "egress".into(),
            Part::Blocked(Aspect::ClusterDeny) => "cluster-deny".into(),
        }
    }

    fn container(self, image: &str, address: &str) -> Value {
        let row = match self {
            Part::Open(_) => 1,
            Part::Blocked(_) => IN_A_ROW,
        };
        let env = [
            ("WANTED", self.wants().as_str().to_owned()),
            ("ROW", row.to_string()),
            ("ADDRESS", address.to_owned()),
        ];
        container(&self.name(), image, CONNECT, &env)
    }
}

/// The pod that is connected to.
pub(super) fn server(making: &Making<'_>) -> Result<Pod, ConfigError> {
    let only = container("server", making.image, SERVE, &[]);
    pod(SERVER, making, json!([]), json!([only]))
}

/// The pod that connects there.
pub(super) fn client(
    making: &Making<'_>,
    address: &str,
    aspects: &[Aspect],
) -> Result<Pod, ConfigError> {
    let mut all: Vec<_> =
        parts(aspects).iter().map(|part| part.container(making.image, address)).collect();
    let last = all.pop();
    pod(CLIENT, making, json!(all), json!([last]))
}

/// As restricted as Pod Security knows it: <https://kubernetes.io/docs/concepts/security/pod-security-standards/>
fn container(name: &str, image: &str, script: &str, env: &[(&str, String)]) -> Value {
    let common = [("PORT", PORT.to_string()), ("TRIES", TRIES.to_string())];
    let env: Vec<_> = common
        .iter()
        .chain(env)
        .map(|(name, value)| json!({"name": name, "value": value}))
        .collect();
    json!({
        "name": name, "image": image, "command": ["sh", "-c", script], "env": env,
        "resources": {
            "requests": {"cpu": "10m", "memory": "16Mi"}, "limits": {"cpu": "100m", "memory": "32Mi"}
        },
        "securityContext": {
            "allowPrivilegeEscalation": false, "readOnlyRootFilesystem": true,
            "capabilities": {"drop": ["ALL"]}
        }
    })
}

fn pod(
    name: &str,
    making: &Making<'_>,
    before: Value,
    containers: Value,
) -> Result<Pod, ConfigError> {
    serde_json::from_value(json!({
        "metadata": {
            "name": name, "namespace": making.namespace,
            "labels": {"app.kubernetes.io/managed-by": "stoop", ROLE: name}
        },
        "spec": {
            "activeDeadlineSeconds": making.seconds, "restartPolicy": "Never",
            "automountServiceAccountToken": false, "enableServiceLinks": false,
            "terminationGracePeriodSeconds": 1,
            "securityContext": {
                "runAsNonRoot": true, "runAsUser": 65534, "runAsGroup": 65534,
                "seccompProfile": {"type": "RuntimeDefault"}
            },
            "initContainers": before, "containers": containers
        }
    }))
    .map_err(|error| ConfigError::new(error.to_string()))
}
