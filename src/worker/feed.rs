//! What the worker sees and does, for whoever looks: the last of it, and what comes as it comes.
//!
//! It is bounded whoever looks and whoever doesn't: the oldest goes first, and who reads too slowly is told how much was
//! missed. Only an event that some playbook wants leaves anything here, so that what is skipped costs nothing.

use std::{
    collections::{BTreeMap, BTreeSet, VecDeque},
    num::NonZero,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use jiff::Timestamp;
use playbooks::{
    act::{Guardrail, ObjectRef, Outcome, Report, StepReport},
    decide::EventError,
};
use serde::{Serialize, Serializer};
use tokio::sync::broadcast;

use super::{handle::Answers, read::Wanted, settle::Fate, verdict::End};

/// How much is kept, whichever is reached first.
const ENTRIES: usize = 1024;
const BYTES: usize = 1 << 20;

/// How far a reader may be behind before it loses entries.
const BEHIND: usize = 256;

/// How much of a text is told, in bytes; an event's text can be as long as its message.
const NAME: usize = 256;
const TEXT: usize = 1024;

/// How many steps of a response are told.
const STEPS: usize = 32;

/// How many of the playbooks that want an event are told by name, the first of them.
const NAMES: usize = 32;

/// The last of what a worker saw and did.
#[derive(Debug)]
pub struct Feed {
    name: String,
    state: Mutex<State>,
    live: broadcast::Sender<Arc<Entry>>,
}

#[derive(Debug, Default)]
struct State {
    next: u64,
    entries: VecDeque<Arc<Entry>>,
    bytes: usize,
    counts: Counted,
}

/// One thing that was seen or done.
#[derive(Debug)]
pub struct Entry {
    /// Counted from 0; none is left out.
    pub number: u64,
    /// A JSON object without its number, which it gets last.
    unnumbered: String,
}

impl Entry {
    /// A JSON object, in one line.
    pub fn json(&self) -> String {
        let rest = self.unnumbered.strip_prefix('{').unwrap_or_default();
        format!("{{\"number\":{},{rest}", self.number)
    }
}

/// What a playbook has come to since the worker was started, or since it was last out of force.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Counts {
    /// Events that it wanted, before it was known what they are about.
    pub events: u64,
    /// Responses that have ended, by outcome. Events that share one are counted once here.
    pub responses: BTreeMap<&'static str, u64>,
}

/// By playbook. One that is known takes no memory to count on.
#[derive(Debug, Default)]
struct Counted(BTreeMap<String, Counts>);

impl Counted {
    fn of(&mut self, name: &str) -> &mut Counts {
        if !self.0.contains_key(name) {
            self.0.insert(name.to_owned(), Counts::default());
        }
        match self.0.get_mut(name) {
            Some(counts) => counts,
            None => unreachable!("it is there by now"),
        }
    }
}

/// What a reader gets.
#[derive(Debug)]
pub struct Look {
    /// What is still known of what was asked for.
    pub entries: Vec<Arc<Entry>>,
    /// How many of them are forgotten.
    pub missed: u64,
    /// What comes next.
    pub live: broadcast::Receiver<Arc<Entry>>,
}

/// A line of the feed.
#[derive(Serialize)]
struct Line<'a> {
    at: Timestamp,
    #[serde(flatten)]
    word: Word<'a>,
}

#[derive(Serialize)]
#[serde(tag = "kind", rename_all = "camelCase")]
enum Word<'a> {
    /// An event that playbooks want.
    #[serde(rename_all = "camelCase")]
    Seen {
        subscription: &'a str,
        event: String,
        rule: Cut<'a>,
        priority: &'static str,
        source: Cut<'a>,
        time: Timestamp,
        output: Cut<'a>,
        /// What it says it is about: a claim, verified or not.
        #[serde(skip_serializing_if = "Claimed::is_nothing")]
        claimed: Claimed<'a>,
        playbooks: Vec<&'a str>,
        /// How many more there are.
        #[serde(skip_serializing_if = "Option::is_none")]
        more: Option<NonZero<usize>>,
    },
    /// A response has ended.
    #[serde(rename_all = "camelCase")]
    Responded {
        event: &'a str,
        playbook: &'a str,
        mode: &'static str,
        #[serde(skip_serializing_if = "Option::is_none")]
        object: Option<&'a ObjectRef>,
        outcome: &'static str,
        reason: Option<&'static str>,
        why: Cut<'a>,
        steps: Vec<Step<'a>>,
    },
    /// An event is settled, or comes again.
    #[serde(rename_all = "camelCase")]
    Settled {
        subscription: &'a str,
        event: String,
        how: &'static str,
        /// Why it was nobody's after all.
        #[serde(skip_serializing_if = "Option::is_none")]
        passed_over: Option<&'static str>,
        /// What the answer was of each playbook that was told by name; one whose answer is not here found that the object
        /// is none of its own.
        answers: Vec<Given<'a>>,
    },
    /// A message that is no event.
    Malformed { subscription: &'a str, why: String },
}

