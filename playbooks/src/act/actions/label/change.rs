//! One label or annotation on one pod: put there, and taken back.

use async_trait::async_trait;
use k8s_openapi::api::core::v1::Pod;

use super::{What, config::LabelConfig, selector};
use crate::act::{
    actions::hold::{Holder, Holds},
    api::{Api, Edit, Operations, Part, Place, Verdict},
    outcome::{Failure, Guardrail, Outcome, SkipReason},
    target::Verified,
};

impl What {
    /// Where the changes are written down.
    fn notes(self) -> &'static str {
        match self {
            What::Label => "stoop.dev/labels",
            What::Annotation => "stoop.dev/annotations",
        }
    }

    fn path(self) -> [&'static str; 2] {
        match self {
            What::Label => ["metadata", "labels"],
            What::Annotation => ["metadata", "annotations"],
        }
    }

    fn word(self) -> &'static str {
        match self {
            What::Label => "label",
            What::Annotation => "annotation",
        }
    }

    fn value<'a>(self, pod: &'a Pod, key: &str) -> Option<&'a str> {
        let all = match self {
            What::Label => &pod.metadata.labels,
            What::Annotation => &pod.metadata.annotations,
        };
        all.as_ref()?.get(key).map(String::as_str)
    }

    fn set(self, operations: &mut Operations, pod: &Pod, key: &str, value: &str) {
        let [metadata, mapping] = self.path();
        let is_there = match self {
            What::Label => pod.metadata.labels.is_some(),
            What::Annotation => pod.metadata.annotations.is_some(),
        };
        operations.ensure_mapping(&[metadata, mapping], is_there);
        operations.add(&[metadata, mapping, key], value);
    }

    fn unset(self, operations: &mut Operations, key: &str) {
        let [metadata, mapping] = self.path();
        operations.remove(&[metadata, mapping, key]);
    }
}

/// What is to be put on the target.
pub(super) struct Change<'a> {
    pub(super) api: &'a Api,
    pub(super) target: &'a Verified,
    pub(super) what: What,
    pub(super) config: &'a LabelConfig,
    pub(super) holder: Holder,
}

#[async_trait]
impl Edit<Pod> for Change<'_> {
    async fn judge(&self, live: &Pod) -> Result<Verdict, Failure> {
        if let Some(gone) = is_another(live, &self.holder) {
            return Ok(Verdict::Settled(gone));
        }
        let LabelConfig { key, value, overwrite } = self.config;
        let (what, word) = (self.what, self.what.word());
        let mut holds = Holds::read(what.notes(), &live.metadata)?;
        let (there, object) = (what.value(live, key), self.target.object());
        let ours = holds.ours(key, there);
        if there == Some(value) {
            if ours.is_some() && holds.join(key, &self.holder) {
                let mut operations = Operations::default();
                holds.write(&mut operations);
                let done = format!("{object} has the {word} {key}={value}, and keeps it for us");
                return Ok(write(operations, done));
            }
            let why = format!("{object} has the {word} {key}={value}");
            return Ok(Verdict::Settled(Outcome::AlreadyDone(why)));
        }
        if let Some(hold) = ours {
            let why = format!("{object} has the {word} {key}={} for {}", hold.set, hold.holders());
            return Ok(Verdict::Settled(Outcome::refused(Guardrail::ForeignValue, why)));
        }
        if let Some(there) = there.filter(|_| !overwrite) {
            let why = format!(
                "{object} has the {word} {key}={there}: set {}.overwrite to replace it",
                if what == What::Label { "label" } else { "annotate" }
            );
            return Ok(Verdict::Settled(Outcome::refused(Guardrail::ForeignValue, why)));
        }
        if what == What::Label
            && let Some(refusal) = selector::judge(self.api, live, key).await?
        {
            return Ok(Verdict::Settled(refusal.into()));
        }
        let mut operations = Operations::default();
        what.set(&mut operations, live, key, value);
        holds.begin(key, value, there.map(str::to_owned), &self.holder);
        holds.write(&mut operations);
        Ok(write(operations, format!("{object} has the {word} {key}={value} now")))
    }
}

fn write(operations: Operations, done: String) -> Verdict {
    Verdict::Write { parts: vec![Part { subresource: None, operations }], done }
}

/// The outcome where the name belongs to another pod than the one that was verified.
fn is_another(live: &Pod, holder: &Holder) -> Option<Outcome> {
    let is_another = live.metadata.uid.as_deref() != Some(holder.target().as_str());
    is_another.then(|| {
        let why = "the pod is gone, its name belongs to another one now";
        Outcome::Skipped(SkipReason::Gone, why.into())
    })
}

/// Gives the pod back what it had before, as far as what we put there is still there and nobody else holds it.
pub(in crate::act::actions) async fn revert(
    api: &Api,
    place: Place<'_>,
    what: What,
    holder: &Holder,
    dry_run: bool,
) -> Result<Outcome, Failure> {
    api.edit(place, &Back { what, holder }, dry_run).await
}

struct Back<'a> {
    what: What,
    holder: &'a Holder,
}

#[async_trait]
impl Edit<Pod> for Back<'_> {
    async fn judge(&self, live: &Pod) -> Result<Verdict, Failure> {
        if let Some(gone) = is_another(live, self.holder) {
            return Ok(Verdict::Settled(gone));
        }
        let (what, word) = (self.what, self.what.word());
        let mut holds = Holds::read(what.notes(), &live.metadata)?;
        let Some(free) = holds.release(self.holder) else {
            let why = format!("no {word} of the pod is held for it");
            return Ok(Verdict::Settled(Outcome::AlreadyDone(why)));
        };
        let (mut operations, mut back) = (Operations::default(), Vec::new());
        for (key, hold) in free {
            if what.value(live, &key) != Some(hold.set.as_str()) {
                continue;
            }
            match &hold.was {
                Some(was) => what.set(&mut operations, live, &key, was),
                None => what.unset(&mut operations, &key),
            }
            back.push(key);
        }
        holds.write(&mut operations);
        let done = match back.is_empty() {
            true => format!("no {word} is ours any more, or another response still holds it"),
            false => format!("took back the {word} {}", back.join(", ")),
        };
        Ok(write(operations, done))
    }
}
