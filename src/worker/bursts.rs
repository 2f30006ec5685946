//! Bursts: events about one target that arrive together share one response.
//!
//! An event joins the response of the same playbook and target while it runs, or after it ended well if the event is
//! not newer than that end plus the cooldown. The response runs in a task of its own, so that it belongs to all of its
//! members: it stops only when every one of them has left.

use std::{
    collections::{HashMap, VecDeque},
    hash::Hash,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use jiff::Timestamp;
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

/// How many ended responses are remembered for their cooldown; the oldest are forgotten first.
const REMEMBERED: usize = 8192;

/// How a response ended, as far as joining it is concerned.
pub trait Ending: Clone + Send + Sync + 'static {
    /// Whether later events of the burst are answered by it.
    fn well(&self) -> bool;
}

/// The responses that run, and those that ended well of late.
#[derive(Debug)]
pub struct Bursts<K, T> {
    state: Arc<Mutex<State<K, T>>>,
}

#[derive(Debug)]
struct State<K, T> {
    running: HashMap<K, Running<T>>,
    ended: HashMap<K, Ended<T>>,
    order: VecDeque<(Timestamp, K)>,
}

#[derive(Debug)]
struct Running<T> {
    members: usize,
    /// Those who have left included.
    joined: Arc<AtomicU64>,
    /// Tells this run from an earlier one of the same key.
    all_left: CancellationToken,
    ending: watch::Receiver<Option<T>>,
}

#[derive(Debug)]
struct Ended<T> {
    until: Timestamp,
    ending: T,
}

/// How an event comes into a burst.
#[derive(Debug)]
pub enum Entry<K: Eq + Hash + Clone, T> {
    /// The first of its burst: the caller starts the response with the lead, and is a member like the others.
    First(Lead<K, T>, Member<K, T>),
    /// There is one.
    Another(Share<K, T>),
}

/// What an event has of another one's response.
#[derive(Debug)]
pub enum Share<K: Eq + Hash + Clone, T> {
    /// It runs.
    Joined(Member<K, T>),
    /// It ended well, and this event is not newer than its cooldown.
    Covered(T),
}

/// A member of a running response. Dropping it leaves.
#[derive(Debug)]
pub struct Member<K: Eq + Hash, T> {
    state: Arc<Mutex<State<K, T>>>,
    key: K,
    all_left: CancellationToken,
    ending: watch::Receiver<Option<T>>,
}

/// The running response's side. Dropping it without an ending sends every member away empty-handed.
#[derive(Debug)]
pub struct Lead<K: Eq + Hash, T> {
    state: Arc<Mutex<State<K, T>>>,
    key: K,
    joined: Arc<AtomicU64>,
    all_left: CancellationToken,
    ending: watch::Sender<Option<T>>,
}

impl<K: Eq + Hash + Clone, T: Ending> Bursts<K, T> {
    /// No responses.
    pub fn new() -> Self {
        let (running, ended, order) = Default::default();
        Self { state: Arc::new(Mutex::new(State { running, ended, order })) }
    }

    /// Enters the burst of `key` with an event of time `time`.
    pub fn enter(&self, key: K, time: Timestamp) -> Entry<K, T> {
        let mut state = lock(&self.state);
        if let Some(share) = self.share(&mut state, &key, time) {
            return Entry::Another(share);
        }
        let (sender, ending) = watch::channel(None);
        let all_left = CancellationToken::new();
        let joined = Arc::new(AtomicU64::new(1));
        let running = Running {
            members: 1,
            joined: joined.clone(),
            all_left: all_left.clone(),
            ending: ending.clone(),
        };
        state.running.insert(key.clone(), running);
        let lead = Lead {
            state: self.state.clone(),
            key: key.clone(),
            joined,
            all_left: all_left.clone(),
            ending: sender,
        };
        Entry::First(lead, Member { state: self.state.clone(), key, all_left, ending })
    }

    /// The same where there is a burst already; `None`, and nothing begun, where the event would be the first of one.
    pub fn join(&self, key: &K, time: Timestamp) -> Option<Share<K, T>> {
        self.share(&mut lock(&self.state), key, time)
    }

    fn share(&self, state: &mut State<K, T>, key: &K, time: Timestamp) -> Option<Share<K, T>> {
        if let Some(running) = state.running.get_mut(key) {
            running.members += 1;
            running.joined.fetch_add(1, Ordering::Relaxed);
            let (all_left, ending) = (running.all_left.clone(), running.ending.clone());
            let (state, key) = (self.state.clone(), key.clone());
            return Some(Share::Joined(Member { state, key, all_left, ending }));
        }
        let ended = state.ended.get(key).filter(|ended| time <= ended.until)?;
        Some(Share::Covered(ended.ending.clone()))
    }
}

impl<K: Eq + Hash + Clone, T: Ending> Default for Bursts<K, T> {
    fn default() -> Self {
        Self::new()
    }
}

impl<K: Eq + Hash, T: Ending> Member<K, T> {
    /// Waits for the response's end; `None` if it stopped without one. Cancel safe.
    pub async fn ending(&mut self) -> Option<T> {
        let ended = self.ending.wait_for(Option::is_some).await;
        ended.ok().and_then(|ending| ending.clone())
    }
}

impl<K: Eq + Hash, T> Drop for Member<K, T> {
    fn drop(&mut self) {
        let mut state = lock(&self.state);
        if self.all_left.is_cancelled() {
            return;
        }
        let Some(running) = state.running.get_mut(&self.key) else { return };
        // A member may outlive its response and meet the key's next one.
        if !running.ending.same_channel(&self.ending) {
            return;
        }
        running.members -= 1;
        if running.members == 0 {
            running.all_left.cancel();
            // From here on an event of this key begins anew, after the lane is free again.
            state.running.remove(&self.key);
        }
    }
}

