//! `label` and `annotate`: mark the verified pod, with what the playbook says and nothing of the event.
//!
//! Safe to repeat: the live pod tells what is there, the patch is bound to its uid and version. A label that the pod's
//! owner selects on is refused, since the owner would let go of the pod and put another in its place.

mod change;
mod config;
mod selector;

pub(super) use config::Written;

use async_trait::async_trait;
use serde_json::Value;

use self::{change::Change, config::LabelConfig};
use crate::act::{
    action::{Action, Context, Subject},
    api::{Permission, Place},
    config::ConfigError,
    outcome::{Failure, Guardrail, Outcome},
    responses::Undo,
    target::Verified,
};
pub(super) use change::revert;

use super::hold::Holder;

/// Which of a pod's two mappings.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::act) enum What {
    /// `metadata.labels`
    Label,
    /// `metadata.annotations`
    Annotation,
}

/// The configured action, either of the two.
#[derive(Debug)]
pub(in crate::act) struct Label {
    what: What,
    config: LabelConfig,
}

impl Label {
    /// Reads the configuration.
    pub(in crate::act) fn configure(config: &Value, what: What) -> Result<Label, ConfigError> {
        Ok(Label { what, config: LabelConfig::read(config, what)? })
    }

    async fn label(&self, cx: &Context<'_>, target: &Verified) -> Result<Outcome, Failure> {
        let api = cx.api()?;
        let change = Change {
            api: &api,
            target,
            what: self.what,
            config: &self.config,
            holder: Holder::new(cx.playbook(), target.uid()),
        };
        let place = Place { namespace: Some(target.namespace()), name: target.name() };
        api.edit(place, &change, cx.dry_run()).await
    }
}

#[async_trait]
impl Action for Label {
    fn name(&self) -> &'static str {
        match self.what {
            What::Label => "label",
            What::Annotation => "annotate",
        }
    }

    fn describe(&self) -> String {
        format!("{} the pod {}={}", self.name(), self.config.key, self.config.value)
    }

    fn within_namespace(&self) -> Result<(), ConfigError> {
        Ok(())
    }

    fn needs_target(&self) -> bool {
        true
    }

    fn changes_cluster(&self) -> bool {
        true
    }

    fn supports_dry_run(&self) -> bool {
        true
    }

    fn undo(&self) -> Option<Undo> {
        Some(Undo::Pod)
    }

    fn permissions(&self) -> Vec<Permission> {
        let mut all = vec![Permission::new("", "pods", "patch")];
        if self.what == What::Label {
            all.extend(selector::permissions());
        }
        all
    }

    async fn apply(&self, cx: &Context<'_>, subject: Subject<'_>) -> Outcome {
        match subject {
            Subject::Target(target) => self.label(cx, target).await.unwrap_or_else(Outcome::from),
            Subject::Gone(gone) => self.on_gone(gone),
            Subject::Node(_) | Subject::Event => {
                Outcome::refused(Guardrail::Identity, "the event is about no verified pod")
            }
        }
    }
}
