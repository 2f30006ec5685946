//! What exactly a job is to look at: the node, the container by its id, the pod's addresses. All of it as the API server tells.

use std::net::IpAddr;

use k8s_openapi::api::core::v1::{ContainerStatus, Pod};

use super::request;
use crate::act::{
    actions::capture::config::JobKind,
    occurrence::Occurrence,
    outcome::{Guardrail, Refusal},
    target::Verified,
};

/// What is looked at.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Aim {
    pub(super) node: String,
    /// In full, without the runtime's name.
    pub(super) container: Option<String>,
    pub(super) addresses: Vec<IpAddr>,
    /// Of files, as the container sees them; the last can be the event's word.
    pub(super) paths: Vec<String>,
}

/// Why there is nothing to look at.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Missed {
    Refused(Refusal),
    Gone(String),
}

impl Aim {
    pub(super) fn at(
        kind: &JobKind,
        target: &Verified,
        occurrence: &Occurrence,
    ) -> Result<Aim, Missed> {
        let Some(node) = target.node() else {
            return Err(refused(Guardrail::Identity, "the pod is on no node yet"));
        };
        let paths = request::paths(kind, occurrence);
        if paths.is_empty() && matches!(kind, JobKind::Files { .. }) {
            return Err(refused(Guardrail::Identity, "the event names no file in fd.name"));
        }
        let node = node.to_owned();
        let mut aim = Aim { node, container: None, addresses: Vec::new(), paths };
        match kind {
            JobKind::Files { .. } | JobKind::Syscalls(_) => {
                let named = occurrence.fields.get("container.id").map(String::as_str);
                aim.container = Some(container(target.pod(), named)?);
            }
            JobKind::Packets(_) => aim.addresses = addresses(target.pod())?,
        }
        Ok(aim)
    }
}

/// The container that the event is about, or the only one.
fn container(pod: &Pod, named: Option<&str>) -> Result<String, Missed> {
    let status = pod.status.as_ref();
    let all: Vec<&ContainerStatus> = status
        .into_iter()
        .flat_map(|status| {
            [
                &status.container_statuses,
                &status.init_container_statuses,
                &status.ephemeral_container_statuses,
            ]
        })
        .flatten()
        .flatten()
        .collect();
    let running = |status: &&&ContainerStatus| {
        status.state.as_ref().is_none_or(|state| state.terminated.is_none())
    };
    let ids: Vec<&str> = all.iter().filter(running).filter_map(|status| id(status)).collect();
    match (named, &ids[..]) {
        (Some(named), _) => {
            let found = ids.iter().find(|id| !named.is_empty() && id.starts_with(named));
            found.map(|id| (*id).to_owned()).ok_or_else(|| {
                Missed::Gone("the container that the event is about has ended".to_owned())
            })
        }
        (None, [only]) => Ok((*only).to_owned()),
        (None, []) => Err(Missed::Gone("no container of the pod runs".to_owned())),
        (None, _) => Err(refused(
            Guardrail::Identity,
            "the event names none of the pod's containers: let Falco's output have container.id",
        )),
    }
}

/// As a runtime that can be looked for names it; what is written on the node's side goes by it.
fn id(status: &ContainerStatus) -> Option<&str> {
    let (_, id) = status.container_id.as_deref()?.split_once("://")?;
    let is_hex =
        id.len() == 64 && id.chars().all(|c| c.is_ascii_digit() || ('a'..='f').contains(&c));
    is_hex.then_some(id)
}

fn addresses(pod: &Pod) -> Result<Vec<IpAddr>, Missed> {
    if pod.spec.as_ref().and_then(|spec| spec.host_network) == Some(true) {
        let why = "the pod is on its node's network: its packets can't be told from the node's";
        return Err(refused(Guardrail::HostNetwork, why));
    }
    let status = pod.status.as_ref();
    let all: Vec<IpAddr> = status
        .and_then(|status| status.pod_ips.as_ref())
        .into_iter()
        .flatten()
        .filter_map(|address| address.ip.parse().ok())
        .collect();
    match all.is_empty() {
        true => Err(refused(Guardrail::Identity, "the pod has no address yet")),
        false => Ok(all),
    }
}

fn refused(guardrail: Guardrail, why: &str) -> Missed {
    Missed::Refused(Refusal::new(guardrail, why))
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn pod(value: Value) -> Pod {
        serde_json::from_value(value).unwrap()
    }

    fn status(id: &str, ended: bool) -> Value {
        let state =
            if ended { json!({"terminated": {"exitCode": 0}}) } else { json!({"running": {}}) };
        json!({
            "name": "c", "image": "i", "imageID": "", "ready": true, "restartCount": 0,
            "containerID": id, "state": state
        })
    }

    const FIRST: &str = "6ac7d190134e3f2a6ac7d190134e3f2a6ac7d190134e3f2a6ac7d190134e3f2a";
    const SECOND: &str = "0b6f1d3c7e580b6f1d3c7e580b6f1d3c7e580b6f1d3c7e580b6f1d3c7e580b6f";

    #[test]
    fn the_container_is_the_events_own_or_the_only_one() {
        let of = |ids: &[(&str, bool)]| {
            let all: Vec<_> = ids
                .iter()
                .map(|(id, ended)| status(&format!("containerd://{id}"), *ended))
                .collect();
            pod(json!({"status": {"containerStatuses": all}}))
        };
        let two = of(&[(FIRST, false), (SECOND, false)]);
        assert_eq!(container(&two, Some(&FIRST[..12])), Ok(FIRST.to_owned()));
        assert!(matches!(container(&two, None), Err(Missed::Refused(_))));
        assert!(matches!(container(&two, Some("ffffffffffff")), Err(Missed::Gone(_))));
        assert!(matches!(container(&two, Some("")), Err(Missed::Gone(_))));
        assert_eq!(container(&of(&[(FIRST, false)]), None), Ok(FIRST.to_owned()));
        assert!(matches!(
            container(&of(&[(FIRST, true)]), Some(&FIRST[..12])),
            Err(Missed::Gone(_))
        ));
        assert!(matches!(container(&of(&[("../../etc", false)]), None), Err(Missed::Gone(_))));
    }

    #[test]
    fn packets_are_those_of_the_pods_own_addresses() {
        let own = pod(
            json!({"status": {"podIPs": [{"ip": "10.0.0.7"}, {"ip": "fd00::7"}, {"ip": "or host 1"}]}}),
        );
        let expected: Vec<IpAddr> = vec!["10.0.0.7".parse().unwrap(), "fd00::7".parse().unwrap()];
        assert_eq!(addresses(&own), Ok(expected));
        let on_host = pod(
            json!({"spec": {"hostNetwork": true, "containers": []}, "status": {"podIPs": [{"ip": "10.0.0.7"}]}}),
        );
        assert!(
            matches!(addresses(&on_host), Err(Missed::Refused(refusal)) if refusal.guardrail == Guardrail::HostNetwork)
        );
        assert!(matches!(addresses(&pod(json!({}))), Err(Missed::Refused(_))));
    }
}
