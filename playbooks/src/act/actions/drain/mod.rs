//! `drain`: cordons the node that the verified pod is on and evicts its other pods, each behind its disruption budget.
//!
//! One pass asks for as many evictions as there is time for and says `Pending` while pods are still to go; every pass
//! begins with what is there, so that it is safe to repeat. What is protected or exempted stays, and so does what would come
//! back.

mod config;
mod evict;
mod exempt;
mod fate;

pub(super) use config::Written;

use async_trait::async_trait;
use futures::future::join_all;
use serde_json::Value;
use tokio::time::Instant;

use self::{
    config::DrainConfig,
    evict::{Evicted, evict},
    fate::Sorted,
};
use super::node::{self, Mark, NodeChange, NodeGuard, Turn, Whereabouts};
use crate::act::{
    action::{Action, Context, Subject},
    api::{Api, Permission, PodSelector},
    config::ConfigError,
    outcome::{Failure, Guardrail, Outcome, SkipReason},
    responses::Undo,
};

/// How many evictions, or reads of namespaces, are under way at a time.
const AT_ONCE: usize = 4;

/// The part of the step that tells a later pass that evictions were ours.
const EVICTED: &str = "evicted";

/// The configured action.
#[derive(Debug)]
pub(in crate::act) struct Drain {
    config: DrainConfig,
    /// Shared with every other action on nodes of the worker.
    turn: Turn,
}

impl Drain {
    /// Reads the configuration.
    pub(in crate::act) fn configure(config: &Value, turn: &Turn) -> Result<Drain, ConfigError> {
        Ok(Drain { config: DrainConfig::read(config)?, turn: Turn::clone(turn) })
    }

    async fn drain(
        &self,
        cx: &Context<'_>,
        whereabouts: Whereabouts<'_>,
    ) -> Result<Outcome, Failure> {
        let (api, node) = (cx.api()?, whereabouts.node);
        let mut sorted = self.sort(cx, &api, node).await?;
        exempt::spare(&api, cx.guardrails, &mut sorted).await?;
        if sorted.evict.len() > usize::from(self.config.max_pods) {
            let (count, most) = (sorted.evict.len(), self.config.max_pods);
            let why =
                format!("{count} pods would be evicted from node {node}, drain.maxPods is {most}");
            return Ok(Outcome::refused(Guardrail::PodLimit, why));
        }
        let change = NodeChange {
            api: &api,
            whereabouts,
            guard: NodeGuard { own_node: cx.guardrails.own_node().judge(node) },
            mark: &Mark::Cordon,
            share: self.config.share,
            holder: whereabouts.holder(cx.playbook()),
            turn: &self.turn,
            patience: cx.limit.half_of_calls(),
        };
        let cordoned = change.carry_out(cx.dry_run()).await?;
        let is_dry = matches!(cordoned, Outcome::Skipped(SkipReason::DryRun, _));
        if !is_dry && !matches!(cordoned, Outcome::Applied(_) | Outcome::AlreadyDone(_)) {
            return Ok(cordoned);
        }
        // Counted in every pass: other nodes may have gone since the first.
        if let Some(refusal) = node::nowhere_to_go(&api, node).await? {
            return Ok(refusal.into());
        }
        let tally = empty(&api, &sorted, cx.limit.half_of_calls(), cx.dry_run()).await?;
        if tally.asked > 0 {
            cx.marks().done(EVICTED);
        }
        let is_ours = cx.marks().is_done(EVICTED) || matches!(cordoned, Outcome::Applied(_));
        Ok(said(node, &sorted, &tally, is_dry, is_ours))
    }

    async fn sort(&self, cx: &Context<'_>, api: &Api, node: &str) -> Result<Sorted, Failure> {
        let fields = Some(format!("spec.nodeName={node}"));
        let selector = PodSelector { fields, ..PodSelector::default() };
        let (mut sorted, mut token) = (Sorted::default(), None);
        loop {
            let page = api.pods(&selector, token).await?;
            for pod in page.items {
                sorted.add(pod, cx.guardrails, &self.config.owners);
            }
            token = page.metadata.continue_.filter(|token| !token.is_empty());
            if token.is_none() {
                return Ok(sorted);
            }
        }
    }
}

/// What one pass came to.
#[derive(Debug, Default)]
struct Tally {
    asked: usize,
    held_up: usize,
    /// There was no time left to ask for.
    later: usize,
}

async fn empty(
    api: &Api,
    sorted: &Sorted,
    until: Instant,
    dry_run: bool,
) -> Result<Tally, Failure> {
    let (mut tally, mut failed) = (Tally::default(), None);
    for some in sorted.evict.chunks(AT_ONCE) {
        if Instant::now() >= until {
            tally.later += some.len();
            continue;
        }
        for evicted in join_all(some.iter().map(|pod| evict(api, pod, dry_run))).await {
            match evicted {
                Ok(Evicted::Asked) => tally.asked += 1,
                Ok(Evicted::HeldUp) => tally.held_up += 1,
                Ok(Evicted::Gone) => {}
                Err(failure) => failed = Some(failure),
            }
        }
        // One that can't go keeps no other from going; a server that is away does.
        if failed.as_ref().is_some_and(|failure| !failure.is_permanent()) {
            break;
        }
    }
    failed.map_or(Ok(tally), Err)
}

fn said(node: &str, sorted: &Sorted, tally: &Tally, is_dry: bool, is_ours: bool) -> Outcome {
    let staying = &sorted.staying;
    if is_dry {
        let (asked, held_up) = (tally.asked, tally.held_up);
        return Outcome::Skipped(
            SkipReason::DryRun,
            format!(
                "the API server accepted the dry run: node {node} is cordoned, {asked} pods are evicted, {held_up} wait for a disruption budget, {staying}"
            ),
        );
    }
    let left = sorted.ending + tally.asked + tally.held_up + tally.later;
    if left > 0 {
        let held_up = tally.held_up;
        return Outcome::Pending(format!(
            "{left} pods of node {node} are still to go, {held_up} of them wait for a disruption budget"
        ));
    }
    let done = format!("node {node} is cordoned and empty of pods that were to go, {staying}");
    match is_ours {
        true => Outcome::Applied(done),
        false => Outcome::AlreadyDone(done),
    }
}

#[async_trait]
impl Action for Drain {
    fn name(&self) -> &'static str {
        "drain"
    }

    fn describe(&self) -> String {
        format!("cordon the pod's node and evict up to {} of its pods", self.config.max_pods)
    }

    fn needs_target(&self) -> bool {
        true
    }

    fn takes_node(&self) -> bool {
        self.config.host_events
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
        let mut all = node::permissions();
        all.push(Permission::new("", "pods/eviction", "create"));
        // Whether the other pods are exempted.
        all.push(Permission::new("", "namespaces", "get"));
        all
    }

    async fn apply(&self, cx: &Context<'_>, subject: Subject<'_>) -> Outcome {
        match Whereabouts::of(self, subject, cx.occurrence().time) {
            Ok(whereabouts) => self.drain(cx, whereabouts).await.unwrap_or_else(Outcome::from),
            Err(outcome) => outcome,
        }
    }
}