impl<K: Eq + Hash + Clone, T: Ending> Lead<K, T> {
    /// How many events have joined, the first included; counted on while it runs.
    pub fn joined(&self) -> Arc<AtomicU64> {
        self.joined.clone()
    }

    /// Fires when every member has left.
    pub fn all_left(&self) -> &CancellationToken {
        &self.all_left
    }

    /// Ends the response at `now`, and lets events up to `cooldown` after that count as answered if it ended well.
    pub fn end(self, ending: T, now: Timestamp, cooldown: Duration) {
        {
            let mut state = lock(&self.state);
            if ending.well() && !self.all_left.is_cancelled() {
                let until = now.checked_add(cooldown).unwrap_or(Timestamp::MAX);
                state.remember(self.key.clone(), Ended { until, ending: ending.clone() }, now);
            }
        }
        self.ending.send_replace(Some(ending));
    }
}

impl<K: Eq + Hash, T> Drop for Lead<K, T> {
    fn drop(&mut self) {
        let mut state = lock(&self.state);
        let mine = |running: &Running<T>| running.ending.same_channel(&self.ending.subscribe());
        if state.running.get(&self.key).is_some_and(mine) {
            state.running.remove(&self.key);
        }
    }
}

impl<K: Eq + Hash + Clone, T> State<K, T> {
    fn remember(&mut self, key: K, ended: Ended<T>, now: Timestamp) {
        self.order.push_back((ended.until, key.clone()));
        self.ended.insert(key, ended);
        // An event that is late by more than the cooldown again runs anew, and finds what was done.
        while let Some((until, _)) = self.order.front() {
            let old = *until < now && self.order.len() > REMEMBERED / 2;
            if !old && self.order.len() <= REMEMBERED {
                break;
            }
            let Some((until, key)) = self.order.pop_front() else { break };
            if self.ended.get(&key).is_some_and(|ended| ended.until == until) {
                self.ended.remove(&key);
            }
        }
    }
}

fn lock<K, T>(state: &Mutex<State<K, T>>) -> MutexGuard<'_, State<K, T>> {
    state.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Clone, Debug, PartialEq)]
    struct End(bool);

    impl Ending for End {
        fn well(&self) -> bool {
            self.0
        }
    }

    fn at(second: i64) -> Timestamp {
        Timestamp::from_second(second).unwrap()
    }

    fn first(
        bursts: &Bursts<&'static str, End>,
    ) -> (Lead<&'static str, End>, Member<&'static str, End>) {
        match bursts.enter("pod", at(0)) {
            Entry::First(lead, member) => (lead, member),
            other => panic!("not the first: {other:?}"),
        }
    }

    #[tokio::test]
    async fn members_of_a_running_response_share_its_end() {
        let bursts = Bursts::new();
        let (lead, mut member) = first(&bursts);
        let Some(Share::Joined(mut second)) = bursts.join(&"pod", at(5)) else {
            panic!("not joined")
        };
        assert_eq!(lead.joined().load(Ordering::Relaxed), 2);
        lead.end(End(true), at(10), Duration::from_secs(60));
        assert_eq!(member.ending().await, Some(End(true)));
        assert_eq!(second.ending().await, Some(End(true)));
    }

    #[test]
    fn an_event_is_covered_up_to_the_cooldown_after_a_good_end_and_no_further() {
        let bursts = Bursts::new();
        let (lead, _member) = first(&bursts);
        lead.end(End(true), at(10), Duration::from_secs(60));
        let covered = bursts.enter("pod", at(70));
        assert!(matches!(covered, Entry::Another(Share::Covered(End(true)))));
        assert!(bursts.join(&"pod", at(71)).is_none());
        assert!(matches!(bursts.enter("pod", at(71)), Entry::First(..)));
    }

    #[test]
    fn a_bad_end_covers_nothing() {
        let bursts = Bursts::new();
        let (lead, _member) = first(&bursts);
        lead.end(End(false), at(10), Duration::from_secs(60));
        assert!(matches!(bursts.enter("pod", at(5)), Entry::First(..)));
    }

    #[test]
    fn a_response_stops_only_when_every_member_has_left() {
        let bursts = Bursts::new();
        let (lead, member) = first(&bursts);
        let Entry::Another(Share::Joined(second)) = bursts.enter("pod", at(5)) else {
            panic!("not joined")
        };
        drop(member);
        assert!(!lead.all_left().is_cancelled());
        drop(second);
        assert!(lead.all_left().is_cancelled());
        assert!(matches!(bursts.enter("pod", at(6)), Entry::First(..)));
    }

    #[tokio::test]
    async fn a_response_that_dies_sends_its_members_away_empty_handed() {
        let bursts = Bursts::new();
        let (lead, mut member) = first(&bursts);
        drop(lead);
        assert_eq!(member.ending().await, None);
        assert!(matches!(bursts.enter("pod", at(0)), Entry::First(..)));
    }

    #[test]
    fn a_late_leaver_does_not_touch_the_next_response_of_its_key() {
        let bursts = Bursts::new();
        let (lead, old) = first(&bursts);
        lead.end(End(false), at(10), Duration::ZERO);
        let (next, _member) = first(&bursts);
        drop(old);
        assert!(!next.all_left().is_cancelled());
    }

    #[test]
    fn what_is_remembered_is_bounded() {
        let bursts: Bursts<usize, End> = Bursts::new();
        for key in 0..2 * REMEMBERED {
            let Entry::First(lead, _member) = bursts.enter(key, at(0)) else { panic!() };
            lead.end(End(true), at(10), Duration::from_secs(60));
        }
        assert!(lock(&bursts.state).ended.len() <= REMEMBERED);
    }
}
