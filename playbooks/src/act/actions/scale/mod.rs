//! `scale`: down the Deployment that the verified pod belongs to, to none by default.
//!
//! Never up, and never by name alone: from the pod to its ReplicaSet to its Deployment, each by the uid that the one
//! below names. The former number is written down in the Deployment before it is changed, so that a crash between the
//! two loses nothing.

mod change;
mod config;
mod owner;

pub(super) use config::ScaleConfig as Written;

use async_trait::async_trait;
use serde_json::Value;

pub(super) use self::change::revert;
use self::{
    change::Scaling,
    config::ScaleConfig,
    owner::{Found, find},
};
use super::hold::Holder;
use crate::act::{
    action::{Action, Context, Subject},
    api::{Permission, Place},
    config::ConfigError,
    outcome::{Failure, Guardrail, Outcome},
    responses::Undo,
    target::Verified,
};

/// The configured action.
#[derive(Debug)]
pub(in crate::act) struct Scale(ScaleConfig);

impl Scale {
    /// Reads the configuration.
    pub(in crate::act) fn configure(config: &Value) -> Result<Scale, ConfigError> {
        ScaleConfig::read(config).map(Scale)
    }

    async fn scale(&self, cx: &Context<'_>, target: &Verified) -> Result<Outcome, Failure> {
        let api = cx.api()?;
        let deployment = match find(&api, target).await? {
            Found::Deployment(reference) => reference,
            Found::Settled(outcome) => return Ok(outcome),
        };
        let place = Place { namespace: Some(target.namespace()), name: &deployment.name };
        let scaling = Scaling {
            api: &api,
            namespace: target.namespace(),
            deployment: &deployment,
            config: &self.0,
            holder: Holder::new(cx.playbook(), target.uid()),
        };
        api.edit(place, &scaling, cx.dry_run()).await
    }
}

#[async_trait]
impl Action for Scale {
    fn name(&self) -> &'static str {
        "scale"
    }

    fn describe(&self) -> String {
        format!("scale the pod's Deployment down to {}", self.0.replicas)
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
        Some(Undo::Deployment)
    }

    fn permissions(&self) -> Vec<Permission> {
        let mut all = vec![
            Permission::new("apps", "replicasets", "get"),
            Permission::new("apps", "deployments", "get"),
            Permission::new("apps", "deployments", "patch"),
            Permission::new("apps", "deployments/scale", "patch"),
        ];
        if !self.0.autoscaled {
            all.push(Permission::new("autoscaling", "horizontalpodautoscalers", "list"));
        }
        all
    }

    async fn apply(&self, cx: &Context<'_>, subject: Subject<'_>) -> Outcome {
        match subject {
            Subject::Target(target) => self.scale(cx, target).await.unwrap_or_else(Outcome::from),
            Subject::Gone(gone) => self.on_gone(gone),
            Subject::Node(_) | Subject::Event => {
                Outcome::refused(Guardrail::Identity, "the event is about no verified pod")
            }
        }
    }
}
