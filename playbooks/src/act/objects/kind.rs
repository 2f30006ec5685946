//! The two kinds of playbooks in a cluster, and what tells one object from another.

use std::fmt;

use crate::act::{
    api::{Kind, Permission},
    roles::Right,
};

const GROUP: &str = "stoop.dev";
const VERSION: &str = "v1alpha1";

const PLAYBOOKS: Kind = Kind {
    group: GROUP,
    version: VERSION,
    kind: "Playbook",
    plural: "playbooks",
    namespaced: true,
};
const CLUSTER_PLAYBOOKS: Kind = Kind {
    group: GROUP,
    version: VERSION,
    kind: "ClusterPlaybook",
    plural: "clusterplaybooks",
    namespaced: false,
};

/// A kind of playbook.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum PlaybookKind {
    /// Without a namespace: it reaches the whole cluster.
    ClusterPlaybook,
    /// Of a namespace, and for verified pods of that one alone.
    Playbook,
}

impl PlaybookKind {
    /// Both.
    pub const ALL: [PlaybookKind; 2] = [PlaybookKind::ClusterPlaybook, PlaybookKind::Playbook];

    /// As objects name it.
    pub fn as_str(self) -> &'static str {
        self.resource().kind
    }

    /// The rights that it takes to see them all, and to tell what is made of each.
    pub fn rights() -> Vec<Right> {
        let of = |kind: PlaybookKind| {
            let Kind { group, plural, .. } = *kind.resource();
            let status = format!("{plural}/status");
            [
                Permission::new(group, plural, "list"),
                Permission::new(group, plural, "watch"),
                Permission::new(group, &status, "patch"),
            ]
        };
        let all = PlaybookKind::ALL.into_iter().flat_map(of);
        all.map(|right| Right::new(right, "playbooks as objects")).collect()
    }

    pub(super) fn resource(self) -> &'static Kind {
        match self {
            PlaybookKind::ClusterPlaybook => &CLUSTER_PLAYBOOKS,
            PlaybookKind::Playbook => &PLAYBOOKS,
        }
    }
}

impl fmt::Display for PlaybookKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// Which object.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Key {
    /// Its kind.
    pub kind: PlaybookKind,
    /// Absent for the kind without.
    pub namespace: Option<String>,
    /// `metadata.name`.
    pub name: String,
}

impl fmt::Display for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.namespace {
            Some(namespace) => write!(f, "{} {namespace}/{}", self.kind, self.name),
            None => write!(f, "{} {}", self.kind, self.name),
        }
    }
}