#[derive(Serialize)]
struct Step<'a> {
    action: &'static str,
    outcome: &'static str,
    reason: Option<&'static str>,
    detail: Cut<'a>,
}

#[derive(Serialize)]
struct Given<'a> {
    playbook: &'a str,
    end: &'static str,
    why: Cut<'a>,
}

/// The names that an event gives.
#[derive(Serialize)]
struct Claimed<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    namespace: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pod: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    node: Option<&'a str>,
}

impl Claimed<'_> {
    fn is_nothing(&self) -> bool {
        self.namespace.is_none() && self.pod.is_none() && self.node.is_none()
    }
}

/// The beginning of a text, of at most so many bytes; what is cut ends in `…`.
struct Cut<'a>(&'a str, usize);

impl Serialize for Cut<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let Self(text, most) = *self;
        match text.get(..text.floor_char_boundary(most)) {
            Some(beginning) if beginning.len() < text.len() => {
                serializer.collect_str(&format_args!("{beginning}…"))
            }
            _ => serializer.serialize_str(text),
        }
    }
}

impl Feed {
    /// Nothing was seen yet.
    pub fn new() -> Arc<Self> {
        let name = format!("{:016x}", fastrand::u64(..));
        Arc::new(Self { name, state: Mutex::default(), live: broadcast::Sender::new(BEHIND) })
    }

    /// Tells this feed from that of any other worker, and of this one's next life.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// What there is after this entry, or all that is known, and whatever comes.
    pub fn look(&self, after: Option<u64>) -> Look {
        let state = self.lock();
        // Under the lock, so that nothing comes twice and nothing is left out.
        let live = self.live.subscribe();
        let from = after.map_or(0, |number| number.saturating_add(1));
        let oldest = state.entries.front().map_or(state.next, |entry| entry.number);
        let entries = state.entries.iter().filter(|entry| entry.number >= from);
        Look { entries: entries.cloned().collect(), missed: oldest.saturating_sub(from), live }
    }

    /// What each playbook has come to, by name.
    pub fn counts(&self) -> BTreeMap<String, Counts> {
        self.lock().counts.0.clone()
    }

    /// Forgets what playbooks have come to that are no longer in force: objects come and go, by any names.
    pub(super) fn forget_others(&self, in_force: &BTreeSet<&str>) {
        self.lock().counts.0.retain(|name, _| in_force.contains(name.as_str()));
    }

    pub(super) fn seen(&self, subscription: &str, wanted: &Wanted) {
        let (event, claim) = (&wanted.occurrence, &wanted.claim);
        let word = Word::Seen {
            subscription,
            event: event.id.to_string(),
            rule: Cut(&event.rule, NAME),
            priority: event.priority.as_str(),
            source: Cut(&event.source, NAME),
            time: event.time,
            output: Cut(&event.output, TEXT),
            claimed: Claimed {
                namespace: claim.namespace.as_deref(),
                pod: claim.pod.as_deref(),
                node: claim.node.as_deref(),
            },
            playbooks: named(wanted).collect(),
            more: NonZero::new(wanted.candidates.len().saturating_sub(NAMES)),
        };
        self.tell(word, |counts| {
            for candidate in &wanted.candidates {
                counts.of(&candidate.playbook.name).events += 1;
            }
        });
    }

