//! Whose pods may be deleted: what replaces a pod decides what its deletion means.

use std::fmt;

use k8s_openapi::apimachinery::pkg::apis::meta::v1::OwnerReference;

use crate::act::{
    api::Permission,
    config::ConfigError,
    outcome::{Guardrail, Refusal},
};

/// One kind of owner, as `owners` lists it.
#[derive(Debug, Clone, PartialEq, Eq)]
enum OwnerKind {
    /// A pod without an owner: nothing replaces it.
    Standalone,
    /// A kind of an API group; its version doesn't matter.
    Of { kind: String, group: String },
}

/// Kinds that are known without their group.
const KNOWN: [(&str, &str, &str); 5] = [
    ("ReplicaSet", "apps", "replicasets"),
    ("StatefulSet", "apps", "statefulsets"),
    ("DaemonSet", "apps", "daemonsets"),
    ("Job", "batch", "jobs"),
    ("ReplicationController", "", "replicationcontrollers"),
];

/// Those of `apps` whose healthy pods `minHealthy` can count.
const COUNTED: [&str; 3] = ["ReplicaSet", "StatefulSet", "DaemonSet"];

const HELP: &str = "one of ReplicaSet, StatefulSet, DaemonSet, Job, ReplicationController, Standalone, \
                    or another kind with its API group such as `CloneSet.apps.kruise.io`";

/// The kinds whose pods may be deleted.
#[derive(Debug)]
pub(in crate::act::actions) struct Owners(Vec<OwnerKind>);

impl Owners {
    /// By default a ReplicaSet's pods alone: they have no identity and are replaced at once.
    pub(in crate::act::actions) fn read(written: Option<&[String]>) -> Result<Owners, ConfigError> {
        let Some(written) = written else {
            return Ok(Owners(vec![OwnerKind::Of {
                kind: "ReplicaSet".into(),
                group: "apps".into(),
            }]));
        };
        if written.is_empty() {
            return Err(ConfigError::new("no owner: nothing could ever be deleted").help(HELP));
        }
        written.iter().map(|text| OwnerKind::read(text)).collect::<Result<_, _>>().map(Owners)
    }

    /// The refusal where the owner's kind isn't listed.
    pub(in crate::act::actions) fn judge(&self, owner: Option<&OwnerReference>) -> Option<Refusal> {
        let kind = OwnerKind::of(owner);
        if self.0.contains(&kind) {
            return None;
        }
        let what = match owner {
            Some(owner) => format!("the pod belongs to {} {}", owner.kind, owner.name),
            None => "the pod has no owner that would replace it".to_owned(),
        };
        Some(Refusal::new(
            Guardrail::OwnerKind,
            format!("{what}: add {kind} to delete.owners to allow it"),
        ))
    }

    /// The first kind that wants no number of healthy pods at a time.
    pub(super) fn uncountable(&self) -> Option<String> {
        let counted = |kind: &&OwnerKind| match kind {
            OwnerKind::Standalone => true,
            OwnerKind::Of { .. } => COUNTED.iter().any(|name| kind.is(name, "apps")),
        };
        self.0.iter().find(|kind| !counted(kind)).map(ToString::to_string)
    }

    /// What reading the owners takes, to count their healthy pods.
    pub(super) fn permissions(&self) -> Vec<Permission> {
        let known = |kind: &OwnerKind| KNOWN.iter().find(|(name, group, _)| kind.is(name, group));
        self.0
            .iter()
            .filter_map(known)
            .map(|(_, group, resource)| Permission::new(group, resource, "get"))
            .collect()
    }
}

impl OwnerKind {
    fn read(text: &str) -> Result<OwnerKind, ConfigError> {
        if text == "Standalone" {
            return Ok(OwnerKind::Standalone);
        }
        if let Some((kind, group, _)) = KNOWN.iter().find(|(kind, ..)| *kind == text) {
            return Ok(OwnerKind::Of { kind: (*kind).to_owned(), group: (*group).to_owned() });
        }
        match text.split_once('.') {
            Some((kind, group)) if !kind.is_empty() && !group.is_empty() => {
                Ok(OwnerKind::Of { kind: kind.to_owned(), group: group.to_owned() })
            }
            _ => {
                Err(ConfigError::new(format!("`{text}` is no kind of owner that is known"))
                    .help(HELP))
            }
        }
    }

    fn of(owner: Option<&OwnerReference>) -> OwnerKind {
        match owner {
            None => OwnerKind::Standalone,
            Some(owner) => OwnerKind::Of {
                kind: owner.kind.clone(),
                group: owner
                    .api_version
                    .split_once('/')
                    .map_or(String::new(), |(group, _)| group.to_owned()),
            },
        }
    }

    fn is(&self, name: &str, of: &str) -> bool {
        matches!(self, OwnerKind::Of { kind, group } if kind == name && group == of)
    }
}

impl fmt::Display for OwnerKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            OwnerKind::Standalone => f.write_str("Standalone"),
            OwnerKind::Of { kind, group }
                if KNOWN.iter().any(|(name, of, _)| kind == name && group == of) =>
            {
                f.write_str(kind)
            }
            OwnerKind::Of { kind, group } => write!(f, "{kind}.{group}"),
        }
    }
}
