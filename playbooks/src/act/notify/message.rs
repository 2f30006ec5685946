//! What a notification says: the event, and what was done about it, every text made harmless.

use std::{borrow::Cow, sync::Arc};

use serde::Serialize;
use sha2::{Digest as _, Sha256};

use crate::{
    act::{
        object::{ObjectRef, Uid},
        occurrence::Occurrence,
        outcome::{Outcome, Refusal},
        response::{Standing, StepReport},
        text::clean,
        trace::TraceParent,
    },
    decide::Mode,
};

/// How much of a text that the event chose is shown.
const LIMIT: usize = 256;

/// One message, the same for every sink. There is no template language: fields are values, never text to expand.
#[derive(Debug, Clone, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Notification<'a> {
    /// The same for every copy of this message. What a receiver tells copies by is [`Notification::delivery`].
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
    pub playbook: Cow<'a, str>,
    /// `observe`, `dryRun` or `enforce`.
    pub mode: &'static str,
    /// The trace that the event's publisher was in: the value of `traceparent`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub trace: Option<TraceParent>,
    /// What was done so far.
    pub steps: Vec<StepLine>,
    /// Where a person says yes or no to what waits for it. Whoever has it may answer: it is for those who are told, and for no
    /// log or object that others can read.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub link: Option<String>,
    /// Others that waited for their turn with this one, as the sink's [`Pace`](super::Pace) says.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub more: Vec<Arc<Notification<'static>>>,
    /// The verified object.
    #[serde(skip)]
    pub(super) object: Option<(ObjectRef, Uid)>,
}

/// What became of one action.
#[derive(Debug, Clone, Serialize)]
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
            key: key(occurrence, playbook, steps.len()),
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
            playbook: Cow::Borrowed(playbook),
            mode: mode.as_str(),
            trace: occurrence.trace.clone(),
            steps: steps.iter().map(StepLine::new).collect(),
            link: steps.iter().find_map(asks_at),
            more: Vec::new(),
            object: standing.target().map(|target| (target.object().clone(), target.uid().clone())),
        }
    }

    /// What receivers that drop what they have seen tell copies by: the same where this message and all that goes along are.
    ///
    /// Sent again, a message can have others with it, which must not be dropped as known.
    pub fn delivery(&self) -> Cow<'_, str> {
        if self.more.is_empty() {
            return Cow::Borrowed(&self.key);
        }
        let mut hash = Sha256::new();
        hash.update(&self.key);
        self.more.iter().for_each(|other| hash.update(&other.key));
        Cow::Owned(shortened(hash))
    }

    /// One that outlives the response.
    pub fn owned(&self) -> Notification<'static> {
        Notification { playbook: Cow::Owned(self.playbook.clone().into_owned()), ..self.clone() }
    }

    /// What it all came to, in a word: the worst of the steps.
    pub(super) fn result(&self) -> &'static str {
        let had = |outcome| self.steps.iter().any(|step| step.outcome == outcome);
        match self.mode {
            "enforce" if had("failed") => "failed",
            "enforce" if had("refused") => "refused",
            "enforce" => "answered",
            _ => "observed",
        }
    }

    /// What was done, on one line, and why it was not.
    pub(super) fn done(&self) -> String {
        let steps = self.steps.iter().map(|step| match step.is_undone() {
            true => format!("{}: {}", step.words(), step.detail),
            false => step.words(),
        });
        steps.collect::<Vec<_>>().join("; ")
    }

    /// The pod, and whether it is the event's word alone.
    pub(super) fn about(&self) -> String {
        match &self.target {
            Some(target) if self.verified => target.clone(),
            Some(target) => format!("{target} (not verified)"),
            None => "no pod".to_owned(),
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

    /// The action, and what became of it: `isolate refused (approval)`.
    pub(super) fn words(&self) -> String {
        let reason = self.reason.map(|reason| format!(" ({reason})")).unwrap_or_default();
        format!("{} {}{reason}", self.action, self.outcome)
    }

    /// True where somebody has to know why it was not done.
    pub(super) fn is_undone(&self) -> bool {
        matches!(self.outcome, "failed" | "refused")
    }
}

/// The link by which this step may be let through.
fn asks_at(step: &StepReport) -> Option<String> {
    match &step.outcome {
        Outcome::Refused(Refusal { link, .. }) => link.as_deref().map(plain),
        _ => None,
    }
}

/// A link that ends nothing where it stands, be it Slack's markup, Markdown or HTML: our own are so already.
fn plain(link: &str) -> String {
    let bytes = link.bytes().map(|byte| match byte {
        byte if byte.is_ascii_alphanumeric() || b"-._~:/?=&%[]".contains(&byte) => {
            char::from(byte).to_string()
        }
        byte => format!("%{byte:02X}"),
    });
    bytes.collect()
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

/// Event, playbook, and how far it is: a redelivery repeats it; another playbook's message about the same event, or a
/// later one of the same playbook, does not.
fn key(occurrence: &Occurrence, playbook: &str, steps: usize) -> String {
    let mut hash = Sha256::new();
    hash.update(occurrence.id.to_string());
    hash.update((steps as u64).to_be_bytes());
    hash.update(playbook);
    // What was told before, that it waits, is another message.
    if occurrence.approved.is_some() {
        hash.update("approved");
    }
    shortened(hash)
}

fn shortened(hash: Sha256) -> String {
    hash.finalize().iter().take(16).map(|byte| format!("{byte:02x}")).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_link_stays_as_it_is_and_ends_no_markup() {
        let ours = "https://stoop.example:8443/approvals/p-1/0af3/1800000000/ff00?a=b&c=%20";
        assert_eq!(plain(ours), ours);
        assert_eq!(
            plain("https://x/|a> <!here>\n\"`)"),
            "https://x/%7Ca%3E%20%3C%21here%3E%0A%22%60%29"
        );
    }
}
