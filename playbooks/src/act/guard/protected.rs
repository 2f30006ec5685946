//! What is never a target: protected namespaces, the worker itself, mirror pods, system priority classes.

use std::path::Path;

use globset::{Glob, GlobSet, GlobSetBuilder};

use super::GuardrailOptions;
use crate::act::{
    config::ConfigError,
    outcome::{Guardrail, Refusal},
    target::Verified,
};

/// Protected whatever the configuration says: without these a cluster, or its watcher, is blind or down.
const ALWAYS: &[&str] = &[
    "kube-system",
    "kube-public",
    "kube-node-lease",
    "openshift",
    "openshift-*",
    "falco",
    "falco-system",
    "falcosecurity",
    "stoop",
];

/// The worker's own pod.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OwnPod {
    /// Its namespace.
    pub namespace: String,
    /// Its name.
    pub name: String,
}

impl OwnPod {
    /// Finds out which pod this process runs in; `None` outside of a cluster.
    pub fn detect() -> Option<OwnPod> {
        // Mounted into every pod that has a service account; the hostname is the pod's name, but for hostNetwork.
        let namespace = Path::new("/var/run/secrets/kubernetes.io/serviceaccount/namespace");
        let namespace = std::fs::read_to_string(namespace).ok()?.trim().to_owned();
        let name = std::env::var("POD_NAME").or_else(|_| std::env::var("HOSTNAME")).ok()?;
        Some(OwnPod { namespace, name })
    }
}

#[derive(Debug)]
pub(super) struct Protected {
    namespaces: GlobSet,
    own_pod: Option<OwnPod>,
}

impl Protected {
    pub(super) fn new(options: &GuardrailOptions) -> Result<Protected, ConfigError> {
        let mut globs = GlobSetBuilder::new();
        let own =
            options.own_namespace.iter().chain(options.own_pod.as_ref().map(|pod| &pod.namespace));
        // A namespace of ours is a name, not a pattern.
        let own = own.map(|name| globset::escape(name));
        let always = ALWAYS.iter().map(|glob| (*glob).to_owned());
        for glob in always.chain(own).chain(options.protected_namespaces.iter().cloned()) {
            let glob = Glob::new(&glob).map_err(|error| {
                ConfigError::new(error.to_string()).help("write a name or a glob such as `team-*`")
            })?;
            globs.add(glob);
        }
        let namespaces = globs.build().map_err(|error| ConfigError::new(error.to_string()))?;
        Ok(Protected { namespaces, own_pod: options.own_pod.clone() })
    }

    pub(super) fn covers(&self, namespace: &str) -> bool {
        self.namespaces.is_match(namespace)
    }

    pub(super) fn judge(&self, target: &Verified) -> Option<Refusal> {
        let namespace = target.namespace();
        if let Some(own) = &self.own_pod
            && own.namespace == namespace
            && own.name == target.name()
        {
            return Some(Refusal::new(Guardrail::OwnPod, "the target is this worker's own pod"));
        }
        if self.covers(namespace) {
            return Some(Refusal::new(
                Guardrail::ProtectedNamespace,
                format!("the namespace {namespace} is protected"),
            ));
        }
        if target.is_mirror() {
            return Some(Refusal::new(
                Guardrail::MirrorPod,
                format!("{} mirrors a static pod: change it on its node", target.object()),
            ));
        }
        target.priority_class().filter(|class| class.starts_with("system-")).map(|class| {
            Refusal::new(
                Guardrail::PriorityClass,
                format!("{} has the priority class {class}", target.object()),
            )
        })
    }
}
