//! What a rehearsal came to, as it is written in JSON.

use std::collections::BTreeMap;

use jiff::{Timestamp, civil::Date};
use serde::Serialize;

/// A rehearsal's report. Every list is ordered by weight, the most first, but days and playbooks.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Report {
    /// What was read: a subscription, or a file.
    pub source: String,
    /// The time of the first and last event.
    pub from: Option<Timestamp>,
    /// The time of the last event.
    pub until: Option<Timestamp>,
    /// What the messages were.
    pub messages: Messages,
    /// What each playbook would have done, by name.
    pub playbooks: Vec<Playbook>,
    /// Rules with events that no playbook answers.
    pub unanswered: Vec<Unanswered>,
    /// What no rehearsal can tell of any playbook.
    pub limits: Vec<&'static str>,
}

/// What the messages were.
#[derive(Debug, Default, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Messages {
    /// All that were read.
    pub read: u64,
    /// Events that some playbook was asked about.
    pub matched: u64,
    /// Events that concern no playbook.
    pub unmatched: u64,
    /// Falco's word about itself.
    pub internal: u64,
    /// Events of another cluster.
    pub foreign_cluster: u64,
    /// Not events, by what is wrong with them: they would be dead letters.
    pub malformed: BTreeMap<String, u64>,
}

/// What one playbook would have done.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Playbook {
    /// Its name.
    pub name: String,
    /// How far it may go as it stands. The rest is told as if it were `enforce`.
    pub mode: &'static str,
    /// What each action would do.
    pub actions: Vec<String>,
    /// Events that it was asked about.
    pub events: u64,
    /// Answers: each is what its actions would have been run for once.
    pub answers: u64,
    /// Events that shared an answer with one before, within the cooldown.
    pub joined: u64,
    /// How long that is.
    pub cooldown: String,
    /// How many different targets its events are about.
    pub targets: u64,
    /// By the namespace that events claim.
    pub namespaces: Vec<Namespace>,
    /// By day, UTC.
    pub days: Vec<Day>,
    /// The targets, at most the first hundred.
    pub to_whom: Vec<Target>,
    /// Events that would have been held back, by the guardrail.
    pub held: Vec<Held>,
    /// What only a look at the live cluster can tell.
    pub live_checks: Vec<String>,
    /// Why it was never asked, where that can be guessed.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub never: Vec<String>,
}

/// A namespace's share.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Namespace {
    /// Its name; none where events claim none.
    pub namespace: Option<String>,
    /// Different targets.
    pub targets: u64,
    /// Answers.
    pub answers: u64,
    /// Events, those that would have been held back aside.
    pub events: u64,
}

/// A day's share.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Day {
    /// The day, UTC.
    pub day: Date,
    /// Answers.
    pub answers: u64,
    /// Events, those that would have been held back aside.
    pub events: u64,
}

/// A target's share.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Target {
    /// Namespace and pod, as events claim them, or the best there is.
    pub target: String,
    /// Answers.
    pub answers: u64,
    /// Events.
    pub events: u64,
    /// The first of them.
    pub first: Timestamp,
    /// The last of them.
    pub last: Timestamp,
}

/// Events that would have been held back.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Held {
    /// By which guardrail; `when-fails` where a `when` can't be evaluated.
    pub by: &'static str,
    /// How many.
    pub events: u64,
    /// What it said of one of them.
    pub why: String,
}

/// A rule with events that no playbook answers.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Unanswered {
    /// The rule.
    pub rule: String,
    /// How many events of it no playbook answered.
    pub events: u64,
    /// And how many some playbook did.
    pub answered: u64,
}
