//! A mark on one node: put there, and taken off.

use std::sync::Arc;

use async_trait::async_trait;
use k8s_openapi::api::core::v1::Node;
use tokio::sync::{Mutex, OwnedMutexGuard};
use tokio::time::Instant;

use super::{
    Whereabouts,
    census::Census,
    guard::NodeGuard,
    mark::{KINDS, Kind, Mark},
    share::Share,
};
use crate::act::{
    actions::hold::{Holder, Holds},
    api::{Api, Edit, Operations, Part, Place, Verdict},
    outcome::{Failure, Outcome},
};

/// A worker's turns to change a node: counting nodes and marking one must not interleave, or two responses would each
/// see one to spare.
pub(in crate::act) type Turn = Arc<Mutex<()>>;

/// What is to be put on a node.
pub(in crate::act::actions) struct NodeChange<'a> {
    pub(in crate::act::actions) api: &'a Api,
    pub(in crate::act::actions) whereabouts: Whereabouts<'a>,
    pub(in crate::act::actions) guard: NodeGuard,
    pub(in crate::act::actions) mark: &'a Mark,
    pub(in crate::act::actions) share: Share,
    pub(in crate::act::actions) holder: Holder,
    pub(in crate::act::actions) turn: &'a Turn,
    /// How long it may wait for its turn: who gets it must have time left.
    pub(in crate::act::actions) patience: Instant,
}

impl NodeChange<'_> {
    /// Puts it there, once, or finds it there.
    pub(in crate::act::actions) async fn carry_out(
        self,
        dry_run: bool,
    ) -> Result<Outcome, Failure> {
        let place = Place { namespace: None, name: self.whereabouts.node };
        let marking = Marking { change: &self, held: Mutex::default() };
        let outcome = self.api.edit::<Node>(place, &marking, dry_run).await?;
        let has_counted = marking.held.lock().await.is_some();
        // Without an answer to the write it was found done.
        let is_there = matches!(outcome, Outcome::Applied(_) | Outcome::AlreadyDone(_));
        if has_counted && is_there {
            // Another worker may have marked another node between our count and our write. Both see it now.
            let counted = Census::take(self.api, place.name).await?;
            if let Some(refusal) = counted.judge(place.name, self.share) {
                take_off(self.api, place, self.mark.kind(), &self.holder, false).await?;
                let why = format!("another worker was at it in the same moment: {}", refusal.why);
                return Err(Failure::transient(why));
            }
        }
        Ok(outcome)
    }
}

struct Marking<'a> {
    change: &'a NodeChange<'a>,
    /// From the count until the write is answered and counted again.
    held: Mutex<Option<OwnedMutexGuard<()>>>,
}

#[async_trait]
impl Edit<Node> for Marking<'_> {
    async fn judge(&self, live: &Node) -> Result<Verdict, Failure> {
        let NodeChange { api, whereabouts, mark, holder, .. } = self.change;
        if let Some(outcome) = self.change.guard.judge(live, *whereabouts) {
            return Ok(Verdict::Settled(outcome));
        }
        let (kind, name, node) = (mark.kind(), mark.name(), whereabouts.node);
        let mut holds = Holds::read(kind.notes(), &live.metadata)?;
        let mut operations = Operations::default();
        if let Some(there) = kind.value(live, &name) {
            let is_ours = holds.ours(&name, Some(&there)).is_some();
            if is_ours && holds.join(&name, holder) {
                holds.write(&mut operations);
                return Ok(write(
                    operations,
                    format!("{}, and keeps it for us", mark.said_of(node)),
                ));
            }
            let whose = if is_ours { "" } else { ", which is somebody else's" };
            return Ok(Verdict::Settled(Outcome::AlreadyDone(format!(
                "{}{whose}",
                mark.said_of(node)
            ))));
        }
        if !self.is_our_turn().await {
            let why = format!("waiting for other changes of nodes, to change {node}");
            return Ok(Verdict::Settled(Outcome::Pending(why)));
        }
        if let Some(refusal) = Census::take(api, node).await?.judge(node, self.change.share) {
            return Ok(Verdict::Settled(refusal.into()));
        }
        mark.put(&mut operations, live);
        holds.begin(&name, mark.value(), None, holder);
        holds.write(&mut operations);
        Ok(write(operations, format!("{} now", mark.said_of(node))))
    }
}

impl Marking<'_> {
    async fn is_our_turn(&self) -> bool {
        let mut held = self.held.lock().await;
        if held.is_none() {
            let turn = Arc::clone(self.change.turn).lock_owned();
            *held = tokio::time::timeout_at(self.change.patience, turn).await.ok();
        }
        held.is_some()
    }
}

fn write(operations: Operations, done: String) -> Verdict {
    Verdict::Write { parts: vec![Part { subresource: None, operations }], done }
}

/// Takes off what is held for `holder` alone, of every kind.
pub(in crate::act::actions) async fn revert(
    api: &Api,
    place: Place<'_>,
    holder: &Holder,
    dry_run: bool,
) -> Result<Vec<Outcome>, Failure> {
    let mut outcomes = Vec::new();
    for kind in KINDS {
        outcomes.push(take_off(api, place, kind, holder, dry_run).await?);
    }
    Ok(outcomes)
}

async fn take_off(
    api: &Api,
    place: Place<'_>,
    kind: Kind,
    holder: &Holder,
    dry_run: bool,
) -> Result<Outcome, Failure> {
    api.edit::<Node>(place, &Unmarking { kind, holder }, dry_run).await
}

struct Unmarking<'a> {
    kind: Kind,
    holder: &'a Holder,
}

#[async_trait]
impl Edit<Node> for Unmarking<'_> {
    async fn judge(&self, live: &Node) -> Result<Verdict, Failure> {
        let mut holds = Holds::read(self.kind.notes(), &live.metadata)?;
        let Some(free) = holds.release(self.holder) else {
            let why = "nothing of the node is held for it";
            return Ok(Verdict::Settled(Outcome::AlreadyDone(why.into())));
        };
        let mut operations = Operations::default();
        let off = self.kind.take_off(&mut operations, live, &free);
        holds.write(&mut operations);
        let done = match off.is_empty() {
            true => "it is not ours any more, or another response still holds it".to_owned(),
            false => format!("took off {}", off.join(", ")),
        };
        Ok(write(operations, done))
    }
}
