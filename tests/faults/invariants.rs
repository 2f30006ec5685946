//! What has to hold, whatever fails: pure functions over the logs.
//!
//! A is what the broker confirmed to the publisher, E what had an effect, D the dead letters, S what is settled.

use std::{
    collections::{BTreeMap, BTreeSet},
    time::{Duration, Instant},
};

use crate::{
    id::Id,
    logs::{Disturbance, Effect, Letters, Observation, Settled},
};

/// I1: at rest A ⊆ E ∪ D. Gives what is missing.
pub fn lost(confirmed: &BTreeSet<Id>, effects: &[Effect], letters: &[Id]) -> BTreeSet<Id> {
    let seen: BTreeSet<Id> = done(effects).chain(letters.iter().copied()).collect();
    confirmed.difference(&seen).copied().collect()
}

/// I2: at every instant S ⊆ E ∪ D. Says what was settled before it had an effect or was a dead letter.
pub fn settled_early(seen: &Observation, effects: &[Effect]) -> Option<String> {
    let mut before: BTreeSet<Id> =
        effects.iter().filter(|e| e.done.is_some_and(|at| at <= seen.at)).map(|e| e.id).collect();
    match (&seen.settled, &seen.letters) {
        (Settled::Ids(settled), Letters::Ids(letters)) => {
            before.extend(letters);
            let early: Vec<_> = settled.difference(&before).map(Id::to_string).collect();
            (!early.is_empty()).then(|| format!("settled before their effect: {}", some(&early)))
        }
        (settled, letters) => {
            let (settled, answered) = (settled.len(), before.len() + letters.len());
            (settled > answered)
                .then(|| format!("{settled} are settled, and only {answered} have had an effect"))
        }
    }
}

/// What was done more than once.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Duplicates {
    pub count: usize,
    /// How many the disturbances allow.
    pub bound: usize,
    /// Those that no disturbance explains.
    pub unexplained: Vec<Id>,
}

impl Duplicates {
    pub fn violation(&self) -> Option<String> {
        if !self.unexplained.is_empty() {
            let ids: Vec<_> = self.unexplained.iter().map(Id::to_string).collect();
            return Some(format!("done twice with no reason: {}", some(&ids)));
        }
        (self.count > self.bound)
            .then(|| format!("{} duplicates, and only {} are allowed", self.count, self.bound))
    }
}

/// I3: duplicates ≤ in flight at the fault + settles not yet flushed: what the disturbed workers had begun and the broker
/// had not settled yet.
pub fn duplicates(effects: &[Effect], letters: &[Id], disturbed: &[Disturbance]) -> Duplicates {
    let mut times: BTreeMap<Id, usize> = BTreeMap::new();
    for id in done(effects).chain(letters.iter().copied()) {
        *times.entry(id).or_default() += 1;
    }
    let mut found = Duplicates::default();
    let exposed: Vec<_> = disturbed.iter().map(|by| exposed(effects, letters, by)).collect();
    for (by, exposed) in disturbed.iter().zip(&exposed) {
        found.bound += match &by.settled {
            Settled::Ids(_) => exposed.len(),
            Settled::Count(count) => exposed.len().saturating_sub(*count),
        };
    }
    for (id, times) in times.into_iter().filter(|(_, times)| *times > 1) {
        found.count += times - 1;
        let allowed = exposed.iter().filter(|exposed| exposed.contains(&id)).count();
        if times - 1 > allowed {
            found.unexplained.push(id);
        }
    }
    found
}

/// What may be done again because of one disturbance.
fn exposed(effects: &[Effect], letters: &[Id], by: &Disturbance) -> BTreeSet<Id> {
    let met = |began| by.over.is_none_or(|over| began <= over);
    let theirs = |effect: &&Effect| by.lives.contains(&effect.by) && met(effect.began);
    let begun = effects.iter().filter(theirs).map(|effect| effect.id);
    // Who wrote a dead letter, and when, isn't seen: any may be written again.
    begun.chain(letters.iter().copied()).filter(|id| !by.settled.has(id)).collect()
}

/// I4: what a worker holds of memory is bounded.
pub fn over_memory(peak_bytes: u64, limit_bytes: u64) -> Option<String> {
    let mib = |bytes: u64| bytes >> 20;
    (peak_bytes > limit_bytes).then(|| {
        format!("a worker held {} MiB, and {} are allowed", mib(peak_bytes), mib(limit_bytes))
    })
}

/// I5: a short message is done in time, whatever the others hold. On a machine that has other things to do a single one says
/// little: half of them have to be `usual`ly fast, and none may stand still for the `longest`.
pub fn late(waits: &[Duration], usual: Duration, longest: Duration) -> Option<String> {
    let (half, last) = (within(waits, 0.5)?, within(waits, 1.0)?);
    let late = half > usual || last > longest;
    late.then(|| format!("short messages took {half:?}, and up to {last:?}, beside long ones"))
}

/// In what time this part of them was done.
pub fn within(waits: &[Duration], part: f64) -> Option<Duration> {
    let mut waits = waits.to_vec();
    waits.sort();
    // A number of messages, far below what a float holds exactly.
    let count = (waits.len() as f64 * part).ceil() as usize;
    waits.get(count.checked_sub(1)?).copied()
}

/// I6: no partition stands still while it lags, for longer than `patience`. Give it what was seen once nothing was broken
/// and nobody held an answer back any more.
pub fn idle(seen: &[Observation], patience: Duration) -> Option<String> {
    let partitions = seen.iter().map(|seen| seen.partitions.len()).max().unwrap_or_default();
    (0..partitions).find_map(|number| {
        let mut moved: Option<(u64, Instant)> = None;
        for (at, partition) in seen.iter().filter_map(|s| Some((s.at, s.partitions.get(number)?))) {
            let since = match moved {
                Some((settled, since)) if settled == partition.settled => since,
                _ => at,
            };
            // One without lag has nothing to do.
            let since = if partition.lag() == 0 { at } else { since };
            if at.duration_since(since) > patience {
                let left = partition.lag();
                return Some(format!("partition {number} stood still with a lag of {left}"));
            }
            moved = Some((partition.settled, since));
        }
        None
    })
}

fn done(effects: &[Effect]) -> impl Iterator<Item = Id> {
    effects.iter().filter(|effect| effect.done.is_some()).map(|effect| effect.id)
}

/// The first few of many.
pub fn some(items: &[String]) -> String {
    const SHOWN: usize = 5;
    let shown = items.iter().take(SHOWN).map(String::as_str).collect::<Vec<_>>().join(", ");
    match items.len().saturating_sub(SHOWN) {
        0 => shown,
        more => format!("{shown} and {more} more"),
    }
}

#[cfg(test)]
mod tests;
