//! `cordon`: has the scheduler pass over the node that the verified pod is on.
//!
//! Safe to repeat: a node that is cordoned already is done, whoever has cordoned it.

use async_trait::async_trait;
use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::Value;

use super::node::{self, Mark, NodeChange, NodeGuard, Share, Turn, Whereabouts, WrittenShare};
use crate::act::{
    action::{Action, Context, Subject},
    api::Permission,
    config::{self, ConfigError},
    outcome::{Failure, Outcome},
    responses::Undo,
};

/// The configured action.
#[derive(Debug)]
pub(in crate::act) struct Cordon {
    share: Share,
    host_events: bool,
    /// Shared with every other action on nodes of the worker.
    turn: Turn,
}

/// Has the scheduler pass over the node that the verified pod is on.
#[derive(Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[schemars(rename = "Cordon")]
pub(in crate::act) struct Written {
    /// How many of all nodes may be held at once. `25%` if left out.
    #[serde(default)]
    max_share: WrittenShare,
    /// Also answers events of a host, on the node that `hostname` names.
    #[serde(default)]
    host_events: bool,
}

impl Cordon {
    /// Reads the configuration.
    pub(in crate::act) fn configure(config: &Value, turn: &Turn) -> Result<Cordon, ConfigError> {
        let Written { max_share, host_events } = config::read(config)?;
        Ok(Cordon { share: max_share.read()?, host_events, turn: Turn::clone(turn) })
    }

    async fn cordon(
        &self,
        cx: &Context<'_>,
        whereabouts: Whereabouts<'_>,
    ) -> Result<Outcome, Failure> {
        let change = NodeChange {
            api: &cx.api()?,
            whereabouts,
            guard: NodeGuard { own_node: None },
            mark: &Mark::Cordon,
            share: self.share,
            holder: whereabouts.holder(cx.playbook()),
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

    fn takes_node(&self) -> bool {
        self.host_events
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
        match Whereabouts::of(self, subject, cx.occurrence().time) {
            Ok(whereabouts) => self.cordon(cx, whereabouts).await.unwrap_or_else(Outcome::from),
            Err(outcome) => outcome,
        }
    }
}