    pub(super) fn responded<'a>(&self, report: &'a Report) {
        let step = |step: &'a StepReport| Step {
            action: step.action,
            outcome: step.outcome.as_str(),
            reason: step.outcome.reason(),
            detail: Cut(step.outcome.detail(), TEXT),
        };
        let word = Word::Responded {
            event: &report.event_id,
            playbook: &report.playbook,
            mode: report.mode.as_str(),
            object: report.object.as_ref(),
            outcome: report.overall.as_str(),
            reason: report.overall.reason(),
            why: Cut(report.overall.detail(), TEXT),
            steps: report.steps.iter().take(STEPS).map(step).collect(),
        };
        self.tell(word, |counts| {
            let responses = &mut counts.of(&report.playbook).responses;
            *responses.entry(outcome(&report.overall)).or_default() += 1;
        });
    }

    pub(super) fn settled(
        &self,
        subscription: &str,
        wanted: &Wanted,
        answers: Option<&Answers>,
        how: Fate,
    ) {
        let (passed_over, given) = match answers {
            None => (None, [].as_slice()),
            Some(Answers::PassedOver(why)) => (Some(why.as_str()), [].as_slice()),
            Some(Answers::From(answers)) => (None, answers.as_slice()),
        };
        let told: BTreeSet<_> = named(wanted).collect();
        let given = given.iter().filter(|answer| told.contains(&*answer.playbook));
        let given = given.map(|answer| Given {
            playbook: &answer.playbook,
            end: word_for(answer.end),
            why: Cut(&answer.why, TEXT),
        });
        let event = wanted.occurrence.id.to_string();
        let word = Word::Settled {
            subscription,
            event,
            how: how.as_str(),
            passed_over,
            answers: given.collect(),
        };
        self.tell(word, |_| {});
    }

    pub(super) fn malformed(&self, subscription: &str, why: &EventError) {
        self.tell(Word::Malformed { subscription, why: why.to_string() }, |_| {});
    }

    fn tell(&self, word: Word<'_>, count: impl FnOnce(&mut Counted)) {
        // Before the lock, which everybody waits for.
        let line = serde_json::to_string(&Line { at: Timestamp::now(), word });
        let mut state = self.lock();
        count(&mut state.counts);
        // Of these types nothing fails to become JSON, and if it did this would only be a line that nobody sees.
        let Ok(unnumbered) = line else { return };
        let entry = Arc::new(Entry { number: state.next, unnumbered });
        state.keep(entry.clone());
        // It is fine that nobody looks. Under the lock, so that they come in order.
        drop(self.live.send(entry));
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    fn keep(&mut self, entry: Arc<Entry>) {
        self.next += 1;
        self.bytes += entry.unnumbered.len();
        self.entries.push_back(entry);
        while self.entries.len() > ENTRIES || self.bytes > BYTES {
            let Some(oldest) = self.entries.pop_front() else { return };
            self.bytes -= oldest.unnumbered.len();
        }
    }
}

/// The playbooks that are told by name.
fn named(wanted: &Wanted) -> impl Iterator<Item = &str> {
    wanted.candidates.iter().take(NAMES).map(|candidate| candidate.playbook.name.as_str())
}

/// A question is a refusal only until it is answered.
fn outcome(overall: &Outcome) -> &'static str {
    match overall {
        Outcome::Refused(refusal) if refusal.guardrail == Guardrail::Approval => "asked",
        other => other.as_str(),
    }
}

fn word_for(end: End) -> &'static str {
    match end {
        End::Well => "well",
        End::Declined | End::Refused | End::TooOld => "refused",
        End::Redo => "held-back",
        End::Failed => "failed",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn malformed(feed: &Feed, why: &str) {
        feed.tell(Word::Malformed { subscription: "falco", why: why.to_owned() }, |_| {});
    }

    fn numbers(look: &Look) -> Vec<u64> {
        look.entries.iter().map(|entry| entry.number).collect()
    }

    #[test]
    fn who_comes_back_goes_on_where_he_was_and_is_told_what_is_forgotten() {
        let feed = Feed::new();
        (0..3).for_each(|_| malformed(&feed, "no JSON"));
        assert_eq!(numbers(&feed.look(None)), [0, 1, 2]);
        assert_eq!(numbers(&feed.look(Some(1))), [2]);
        (0..ENTRIES).for_each(|_| malformed(&feed, "no JSON"));
        let look = feed.look(Some(1));
        assert_eq!((look.missed, numbers(&look)[0], look.entries.len()), (1, 3, ENTRIES));
        assert_eq!(feed.look(Some(u64::MAX)).entries.len(), 0);
    }

    #[test]
    fn what_is_kept_is_bounded_in_bytes_too() {
        let feed = Feed::new();
        (0..8).for_each(|_| malformed(&feed, &"x".repeat(BYTES / 4)));
        let look = feed.look(None);
        assert!(look.entries.iter().map(|entry| entry.unnumbered.len()).sum::<usize>() <= BYTES);
        assert_eq!((look.missed, numbers(&look).last()), (5, Some(&7)));
    }

    #[tokio::test]
    async fn what_comes_after_a_look_comes_once_and_a_slow_reader_learns_what_it_lost() {
        let feed = Feed::new();
        malformed(&feed, "before");
        let mut look = feed.look(None);
        (0..BEHIND + 2).for_each(|_| malformed(&feed, "after"));
        let lagged = look.live.recv().await.unwrap_err();
        assert!(matches!(lagged, broadcast::error::RecvError::Lagged(2)), "{lagged:?}");
        assert_eq!(look.live.recv().await.unwrap().number, 3);
    }

    #[test]
    fn a_long_text_is_cut_between_characters() {
        let cut = |text, most| serde_json::to_string(&Cut(text, most)).unwrap();
        assert_eq!(cut("añb", 4), "\"añb\"");
        assert_eq!(cut("añb", 2), "\"a…\"");
        assert_eq!(cut("\u{202e}\u{1b}", 9), "\"\u{202e}\\u001b\"");
    }
}
