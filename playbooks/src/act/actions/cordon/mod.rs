//! `cordon`: has the scheduler pass over the node that the verified pod is on.
//!
//! Safe to repeat: a node that is cordoned already is done, whoever has cordoned it.

use async_trait::async_trait;
use serde::Deserialize;
use serde_json::Value;

use super::{
    hold::Holder,
    node::{self, Mark, NodeChange, NodeGuard, Share, Turn, Whereabouts, WrittenShare},
};
use crate::act::{
    action::{Action, Context, Subject},
    api::Permission,
    config::{self, ConfigError},
    outcome::{Failure, Guardrail, Outcome},
    responses::Undo,
    target::Verified,
};

/// The configured action.
#[derive(Debug)]
pub(in crate::act) struct Cordon {
    share: Share,
    /// Shared with every other action on nodes of the worker.
    turn: Turn,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct Written {
    #[serde(default)]
    max_share: WrittenShare,
}

impl Cordon {
    /// Reads the configuration.
    pub(in crate::act) fn configure(config: &Value, turn: &Turn) -> Result<Cordon, ConfigError> {
        let Written { max_share } = config::read(config)?;
        Ok(Cordon { share: max_share.read()?, turn: Turn::clone(turn) })
    }

    async fn cordon(&self, cx: &Context<'_>, target: &Verified) -> Result<Outcome, Failure> {
        let whereabouts = match Whereabouts::of(target, cx.occurrence().time) {
            Ok(whereabouts) => whereabouts,
            Err(refused) => return Ok(refused),
        };
        let change = NodeChange {
            api: &cx.api()?,
            whereabouts,
            guard: NodeGuard { own_node: None },
            mark: &Mark::Cordon,
            share: self.share,
            holder: Holder::new(cx.playbook(), target.uid()),
            turn: &self.turn,
            patience: cx.limit.half_of_calls(),
        };
        change.carry_out(cx.dry_run()).await
    }
}

#[async_trait]
impl Action for Cordon {
    fn name(&self) -> &'static str {
        "cordon"
    }

    fn describe(&self) -> String {
        "cordon the pod's node".to_owned()
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
        Some(Undo::Node)
    }

    fn permissions(&self) -> Vec<Permission> {
        node::permissions()
    }

    async fn apply(&self, cx: &Context<'_>, subject: Subject<'_>) -> Outcome {
        match subject {
            Subject::Target(target) => self.cordon(cx, target).await.unwrap_or_else(Outcome::from),
            Subject::Gone(gone) => self.on_gone(gone),
            Subject::Event => {
                Outcome::refused(Guardrail::Identity, "the event is about no verified pod")
            }
        }
    }
}
