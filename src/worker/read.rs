//! From bytes to an event that some playbook wants: the synchronous part of the way.

use std::sync::Arc;

use brokers::{
    Message,
    dead_letter::{max_age, meant_for},
};
use playbooks::{
    act::{Occurrence, TraceParent, could_cover},
    decide::{Candidate, Claim, Event, EventError, Matcher},
};

use crate::config::Cluster;

/// What a message turned out to be.
#[derive(Debug)]
pub(crate) enum Read {
    /// Not a Falco event. It belongs to the dead letters.
    Malformed(EventError),
    /// An event that nobody answers.
    PassedOver(PassedOver),
    /// An event that playbooks want.
    Wanted(Wanted),
}

/// Why an event is answered by nobody.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum PassedOver {
    /// Falco's word about itself.
    Internal,
    /// About another cluster.
    ForeignCluster,
    /// No playbook matches.
    Unmatched,
}

impl PassedOver {
    /// The label.
    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Self::Internal => "internal",
            Self::ForeignCluster => "foreign-cluster",
            Self::Unmatched => "unmatched",
        }
    }
}

/// An event, owned, and the playbooks that want it.
#[derive(Debug)]
pub(crate) struct Wanted {
    /// The event.
    pub(crate) occurrence: Arc<Occurrence>,
    /// What it says it is about.
    pub(crate) claim: Claim,
    /// Who wants it, in order of name.
    pub(crate) candidates: Vec<Candidate>,
}

/// Reads a message.
pub(crate) fn read(message: &Message, matcher: &Matcher, cluster: &Cluster) -> Read {
    try_read(message, matcher, cluster).unwrap_or_else(Read::Malformed)
}

fn try_read(message: &Message, matcher: &Matcher, cluster: &Cluster) -> Result<Read, EventError> {
    let payload = &message.payload;
    let event = Event::decode(payload)?;
    if event.is_internal() {
        return Ok(Read::PassedOver(PassedOver::Internal));
    }
    let mut candidates = matcher.candidates(&event)?;
    if let Some(only) = meant_for(message) {
        candidates.retain(|candidate| only.contains(&candidate.playbook.name.as_str()));
    }
    if candidates.is_empty() {
        return Ok(Read::PassedOver(PassedOver::Unmatched));
    }
    let theirs = event.cluster(&cluster.field)?.map(|name| name.into_owned());
    if let (Some(theirs), Some(ours)) = (&theirs, &cluster.name)
        && theirs != ours
    {
        return Ok(Read::PassedOver(PassedOver::ForeignCluster));
    }
    let id = event.id(theirs.as_deref())?;
    let claim = event.claim()?;
    // Of those that are bound to a namespace most are none of this event's: nothing is looked up for them, or fails for them.
    candidates.retain(|candidate| could_cover(&candidate.playbook.reach, &claim));
    if candidates.is_empty() {
        return Ok(Read::PassedOver(PassedOver::Unmatched));
    }
    let mut occurrence = Occurrence::new(&event, id, theirs, payload.clone(), trace(message))?;
    occurrence.max_age = max_age(message);
    Ok(Read::Wanted(Wanted { occurrence: Arc::new(occurrence), claim, candidates }))
}

/// The trace that the message was published in, under the name that most give it or the one of Pub/Sub's clients.
fn trace(message: &Message) -> Option<TraceParent> {
    let named = |wanted: &str| {
        let (_, value) =
            message.headers.iter().find(|(name, _)| name.eq_ignore_ascii_case(wanted))?;
        std::str::from_utf8(value).ok()?.parse().ok()
    };
    named("traceparent").or_else(|| named("googclient_traceparent"))
}
