//! The story: seven things that happen to a cluster, and what has to be true after each.
//!
//! Whether a promise was kept is read from facts alone: the requests that the API saw, the calls that the pager got,
//! the worker's metrics and audit lines.

mod containment;
mod scenes;
mod wire;
mod words;

use axum::http::StatusCode;

use super::{
    kubernetes::Request,
    narrator::Narrator,
    stage::{Error, Pod, Stage},
};
use wire::{is_change_of, is_delete_of, is_end_of, is_policy_of};
pub(super) use words::read_out;

/// What the scenes leave to be judged at the end.
#[derive(Default)]
struct Ledger {
    /// Events that the intake answered with 200.
    taken: f64,
    /// Events that were settled by a worker that is no more.
    settled: f64,
    /// The pods that were to be deleted.
    victims: Vec<Pod>,
    /// The pods that were to be cut off, each with the policy that was made for it.
    cut_off: Vec<(Pod, Request)>,
}

/// Plays all scenes.
///
/// # Errors
/// Something that had to happen did not, and the story can't go on.
pub(super) async fn play(stage: &mut Stage, narrator: &mut Narrator) -> Result<(), Error> {
    let mut ledger = Ledger::default();
    let event = scenes::shell(stage, narrator, &mut ledger).await?;
    scenes::successor(stage, narrator, &mut ledger, &event).await?;
    scenes::protected(stage, narrator, &mut ledger).await?;
    containment::miner(stage, narrator, &mut ledger).await?;
    containment::connection(stage, narrator, &mut ledger).await?;
    scenes::garbage(stage, narrator, &mut ledger).await?;
    scenes::killed(stage, narrator, &mut ledger).await?;
    balance(stage, narrator, &ledger).await
}

/// What holds over all scenes together.
async fn balance(stage: &Stage, narrator: &mut Narrator, ledger: &Ledger) -> Result<(), Error> {
    narrator.scene("In the end");
    let settled =
        ledger.settled + stage.settled("acked").await? + stage.settled("dead-lettered").await?;
    let left = stage.metric("stoop_lag", &[]).await?;
    let taken = ledger.taken;
    narrator.says("stoop", &format!("{taken} events taken, {settled} settled, {left} left"));
    let writes = stage.writes();
    narrator.says("cluster", &format!("{} requests that change something", writes.len()));

    let kept = taken > 0.0 && settled == taken && left == 0.0;
    narrator.promise("nothing is lost: every event that was taken is settled", kept, settled);
    let deletes = |write: &&Request| ledger.victims.iter().any(|pod| is_delete_of(write, pod));
    let once = writes.iter().filter(deletes).count() == ledger.victims.len();
    let kept = once && writes.iter().all(|write| deletes(&write) || ledger.cuts_off(write));
    let promise = "no innocent is hurt: each request names the uid of a pod that was attacked";
    narrator.promise(promise, kept, writes);
    Ok(())
}

impl Ledger {
    /// Whether the request cuts off a pod that was to be, or lets it back in.
    fn cuts_off(&self, write: &Request) -> bool {
        self.cut_off.iter().any(|(pod, policy)| {
            is_policy_of(write, pod) || is_change_of(write, pod) || is_end_of(write, policy)
        })
    }
}

/// Sends an event as Falcosidekick would.
async fn deliver(stage: &Stage, ledger: &mut Ledger, event: &impl ToString) -> Result<(), Error> {
    match stage.post(event.to_string()).await? {
        (StatusCode::OK, _) => {
            ledger.taken += 1.0;
            Ok(())
        }
        (status, why) => Err(Error::NotTaken { status, why }),
    }
}
