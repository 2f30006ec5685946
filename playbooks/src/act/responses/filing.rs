//! What is written down of a response before it changes anything: pure, bounded, made harmless.

use std::{collections::BTreeMap, time::Duration};

use jiff::Timestamp;
use kube::api::ObjectMeta;

use super::{
    changes::{MOST, after, changes, is_live, is_same},
    name::name,
    object::{Change, Claim, EventSummary, Held, Phase, ResponseSpec, StoredResponse, TargetRef},
};
use crate::{
    act::{
        occurrence::Occurrence,
        outcome::Failure,
        response::{Response, Standing},
        text::clean,
    },
    decide::Approval,
};

/// On the object: the target's uid, to find what else was done to it.
pub(super) const TARGET_UID: &str = "stoop.dev/target-uid";
/// On the object, with the value `true`: an event is held in it.
pub(super) const HELD: &str = "stoop.dev/held";

/// How much of Falco's text is written down, in characters.
const OUTPUT: usize = 500;
/// The longest event that is held for an approval, in bytes.
const LONGEST_HELD: usize = 128 << 10;

/// Who writes, and how long a claim and a question last.
#[derive(Debug, Clone)]
pub(super) struct Writer {
    pub(super) worker: String,
    pub(super) cluster: Option<String>,
    /// Longer than any action may take: a worker that lives renews it before the next one.
    pub(super) lease: Duration,
    pub(super) question: Duration,
}

/// What is to be written before a response's first change.
#[derive(Debug, Clone)]
pub(in crate::act) struct Filing {
    pub(super) name: String,
    pub(super) spec: ResponseSpec,
    pub(super) cooldown: Duration,
    /// True where the playbook must not run without.
    pub(super) is_needed: bool,
    /// Until when it is left to the writer to act.
    until: Timestamp,
}

impl Filing {
    /// Of a response that is about to act, at this time.
    ///
    /// # Errors
    ///
    /// Where the event would have to be held and is too long for it.
    pub(super) fn of(
        response: &Response,
        writer: &Writer,
        now: Timestamp,
    ) -> Result<Filing, Failure> {
        let (plan, occurrence) = (response.plan(), response.occurrence());
        let playbook = &plan.playbook;
        let target = target(response.standing());
        let concern = match response.standing().uid() {
            Some(uid) => uid.to_string(),
            None => occurrence.id.to_string(),
        };
        let held = match playbook.approval {
            Approval::Required => Some(held(occurrence, after(now, writer.question))?),
            Approval::None => None,
        };
        let spec = ResponseSpec {
            playbook: playbook.name.clone(),
            target,
            cluster: writer.cluster.clone(),
            event: summary(occurrence),
            run: 1,
            began: now,
            // Nobody is at what waits.
            claim: Claim { worker: writer.worker.clone(), until: now },
            changes: changes(plan, response.standing(), now),
            held,
            reverting: None,
            decision: None,
        };
        Ok(Filing {
            name: name(&playbook.name, &concern),
            spec,
            cooldown: playbook.limits.cooldown,
            is_needed: plan.needs_records(),
            until: after(now, writer.lease),
        })
    }

    /// The object, if there is none yet.
    pub(super) fn object(&self) -> StoredResponse {
        let metadata = ObjectMeta {
            name: Some(self.name.clone()),
            labels: Some(labels(&self.spec)),
            ..ObjectMeta::default()
        };
        let mut object = StoredResponse { metadata, spec: self.spec.clone(), status: None };
        self.claim(&mut object);
        object
    }

    /// The stored object, taken over: the run that it is in, or the next one if that has ended.
    pub(super) fn taking_over(&self, stored: &StoredResponse) -> StoredResponse {
        // What was taken back is made anew, and is a run of its own.
        let has_ended = stored.current().is_some_and(|status| {
            !matches!(status.phase, Phase::Running | Phase::Pending) || !status.undone.is_empty()
        });
        let is_history = has_ended || is_over(stored, self.spec.began);
        let mut spec = self.spec.clone();
        match is_history {
            true => spec.run = stored.spec.run.saturating_add(1),
            false => {
                spec.run = stored.spec.run;
                spec.event = stored.spec.event.clone();
                spec.began = stored.spec.began;
                // What was decided stays so. Where the playbook asks nobody any more, there is nothing to wait for.
                spec.decision = stored.spec.decision;
                spec.held = spec.held.and_then(|_| stored.spec.held.clone());
            }
        }
        // What an earlier run has left, by another version of the playbook perhaps, is still to be taken back.
        for left in stored.spec.changes.iter().filter(|change| is_live(stored, change)) {
            let earlier = left.earlier || is_history;
            match spec.changes.iter_mut().find(|new| is_same(new, left)) {
                Some(new) => new.earlier = earlier,
                None => spec.changes.push(Change { earlier: true, ..left.clone() }),
            }
        }
        spec.changes.truncate(MOST);
        let mut metadata = stored.metadata.clone();
        let all = metadata.labels.get_or_insert_default();
        all.remove(HELD);
        all.extend(labels(&spec));
        let mut object = StoredResponse { metadata, spec, status: stored.status.clone() };
        self.claim(&mut object);
        object
    }

    fn claim(&self, object: &mut StoredResponse) {
        if !is_waiting(object) {
            object.spec.claim.until = self.until;
        }
    }
}

/// True where a person has still to be heard.
pub(super) fn is_waiting(object: &StoredResponse) -> bool {
    object.spec.held.is_some() && object.spec.decision.is_none()
}

/// True where nobody was heard in time.
pub(super) fn is_over(object: &StoredResponse, now: Timestamp) -> bool {
    is_waiting(object) && object.spec.held.as_ref().is_some_and(|held| held.until <= now)
}

/// The verified pod or node.
fn target(standing: &Standing) -> Option<TargetRef> {
    let (object, uid) = match standing {
        Standing::Target(target) => (target.object(), target.uid()),
        Standing::Node(node) => (node.object(), node.uid()),
        Standing::Gone(_) | Standing::NoTarget | Standing::Unidentified(_) => return None,
    };
    Some(TargetRef {
        kind: object.kind.to_owned(),
        namespace: object.namespace.clone(),
        name: object.name.clone(),
        uid: Some(uid.to_string()),
    })
}

fn summary(occurrence: &Occurrence) -> EventSummary {
    EventSummary {
        id: occurrence.id.to_string(),
        rule: clean(&occurrence.rule, 200),
        priority: occurrence.priority.as_str().to_owned(),
        source: clean(&occurrence.source, 60),
        time: occurrence.time,
        output: clean(&occurrence.output, OUTPUT),
    }
}

fn held(occurrence: &Occurrence, until: Timestamp) -> Result<Held, Failure> {
    let payload = &occurrence.payload;
    let text = std::str::from_utf8(payload).ok().filter(|text| text.len() <= LONGEST_HELD);
    let text = text.ok_or_else(|| {
        Failure::permanent(format!(
            "the event of {} bytes is too long to be held for an approval: at most {LONGEST_HELD} are",
            payload.len()
        ))
    })?;
    Ok(Held { payload: text.to_owned(), until })
}

fn labels(spec: &ResponseSpec) -> BTreeMap<String, String> {
    let uid = spec.target.as_ref().and_then(|target| target.uid.clone());
    let is_label = |uid: &String| {
        uid.len() <= 63 && uid.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-')
    };
    let uid = uid.filter(is_label).map(|uid| (TARGET_UID.to_owned(), uid));
    let held = spec.held.as_ref().map(|_| (HELD.to_owned(), "true".to_owned()));
    uid.into_iter().chain(held).collect()
}
