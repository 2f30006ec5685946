//! `taint`: keeps new pods off the node that the verified pod is on.
//!
//! Safe to repeat: a taint of the same key and effect is done, and the patch adds to the list without naming what others
//! have put there. `NoExecute` takes pods off as well, and has to be asked for by name.

mod config;

pub(super) use config::Written;

use async_trait::async_trait;
use serde_json::Value;

use self::config::TaintConfig;
use super::node::{self, Mark, NodeChange, NodeGuard, Share, Taint, Turn, Whereabouts};
use crate::act::{
    action::{Action, Context, Subject},
    api::Permission,
    config::ConfigError,
    outcome::{Failure, Outcome},
    responses::Undo,
};

/// The configured action.
#[derive(Debug)]
pub(in crate::act) struct TaintNode {
    taint: Taint,
    mark: Mark,
    evicts_pods: bool,
    share: Share,
    host_events: bool,
    /// Shared with every other action on nodes of the worker.
    turn: Turn,
}

impl TaintNode {
    /// Reads the configuration.
    pub(in crate::act) fn configure(config: &Value, turn: &Turn) -> Result<TaintNode, ConfigError> {
        let TaintConfig { taint, evicts_pods, share, host_events } = TaintConfig::read(config)?;
        let mark = Mark::Taint(taint.clone());
        Ok(TaintNode { taint, mark, evicts_pods, share, host_events, turn: Turn::clone(turn) })
    }

    async fn taint(
        &self,
        cx: &Context<'_>,
        whereabouts: Whereabouts<'_>,
    ) -> Result<Outcome, Failure> {
        // Plain NoSchedule is fine on our own node, or an attacker would hide beside us.
        let own_node = match self.evicts_pods {
            true => cx.guardrails.own_node().judge(whereabouts.node),
            false => None,
        };
        let change = NodeChange {
            api: &cx.api()?,
            whereabouts,
            guard: NodeGuard { own_node },
            mark: &self.mark,
            share: self.share,
            holder: whereabouts.holder(cx.playbook()),
            turn: &self.turn,
            patience: cx.limit.half_of_calls(),
        };
        change.carry_out(cx.dry_run()).await
    }
}

#[async_trait]
impl Action for TaintNode {
    fn name(&self) -> &'static str {
        "taint"
    }

    fn describe(&self) -> String {
        let then = if self.evicts_pods { ", which takes its pods off" } else { "" };
        format!("taint the pod's node {}{then}", self.taint)
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
            Ok(whereabouts) => self.taint(cx, whereabouts).await.unwrap_or_else(Outcome::from),
            Err(outcome) => outcome,
        }
    }
}
