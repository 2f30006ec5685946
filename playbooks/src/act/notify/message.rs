//! What a notification says: the event, and what was done about it, every text made harmless.

use serde::Serialize;
use sha2::{Digest as _, Sha256};

use crate::{
    act::{
        occurrence::Occurrence,
        response::{Standing, StepReport},
        text::clean,
        trace::TraceParent,
    },
    decide::Mode,
};

/// How much of a text that the event chose is shown.
const LIMIT: usize = 256;

/// One message, the same for every sink. There is no template language: fields are values, never text to expand.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Notification<'a> {
    /// For receivers that drop what they have seen: the same for every copy of this message.
    pub key: String,
    /// The event's identity, in hex.
    pub event_id: String,
    /// The rule's name.
    pub rule: String,
    /// How severe it is, as Falco writes it.
    pub priority: &'static str,
    /// When it happened.
    pub time: jiff::Timestamp,
    /// Where Falco saw it.
    pub source: String,
    /// Falco's text.
    pub output: String,
    /// The verified pod, as `namespace/name`, or node, as `node name`; what the event says where there is none.
    pub target: Option<String>,
    /// True where `target` is the verified object, false where it is the event's word alone.
    pub verified: bool,
    /// The node, or the Falco pod's own name.
    pub hostname: Option<String>,
    /// The cluster that the event names.
    pub cluster: Option<String>,
    /// The playbook's name.
    pub playbook: &'a str,
    /// `observe`, `dryRun` or `enforce`.
    pub mode: &'static str,
    /// The trace that the event's publisher was in: the value of `traceparent`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub trace: Option<TraceParent>,
    /// What was done so far.
    pub steps: Vec<StepLine>,
}

/// What became of one action.
#[derive(Debug, Serialize)]
pub struct StepLine {
    /// The action's name.
    pub action: &'static str,
    /// `applied`, `refused`, …
    pub outcome: &'static str,
    /// The guardrail, or the kind of failure.
    pub reason: Option<&'static str>,
    /// What happened.
    pub detail: String,
}

impl<'a> Notification<'a> {
    pub(in crate::act) fn new(
        occurrence: &Occurrence,
        standing: &Standing,
        playbook: &'a str,
        mode: Mode,
        steps: &[StepReport],
    ) -> Notification<'a> {
        let (target, verified) = match standing {
            Standing::Target(target) => {
                (Some(format!("{}/{}", target.namespace(), target.name())), true)
            }
            Standing::Node(node) => (Some(node.object().to_string()), true),
            Standing::Gone(_) | Standing::NoTarget | Standing::Unidentified(_) => {
                (claimed(occurrence), false)
            }
        };
        Notification {
            key: key(occurrence, playbook),
            event_id: occurrence.id.to_string(),
            rule: clean(&occurrence.rule, LIMIT),
            priority: occurrence.priority.as_str(),
            time: occurrence.time,
            source: clean(&occurrence.source, LIMIT),
            output: clean(&occurrence.output, 4 * LIMIT),
            target,
            verified,
            hostname: occurrence.hostname.as_deref().map(|name| clean(name, LIMIT)),
            cluster: occurrence.cluster.as_deref().map(|name| clean(name, LIMIT)),
            playbook,
            mode: mode.as_str(),
            trace: occurrence.trace.clone(),
            steps: steps.iter().map(StepLine::new).collect(),
        }
    }
}

impl StepLine {
    fn new(step: &StepReport) -> StepLine {
        StepLine {
            action: step.action,
            outcome: step.outcome.as_str(),
            reason: step.outcome.reason(),
            detail: clean(step.outcome.detail(), LIMIT),
        }
    }
}

/// The pod that the event names, harmless but unproven.
fn claimed(occurrence: &Occurrence) -> Option<String> {
    let field = |key: &str| occurrence.fields.get(key).map(|text| clean(text, LIMIT));
    let name = field("k8s.pod.name").or_else(|| field("ka.target.name"))?;
    match field("k8s.ns.name").or_else(|| field("ka.target.namespace")) {
        Some(namespace) => Some(format!("{namespace}/{name}")),
        None => Some(name),
    }
}

/// Event and playbook: a redelivery repeats it, another playbook's message about the same event does not.
fn key(occurrence: &Occurrence, playbook: &str) -> String {
    let mut hash = Sha256::new();
    hash.update(occurrence.id.to_string());
    hash.update(playbook);
    hash.finalize().iter().take(16).map(|byte| format!("{byte:02x}")).collect()
}
