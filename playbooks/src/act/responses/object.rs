//! The custom resource `Response`: what `stoop crds` prints is generated from these types.
//!
//! The spec says what is being answered, by whom, and what may have to be taken back; workers write it before they act.
//! The status says what came of it. A run is counted, so that a status of an earlier one is not taken for the present.

#![allow(
    clippy::indexing_slicing,
    reason = "a `Value` that is indexed by name gives null, or takes it: all of these are objects"
)]
#![expect(unreachable_pub, reason = "the derive repeats the structs where nobody can see them")]

use jiff::Timestamp;
use kube::{CustomResource, CustomResourceExt as _, KubeSchema};
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Serialize};
use serde_json::json;

use super::undo::Undo;

/// One playbook's answer on one target.
#[derive(CustomResource, Clone, Debug, PartialEq, Serialize, Deserialize, KubeSchema)]
#[kube(
    group = "stoop.dev",
    version = "v1alpha1",
    kind = "Response",
    root = "StoredResponse",
    namespaced,
    status = "ResponseStatus",
    derive = "PartialEq",
    category = "stoop",
    doc = "One playbook's answer on one target: what was done, the evidence, the expiry, how to undo it.",
    printcolumn(json_path = ".spec.playbook", name = "Playbook", type_ = "string"),
    printcolumn(json_path = ".spec.target.kind", name = "Kind", type_ = "string", priority = 1),
    printcolumn(json_path = ".spec.target.namespace", name = "Of", type_ = "string"),
    printcolumn(json_path = ".spec.target.name", name = "Target", type_ = "string"),
    printcolumn(json_path = ".status.phase", name = "Phase", type_ = "string"),
    printcolumn(json_path = ".status.done", name = "Done", type_ = "string"),
    printcolumn(json_path = ".status.expiresAt", name = "Expires", type_ = "string"),
    printcolumn(json_path = ".spec.event.rule", name = "Rule", type_ = "string", priority = 1),
    printcolumn(json_path = ".metadata.creationTimestamp", name = "Age", type_ = "date"),
    validation = Rule::new("self.spec.run >= oldSelf.spec.run").message("runs are counted upwards")
)]
#[x_kube(
    validation = Rule::new("self.playbook == oldSelf.playbook").message("a response stays its playbook's"),
    validation = Rule::new("has(self.target) == has(oldSelf.target) && (!has(self.target) || self.target == oldSelf.target)").message("a response stays its target's"),
    validation = Rule::new("self.run != oldSelf.run || !has(oldSelf.decision) || (has(self.decision) && self.decision == oldSelf.decision)").message("what was decided stays decided"),
    validation = Rule::new("self.run != oldSelf.run || self.event == oldSelf.event").message("a run stays its event's"),
    validation = Rule::new("self.run != oldSelf.run || !has(self.held) || (has(oldSelf.held) && self.held == oldSelf.held)").message("an event that is held is not exchanged")
)]
#[serde(rename_all = "camelCase")]
pub struct ResponseSpec {
    /// The playbook's name; an object's is behind its namespace and a slash.
    #[schemars(length(min = 1, max = 317))]
    pub playbook: String,
    /// What is answered; absent where the event alone is.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub target: Option<TargetRef>,
    /// The cluster's name, as it is configured.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 253))]
    pub cluster: Option<String>,
    /// The event that began this run, in short.
    pub event: EventSummary,
    /// Counts the runs: one more with each event that no earlier run has answered.
    #[schemars(range(min = 1))]
    pub run: u32,
    /// When this run began.
    #[schemars(schema_with = "moment")]
    pub began: Timestamp,
    /// Who is at it.
    pub claim: Claim,
    /// What it may change, and so may have to take back. Written before anything is changed.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 32))]
    pub changes: Vec<Change>,
    /// The event itself, while it waits for an approval.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub held: Option<Held>,
    /// Who takes its changes back.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reverting: Option<Reverting>,
    /// What a person has decided of the event that is held: `kubectl patch` it here, or `stoop responses approve`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub decision: Option<Decision>,
}

/// A verified target.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct TargetRef {
    /// `Pod`, `Node`, …
    #[schemars(length(min = 1, max = 63))]
    pub kind: String,
    /// Absent for kinds without namespaces.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 253))]
    pub namespace: Option<String>,
    /// Its name.
    #[schemars(length(min = 1, max = 253))]
    pub name: String,
    /// Its uid; absent where the object is only a place that a change was made at.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 128))]
    pub uid: Option<String>,
}

/// An event in short: its own words, made harmless and cut.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct EventSummary {
    /// The event's identity, in hex.
    #[schemars(length(max = 64))]
    pub id: String,
    /// The rule's name.
    #[schemars(length(max = 512))]
    pub rule: String,
    /// `Notice`, `Critical`, …
    #[schemars(length(max = 32))]
    pub priority: String,
    /// `syscall`, `k8s_audit`, …
    #[schemars(length(max = 128))]
    pub source: String,
    /// When it happened.
    #[schemars(schema_with = "moment")]
    pub time: Timestamp,
    /// What Falco said.
    #[schemars(length(max = 2048))]
    pub output: String,
}

/// Who is at a response. Anyone may go on with it once the time is over.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Claim {
    /// The worker's name.
    #[schemars(length(max = 253))]
    pub worker: String,
    /// Until when it is left alone with it.
    #[schemars(schema_with = "moment")]
    pub until: Timestamp,
}

