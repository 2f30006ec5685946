//! What a person has approved: how workers find it, and how it ends where it never got as far as to be given.

use bytes::Bytes;
use jiff::Timestamp;

use super::{
    Records,
    filing::HELD,
    object::{Decision, Phase, ResponseStatus, StoredResponse},
};
use crate::act::{api::Class, outcome::Failure, text::clean};

/// A response that may be given now.
#[derive(Clone, Debug)]
pub struct Approved {
    /// The object's name.
    pub name: String,
    /// The playbook's.
    pub playbook: String,
    /// The event, as it came.
    pub payload: Bytes,
    /// When it was approved.
    pub at: Timestamp,
    run: u32,
}

impl Records {
    /// The responses that are approved and that nobody is at.
    ///
    /// # Errors
    ///
    /// Where they can't be listed.
    pub async fn approved(&self) -> Result<Vec<Approved>, Failure> {
        if !self.shelf().is_there().await? {
            return Ok(Vec::new());
        }
        let (held, now) = (format!("{HELD}=true"), Timestamp::now());
        // Each holds an event, and most are not approved.
        let mut found = Vec::new();
        let show = |stored| found.extend(approved(&stored, now));
        self.shelf().for_each(Some(&held), show).await?;
        Ok(found)
    }

    /// Ends one that was not given, say since a guardrail would not have it: nobody is to take it up again.
    ///
    /// # Errors
    ///
    /// Where that can't be written down.
    pub async fn close(&self, approved: &Approved, phase: Phase, why: &str) -> Result<(), Failure> {
        let Some(mut stored) = self.shelf().get(&approved.name).await? else { return Ok(()) };
        let now = Timestamp::now();
        // Given after all, by us or by another.
        if stored.spec.run != approved.run || self::approved(&stored, now).is_none() {
            return Ok(());
        }
        stored.status = Some(ResponseStatus {
            phase,
            run: stored.spec.run,
            members: 1,
            done: clean(why, 200),
            finished: Some(now),
            ..ResponseStatus::default()
        });
        match self.shelf().replace_status(&stored).await {
            Ok(_) => Ok(()),
            // Another look tells.
            Err(error) if *error.class() == Class::Conflict => Ok(()),
            Err(error) => Err(error.into()),
        }
    }
}

fn approved(stored: &StoredResponse, now: Timestamp) -> Option<Approved> {
    let is_open = matches!(stored.phase(), Phase::Running | Phase::Pending);
    let is_approved = stored.spec.decision == Some(Decision::Approved);
    let held = stored.spec.held.as_ref()?;
    let is_free = stored.spec.claim.until <= now;
    (is_open && is_approved && is_free).then(|| Approved {
        name: stored.metadata.name.clone().unwrap_or_default(),
        playbook: stored.spec.playbook.clone(),
        payload: Bytes::copy_from_slice(held.payload.as_bytes()),
        // One that is approved once more begins then.
        at: decided_at(stored).unwrap_or(now).max(stored.spec.began),
        run: stored.spec.run,
    })
}

/// When the decision was written, by the API server's own word.
fn decided_at(stored: &StoredResponse) -> Option<Timestamp> {
    let fields = stored.metadata.managed_fields.iter().flatten();
    let decided = fields.filter(|entry| {
        let spec = entry.fields_v1.as_ref().and_then(|fields| fields.0.get("f:spec"));
        spec.is_some_and(|spec| spec.get("f:decision").is_some())
    });
    decided.filter_map(|entry| entry.time.as_ref()).map(|time| time.0).max()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn stored() -> StoredResponse {
        let time = "2026-11-21T10:00:00Z";
        serde_json::from_value(json!({
            "apiVersion": "stoop.dev/v1alpha1", "kind": "Response",
            "metadata": {"name": "p-1", "managedFields": [
                {"manager": "kubectl", "operation": "Update", "apiVersion": "stoop.dev/v1alpha1", "time": "2026-11-21T10:30:00Z",
                 "fieldsType": "FieldsV1", "fieldsV1": {"f:spec": {"f:decision": {}}}},
                {"manager": "stoop", "operation": "Update", "apiVersion": "stoop.dev/v1alpha1", "time": "2026-11-21T11:30:00Z",
                 "fieldsType": "FieldsV1", "fieldsV1": {"f:spec": {"f:run": {}}}},
            ]},
            "spec": {
                "playbook": "p", "run": 1, "began": time, "claim": {"worker": "w", "until": time},
                "event": {"id": "e", "rule": "r", "priority": "Notice", "source": "syscall", "time": time, "output": "o"},
                "held": {"payload": "{}", "until": "2026-11-22T10:00:00Z"}, "decision": "Approved",
            },
        }))
        .expect("a response")
    }

    fn at(text: &str) -> Timestamp {
        text.parse().expect("a time")
    }

    #[test]
    fn the_age_counts_from_when_the_server_saw_the_decision() {
        let found = approved(&stored(), at("2026-11-21T12:00:00Z")).expect("it is approved");
        assert_eq!(found.at, at("2026-11-21T10:30:00Z"));
    }

    #[test]
    fn what_is_undecided_denied_claimed_or_ended_is_left() {
        let now = at("2026-11-21T12:00:00Z");
        let without = |change: fn(&mut StoredResponse)| {
            let mut stored = stored();
            change(&mut stored);
            approved(&stored, now).is_none()
        };
        assert!(without(|it| it.spec.decision = None));
        assert!(without(|it| it.spec.decision = Some(Decision::Denied)));
        assert!(without(|it| it.spec.held = None));
        assert!(without(|it| it.spec.claim.until = at("2026-11-21T12:00:01Z")));
        assert!(without(|it| {
            it.status = Some(ResponseStatus { phase: Phase::Failed, run: 1, ..Default::default() });
        }));
    }
}
