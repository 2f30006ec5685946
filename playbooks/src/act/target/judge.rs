//! Whether a live pod, or a node, is the one that an event claims to be about: a pure decision.

use std::time::Duration;

use jiff::Timestamp;
use k8s_openapi::api::core::v1::{ContainerStatus, Node, Pod};

use super::verified::{annotations, is_mirror};
use crate::act::guard::FUTURE;

/// How far a node's clock may be behind the API server's.
const SKEW: Duration = Duration::from_secs(5);

/// How long the kubelet may take to report a container that Falco has already seen.
const REPORT_LAG: Duration = Duration::from_secs(30);

/// The pod's uid as Falco knows it for a static pod: the hash of its manifest.
const CONFIG_HASH: &str = "kubernetes.io/config.hash";

/// What identifies a pod in an event, and when.
#[derive(Debug, Clone)]
pub(super) struct Evidence<'a> {
    pub(super) kind: Kind<'a>,
    /// When it happened, by the clock of the one who saw it.
    pub(super) time: Timestamp,
    /// Now, by ours.
    pub(super) now: Timestamp,
}

/// The two ways in which an event can name a pod.
#[derive(Debug, Clone)]
pub(super) enum Kind<'a> {
    /// Something that ran in a container.
    Container {
        /// `k8s.pod.uid`
        uid: Option<&'a str>,
        /// `container.id` or `container.full_id`
        container: Option<&'a str>,
        /// `k8s.pod.sandbox_id`
        sandbox: Option<&'a str>,
        /// `hostname`
        host: Option<Host<'a>>,
    },
    /// A request to the API server, which gives a name alone.
    Audit,
}

/// The host that an event names, and what is known of it.
#[derive(Debug, Clone, Copy)]
pub(super) struct Host<'a> {
    pub(super) name: &'a str,
    /// Whether it is a node of this cluster; `None` as long as nobody has asked.
    pub(super) is_node: Option<bool>,
}

/// The answer for one pod.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Verdict {
    /// It is this pod.
    Passed,
    /// The event's pod is not this one, and its name is taken: it is gone.
    Gone(String),
    /// The kubelet has not reported the container yet: ask again.
    NotYet(String),
    /// Whether the event's host is a node decides it: find out, and judge again.
    AskHost,
    /// It can't be told, or it contradicts itself.
    Refused(String),
}

/// Climbs the ladder for one pod.
pub(super) fn judge(evidence: &Evidence<'_>, pod: &Pod) -> Verdict {
    let Some(created) = pod.metadata.creation_timestamp.as_ref().map(|time| time.0) else {
        return Verdict::Refused("the pod has no creationTimestamp".into());
    };
    match evidence.kind {
        Kind::Audit => judge_name("pod", evidence.time, created),
        Kind::Container { uid, container, sandbox, host } => {
            let existed = evidence.time >= earliest(created);
            let uid_agrees = uid.map(|uid| has_uid(pod, uid));
            let id_agrees = container.map(|id| runs_container(pod, id));
            // The pause container's id is in no status, so that the uid has to speak for it.
            let is_sandbox = matches!((container, sandbox), (Some(id), Some(sandbox)) if is_same_id(id, sandbox));
            match (uid_agrees, id_agrees) {
                (None, None) => Verdict::Refused(
                    "the event carries neither container.id nor k8s.pod.uid: let Falco append them"
                        .into(),
                ),
                (Some(false), Some(true)) => Verdict::Refused(
                    "the pod runs the event's container but has another uid".into(),
                ),
                (Some(false), _) => Verdict::Gone("the name belongs to another pod now".into()),
                (Some(true), Some(false)) if is_sandbox => settle(pod, existed, host),
                (uid, Some(false)) => missing_container(evidence, uid.is_some(), existed),
                (_, Some(true) | None) => settle(pod, existed, host),
            }
        }
    }
}

/// uid or container id agree: what is left can only contradict.
fn settle(pod: &Pod, existed: bool, host: Option<Host<'_>>) -> Verdict {
    if !existed {
        return Verdict::Refused(
            "the pod was created after the event that names its uid or container: are the clocks in step?".into(),
        );
    }
    let node = pod.spec.as_ref().and_then(|spec| spec.node_name.as_deref());
    match host {
        Some(host) if node != Some(host.name) => match host.is_node {
            None => Verdict::AskHost,
            Some(true) => Verdict::Refused(format!(
                "the event comes from node {}, the pod is on {}",
                host.name,
                node.unwrap_or("none")
            )),
            // Falco's own pod name, where the chart doesn't set FALCO_HOSTNAME.
            Some(false) => Verdict::Passed,
        },
        _ => Verdict::Passed,
    }
}