/// Who takes changes back. Anyone may go on with it once the time is over.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Reverting {
    /// The name of the worker, or of the command.
    #[schemars(length(max = 253))]
    pub worker: String,
    /// Until when it is left alone with it.
    #[schemars(schema_with = "moment")]
    pub until: Timestamp,
    /// All of them, and not only those that have expired.
    #[serde(default, rename = "all", skip_serializing_if = "std::ops::Not::not")]
    pub is_all: bool,
}

/// One change that a run may make.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Change {
    /// The action's name.
    #[schemars(length(max = 63))]
    pub action: String,
    /// How it is taken back.
    pub undo: Undo,
    /// On which object.
    pub object: TargetRef,
    /// When it is taken back by itself.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "moment")]
    pub expires_at: Option<Timestamp>,
    /// True where an earlier run has made it, and left it.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub earlier: bool,
}

/// An event that waits.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Held {
    /// The message's original bytes.
    #[schemars(length(max = 131_072))]
    pub payload: String,
    /// When the question is over if nobody has answered it.
    #[schemars(schema_with = "moment")]
    pub until: Timestamp,
}

/// A person's word.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum Decision {
    /// It is to run.
    Approved,
    /// It is not.
    Denied,
}

/// What came of a run.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct ResponseStatus {
    /// Where it stands.
    #[serde(default)]
    pub phase: Phase,
    /// The run that this is about; an earlier one than the spec's is history.
    #[serde(default)]
    pub run: u32,
    /// How many events this run has answered.
    #[serde(default)]
    pub members: u64,
    /// What was done, in a line.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    #[schemars(length(max = 512))]
    pub done: String,
    /// What each action came to.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 32))]
    pub actions: Vec<ActionResult>,
    /// Where what was captured is.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 32))]
    pub evidence: Vec<EvidenceRef>,
    /// When the run ended.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "moment")]
    pub finished: Option<Timestamp>,
    /// When the first of its changes is taken back by itself.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "moment")]
    pub expires_at: Option<Timestamp>,
    /// How a person takes it back; absent where nothing can be.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 512))]
    pub undo: Option<String>,
    /// What has been taken back.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 32))]
    pub undone: Vec<Undone>,
}

/// Where a response stands.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
pub enum Phase {
    /// A worker is at it, or was.
    #[default]
    Running,
    /// It waits for an approval.
    Pending,
    /// Everything was done, or found done.
    Succeeded,
    /// Something failed for good.
    Failed,
    /// A guardrail said no.
    Refused,
    /// A person said no.
    Denied,
    /// Nobody has approved it in time.
    Expired,
    /// What could be taken back was.
    Reverted,
}

/// What one action came to.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct ActionResult {
    /// The action's name.
    #[schemars(length(max = 63))]
    pub action: String,
    /// `applied`, `already-done`, `skipped`, `refused`, `failed`.
    #[schemars(length(max = 32))]
    pub outcome: String,
    /// The closed word that narrows it down.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 63))]
    pub reason: Option<String>,
    /// In words.
    #[schemars(length(max = 2048))]
    pub detail: String,
    /// When it ended.
    #[schemars(schema_with = "moment")]
    pub time: Timestamp,
}

/// Where something that was captured is kept.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct EvidenceRef {
    /// Its manifest, or the thing itself.
    #[schemars(length(min = 1, max = 2048))]
    pub url: String,
    /// The SHA-256 of what is there, in hex.
    #[schemars(length(max = 64))]
    pub sha256: String,
}

/// A change that was taken back.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Undone {
    /// The action's name.
    #[schemars(length(max = 63))]
    pub action: String,
    /// On which object.
    pub object: TargetRef,
    /// What came of it.
    #[schemars(length(max = 2048))]
    pub detail: String,
    /// When.
    #[schemars(schema_with = "moment")]
    pub time: Timestamp,
}

/// `Option` is what the field itself says: an absent key.
fn moment(_: &mut SchemaGenerator) -> Schema {
    json_schema!({"type": "string", "format": "date-time"})
}

impl Phase {
    /// Every phase.
    pub const ALL: [Phase; 8] = [
        Phase::Running,
        Phase::Pending,
        Phase::Succeeded,
        Phase::Failed,
        Phase::Refused,
        Phase::Denied,
        Phase::Expired,
        Phase::Reverted,
    ];

    /// The word that the object has for it.
    pub const fn as_str(self) -> &'static str {
        match self {
            Phase::Running => "Running",
            Phase::Pending => "Pending",
            Phase::Succeeded => "Succeeded",
            Phase::Failed => "Failed",
            Phase::Refused => "Refused",
            Phase::Denied => "Denied",
            Phase::Expired => "Expired",
            Phase::Reverted => "Reverted",
        }
    }
}

impl StoredResponse {
    /// The status, if it is about the present run.
    pub fn current(&self) -> Option<&ResponseStatus> {
        self.status.as_ref().filter(|status| status.run == self.spec.run)
    }

    /// Where it stands.
    pub fn phase(&self) -> Phase {
        self.current().map(|status| status.phase).unwrap_or_default()
    }

    /// The definition, as `kubectl apply` takes it.
    pub fn definition() -> serde_json::Value {
        let mut definition = json!(StoredResponse::crd());
        let versions = definition["spec"]["versions"].as_array_mut();
        for version in versions.into_iter().flatten() {
            // A status is never stored with a new object: without one, `kubectl get` would show no phase.
            version["schema"]["openAPIV3Schema"]["properties"]["status"]["default"] =
                json!({"phase": Phase::Running});
        }
        definition
    }
}
