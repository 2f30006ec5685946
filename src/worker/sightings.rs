//! Whose target was verified of late, and by which words: for the other events of a storm.
//!
//! An event that says of its pod exactly what another one said is about the same pod, where that is a uid or a container's id:
//! neither is ever given twice. If a response to that pod runs, or ended well within its cooldown, it answers this event as
//! well, and nothing is read for it. That is all a sighting is good for. It makes no target: whoever is to begin a response
//! verifies for itself, and so does whoever says a single word otherwise.

use std::{
    collections::{HashMap, VecDeque},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use jiff::Timestamp;
use playbooks::{
    act::{Occurrence, Standing},
    decide::Claim,
};
use tokio::{sync::watch, time::Instant};

use super::{respond::Concern, rules::PlanNumber};

/// How many sightings are kept; the oldest are forgotten first.
const KEPT: usize = 8192;

/// How long a look tells that a pod is none of a playbook's: its labels may change, and nobody else looks again.
const FRESH: Duration = Duration::from_secs(2);

/// All that an event says of its target, in its own words.
#[derive(Debug, PartialEq, Eq, Hash)]
pub struct Said {
    cluster: Option<String>,
    claim: Claim,
    sandbox: Option<String>,
}

/// What was found out for an event, as far as it holds for others that say the same.
#[derive(Debug, Clone, PartialEq)]
pub struct Sighting {
    /// What it was.
    pub concern: Concern,
    /// Earlier events are not about it.
    from: Timestamp,
    judged: Vec<Judged>,
}

/// What one playbook made of the pod.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Judged {
    /// The playbook's, as it is written now.
    pub plan: PlanNumber,
    /// Whether it selects the pod.
    pub selects: bool,
    /// When that was so.
    pub at: Instant,
}

/// What a worker has seen.
#[derive(Debug, Default, Clone)]
pub struct Sightings(Arc<Mutex<State>>);

#[derive(Debug, Default)]
struct State {
    seen: HashMap<Arc<Said>, Sighting>,
    order: VecDeque<Arc<Said>>,
    looking: HashMap<Arc<Said>, watch::Receiver<()>>,
}

/// Who looks.
#[derive(Debug)]
pub enum Look {
    /// The caller: others who say the same wait until this is dropped.
    Ours(Looking),
    /// Another event that says the same.
    Theirs(TheirLook),
}

/// A look that is under way, until it is dropped.
#[derive(Debug)]
pub struct Looking {
    state: Arc<Mutex<State>>,
    said: Arc<Said>,
    _done: watch::Sender<()>,
}

/// Another event's look.
#[derive(Debug)]
pub struct TheirLook(watch::Receiver<()>);

impl Said {
    /// What an event with this claim says; `None` where that means nothing for others, since a name alone may be another
    /// pod's the next time.
    pub fn by(claim: &Claim, occurrence: &Occurrence) -> Option<Arc<Said>> {
        let said = || Said {
            cluster: occurrence.cluster.clone(),
            claim: claim.clone(),
            sandbox: occurrence.fields.get("k8s.pod.sandbox_id").cloned(),
        };
        claim.is_lasting().then(|| Arc::new(said()))
    }
}

impl Sighting {
    /// What verification has found out for others that say the same; `None` where that is nothing.
    pub fn of(standing: &Standing, said: &Arc<Said>, judged: Vec<Judged>) -> Option<Sighting> {
        let (concern, from) = match standing {
            Standing::Target(target) => (Concern::Target(target.uid().clone()), target.since()?),
            Standing::Gone(gone) if gone.is_final => (Concern::Gone(said.clone()), Timestamp::MIN),
            _ => return None,
        };
        Some(Sighting { concern, from, judged })
    }

    /// Whether the playbook did not select the pod a moment ago.
    pub fn is_stranger_to(&self, plan: PlanNumber) -> bool {
        let judged = self.judged.iter().find(|judged| judged.plan == plan);
        judged.is_some_and(|judged| !judged.selects && judged.is_fresh())
    }

    /// With what an earlier look at the same pod has found out about other playbooks.
    fn and(mut self, earlier: Sighting) -> Sighting {
        if earlier.concern == self.concern {
            let is_known = |old: &Judged| self.judged.iter().any(|new| new.plan == old.plan);
            // What is stale tells nothing, and may be of a playbook that is gone.
            let tells = |old: &Judged| old.is_fresh() && !is_known(old);
            let others: Vec<_> = earlier.judged.into_iter().filter(tells).collect();
            self.judged.extend(others);
        }
        self
    }
}

impl Judged {
    fn is_fresh(&self) -> bool {
        Instant::now() < self.at + FRESH
    }
}

impl Sightings {
    /// What was seen by the same words, if it holds for an event of this time.
    pub fn recall(&self, said: &Said, time: Timestamp) -> Option<Sighting> {
        lock(&self.0).seen.get(said).filter(|seen| seen.from <= time).cloned()
    }

    /// Keeps what was seen.
    pub fn remember(&self, said: &Arc<Said>, sighting: Sighting) {
        let mut state = lock(&self.0);
        let sighting = match state.seen.remove(said) {
            Some(earlier) => sighting.and(earlier),
            None => {
                state.order.push_back(said.clone());
                sighting
            }
        };
        state.seen.insert(said.clone(), sighting);
        while state.order.len() > KEPT {
            let Some(oldest) = state.order.pop_front() else { break };
            state.seen.remove(&oldest);
        }
    }

    /// Looks, unless another event that says the same does.
    pub fn look(&self, said: &Arc<Said>) -> Look {
        let mut state = lock(&self.0);
        if let Some(theirs) = state.looking.get(said) {
            return Look::Theirs(TheirLook(theirs.clone()));
        }
        let (done, ends) = watch::channel(());
        state.looking.insert(said.clone(), ends);
        Look::Ours(Looking { state: self.0.clone(), said: said.clone(), _done: done })
    }
}

impl TheirLook {
    /// Waits for its end. Cancel safe.
    pub async fn ended(mut self) {
        // Nothing is ever sent.
        drop(self.0.changed().await);
    }
}

impl Drop for Looking {
    fn drop(&mut self) {
        lock(&self.state).looking.remove(&self.said);
    }
}

fn lock(state: &Mutex<State>) -> MutexGuard<'_, State> {
    state.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests;