fn missing_container(evidence: &Evidence<'_>, uid_agrees: bool, existed: bool) -> Verdict {
    match (uid_agrees, existed) {
        (false, false) => Verdict::Gone("the pod of this name was created after the event".into()),
        (true, false) => {
            Verdict::Refused("the pod was created after the event that names its uid".into())
        }
        (_, true) if evidence.is_young() => {
            Verdict::NotYet("the pod's status doesn't list the event's container yet".into())
        }
        (_, true) => Verdict::Refused(
            "the pod's status doesn't list the event's container: it is the pause container, \
             or has been replaced more than once"
                .into(),
        ),
    }
}

/// The earliest time at which an event can be about what runs in a pod that was created then.
pub(super) fn earliest(created: Timestamp) -> Timestamp {
    created.checked_sub(SKEW).unwrap_or(Timestamp::MIN)
}

/// Judges the node that a host event names.
pub(super) fn judge_node(time: Timestamp, node: &Node) -> Verdict {
    match &node.metadata.creation_timestamp {
        Some(created) => judge_name("node", time, created.0),
        None => Verdict::Refused("the node has no creationTimestamp".into()),
    }
}

/// A name is unique at one time, so what bore it before and still does must be the one.
fn judge_name(what: &str, time: Timestamp, created: Timestamp) -> Verdict {
    // creationTimestamp has whole seconds: what was created within the event's second can't be told from an
    // earlier one, and no allowance for clocks can be made, since nothing else identifies it.
    if later(created, Duration::from_secs(1)) <= time {
        Verdict::Passed
    } else if created > time {
        Verdict::Gone(format!("the {what} of this name was created after the event"))
    } else {
        Verdict::Refused(format!("the {what} of this name was created in the event's second"))
    }
}

impl Evidence<'_> {
    /// True while the kubelet may still be about to report what the event has seen.
    pub(super) fn is_young(&self) -> bool {
        // An event from the far future would be young for years.
        self.time <= later(self.now, FUTURE) && self.now <= later(self.time, REPORT_LAG)
    }

    /// True where uid or container id point to this pod: the way to find a pod without its name.
    pub(super) fn points_to(&self, pod: &Pod) -> bool {
        match self.kind {
            Kind::Audit => false,
            Kind::Container { uid, container, .. } => {
                uid.is_some_and(|uid| has_uid(pod, uid))
                    || container.is_some_and(|id| runs_container(pod, id))
            }
        }
    }
}

/// Never beyond the last time there is, which an event can name: plain addition would panic.
fn later(time: Timestamp, by: Duration) -> Timestamp {
    time.checked_add(by).unwrap_or(Timestamp::MAX)
}

fn has_uid(pod: &Pod, uid: &str) -> bool {
    let known = match is_mirror(pod) {
        true => annotations(pod).and_then(|all| all.get(CONFIG_HASH)),
        false => pod.metadata.uid.as_ref(),
    };
    known.is_some_and(|known| known.eq_ignore_ascii_case(uid))
}

fn runs_container(pod: &Pod, id: &str) -> bool {
    let Some(status) = &pod.status else { return false };
    [
        &status.container_statuses,
        &status.init_container_statuses,
        &status.ephemeral_container_statuses,
    ]
    .into_iter()
    .flatten()
    .flatten()
    .flat_map(container_ids)
    .any(|known| is_same_id(id, known.split_once("://").map_or(known, |(_, id)| id)))
}

/// Every id that the status remembers of one container: the present one, and those that have ended.
fn container_ids(status: &ContainerStatus) -> impl Iterator<Item = &str> {
    let ended = [status.state.as_ref(), status.last_state.as_ref()];
    let ended = ended
        .into_iter()
        .flatten()
        .filter_map(|state| state.terminated.as_ref()?.container_id.as_deref());
    status.container_id.as_deref().into_iter().chain(ended)
}

/// The length of the id that Falco gives by default; anything shorter identifies nothing.
const SHORT_ID: usize = 12;

/// True where the claimed id, short or full, begins the known one.
fn is_same_id(claimed: &str, known: &str) -> bool {
    claimed.len() >= SHORT_ID
        && known.get(..claimed.len()).is_some_and(|start| start.eq_ignore_ascii_case(claimed))
}

#[cfg(test)]
mod tests;
