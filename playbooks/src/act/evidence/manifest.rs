//! The manifest: what was captured, of whom, when, and the hash of every byte; and what was not.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

/// One run of a capture. It is created once and never changed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Manifest {
    /// Of this format: 1.
    pub version: u32,
    /// The capture's name, the same for every copy of the event.
    pub capture: String,
    /// `snapshot`, `files`, `syscalls` or `packets`.
    pub kind: String,
    /// What it is about.
    pub about: About,
    /// When the capture began.
    pub started: Timestamp,
    /// When its last byte was stored.
    pub ended: Timestamp,
    /// What is kept.
    pub artefacts: Vec<Artefact>,
    /// What could not be had, and why.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub missing: Vec<Missing>,
    /// What the worker had no right to read, and why. With anything here the capture is partial, and a later run that may
    /// read more adds a manifest beside this one.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub forbidden: Vec<Missing>,
}

/// The event and the pod that a capture is about.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct About {
    /// The event's identity.
    pub event: String,
    /// The event's rule.
    pub rule: String,
    /// When the event happened.
    pub time: Timestamp,
    /// The playbook that asked for it.
    pub playbook: String,
    /// The cluster's configured name.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cluster: Option<String>,
    /// The pod's namespace; of a pod that is gone, what the event claimed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub namespace: Option<String>,
    /// The pod's name; of a pod that is gone, what the event claimed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pod: Option<String>,
    /// The pod's uid; of a pod that is gone, what the event claimed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub uid: Option<String>,
    /// The node that it ran on.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub node: Option<String>,
    /// False for a pod that was gone: then nothing of the above is verified.
    pub verified: bool,
}

/// One object in the store.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Artefact {
    /// Its key below the manifest's folder.
    pub key: String,
    /// In bytes.
    pub size: u64,
    /// In hex.
    pub sha256: String,
    /// Where it is not all that there was: how it was cut.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cut: Option<String>,
}

impl Artefact {
    /// Its name: the key without the part that no other try has.
    pub fn name(&self) -> &str {
        self.key.rsplit('/').next().unwrap_or(&self.key)
    }
}

/// Something that was asked for and is not there.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Missing {
    /// Such as `log-web.txt`.
    pub what: String,
    /// Why.
    pub why: String,
}
