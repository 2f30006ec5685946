//! `capture`: keeps what is about to be lost, before something else of the playbook loses it.
//!
//! `snapshot` asks the API server, without any privilege. `files`, `syscalls` and `packets` need the pod's node: a job there
//! captures, in a namespace of its own and without credentials, and the worker waits for its end. What is kept goes to the
//! [evidence store](super::super::evidence). What may not live here: what is done about the pod.

mod config;
mod job;
mod name;
mod settings;
mod snapshot;

pub(super) use config::Written;

use async_trait::async_trait;
use serde_json::Value;

use self::config::Kind;
use crate::act::{
    action::{Action, Context, Subject},
    api::Permission,
    config::ConfigError,
    evidence::{About, Kept},
    outcome::{Guardrail, Outcome},
    responses::EvidenceRef,
    target::{Gone, Verified},
    text::clean,
};

pub use settings::Captures;

/// The configured action.
pub(in crate::act) struct Capture {
    kind: Kind,
    captures: Captures,
}

impl Capture {
    /// Reads the configuration.
    pub(in crate::act) fn configure(
        config: &Value,
        captures: Option<&Captures>,
    ) -> Result<Capture, ConfigError> {
        let kind = Kind::read(config)?;
        let Some(captures) = captures else {
            return Err(ConfigError::new("there is no place to keep evidence")
                .help("set `evidence: {url: …}` in the configuration"));
        };
        if let Kind::Job(kind) = &kind {
            captures.check_jobs().map_err(|error| error.at(kind.as_str()))?;
        }
        Ok(Capture { kind, captures: captures.clone() })
    }
}

#[async_trait]
impl Action for Capture {
    fn name(&self) -> &'static str {
        "capture"
    }

    fn describe(&self) -> String {
        format!("capture {}", self.kind.describe())
    }

    fn needs_target(&self) -> bool {
        true
    }

    /// A snapshot only reads; a job is a change, though not of the pod.
    fn changes_cluster(&self) -> bool {
        matches!(self.kind, Kind::Job(_))
    }

    fn permissions(&self) -> Vec<Permission> {
        match &self.kind {
            Kind::Snapshot(_) => snapshot::permissions(),
            Kind::Job(_) => job::permissions(&self.captures),
        }
    }

    fn supports_dry_run(&self) -> bool {
        matches!(self.kind, Kind::Job(_))
    }

    /// Of a pod that is gone there are its events still, and the job that was begun while it was there.
    fn answers_gone(&self) -> bool {
        true
    }

    async fn apply(&self, cx: &Context<'_>, subject: Subject<'_>) -> Outcome {
        let captured = match (&self.kind, subject) {
            (_, Subject::Node(_) | Subject::Event) => {
                return Outcome::refused(Guardrail::Identity, "the event is about no verified pod");
            }
            (Kind::Snapshot(bounds), Subject::Target(target)) => {
                snapshot::of_pod(cx, &self.captures, bounds, target).await
            }
            (Kind::Snapshot(bounds), Subject::Gone(gone)) => {
                snapshot::of_gone(cx, &self.captures, bounds, gone).await
            }
            (Kind::Job(kind), Subject::Target(target)) => {
                job::of_pod(cx, &self.captures, kind, target).await
            }
            (Kind::Job(kind), Subject::Gone(gone)) => {
                job::of_gone(cx, &self.captures, kind, gone).await
            }
        };
        captured.unwrap_or_else(Outcome::from)
    }
}

/// Lets the response tell where it is kept, and by which hash it is known again.
fn note(cx: &Context<'_>, kept: &Kept) {
    for stored in kept.all() {
        cx.gather(EvidenceRef { url: stored.url.clone(), sha256: stored.sha256.clone() });
    }
}

/// The rule's name as far as a manifest shows it.
const RULE: usize = 200;

fn about(cx: &Context<'_>) -> About {
    let occurrence = cx.occurrence();
    About {
        event: occurrence.id.to_string(),
        rule: clean(&occurrence.rule, RULE),
        time: occurrence.time,
        playbook: cx.playbook().to_owned(),
        cluster: None,
        namespace: None,
        pod: None,
        uid: None,
        node: None,
        verified: false,
    }
}

fn about_pod(cx: &Context<'_>, target: &Verified) -> About {
    About {
        cluster: target.cluster().map(|cluster| cluster.as_str().to_owned()),
        namespace: Some(target.namespace().to_owned()),
        pod: Some(target.name().to_owned()),
        uid: Some(target.uid().to_string()),
        node: target.node().map(str::to_owned),
        verified: true,
        ..about(cx)
    }
}

fn about_gone(cx: &Context<'_>, gone: &Gone) -> About {
    let object = gone.object.as_ref();
    About {
        namespace: object.and_then(|object| object.namespace.clone()),
        pod: object.map(|object| object.name.clone()),
        uid: claimed_uid(cx),
        ..about(cx)
    }
}

/// The uid that the event claims, where it can be one: a part of selectors.
fn claimed_uid(cx: &Context<'_>) -> Option<String> {
    let uid = cx.occurrence().fields.get("k8s.pod.uid")?;
    let is_uid =
        (1..=64).contains(&uid.len()) && uid.chars().all(|c| c.is_ascii_alphanumeric() || c == '-');
    is_uid.then(|| uid.clone())
}
