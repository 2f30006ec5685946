//! What the objects' status says, and who writes it: any worker, seldom twice.
//!
//! Every worker comes to the same words, so that the first one's do for all; the others see them and write nothing. Each looks
//! at a time of its own. Where two don't agree, say since one has a newer configuration, each says its own once and then
//! rests, whatever the other says.

use std::{
    collections::{HashMap, HashSet},
    sync::Arc,
    time::Duration,
};

use jiff::Timestamp;
use playbooks::act::{
    Api, ApiError, Class, Condition, ConditionStatus, FailureKind, Key, Permission, Plan,
    PlaybookObject, PlaybookStatus, Uid, tell_status,
};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use super::{Entry, Standing};
use crate::worker::{Worker, sweep::jittered};

/// How long it rests between two looks, more or less.
const REST: Duration = Duration::from_secs(2);

/// For how long the same words are not written again, whoever has written others since.
const SAID: Duration = Duration::from_secs(10 * 60);

/// For how long a right is taken for granted.
const GRANTED: Duration = Duration::from_secs(5 * 60);

/// For how long one is taken for missing: whoever grants it waits for that to be seen.
const MISSING: Duration = Duration::from_secs(20);

/// The longest message of a condition, in characters.
const LONGEST: usize = 2048;

/// What one worker has told and asked of late.
struct Teller {
    api: Api,
    said: Said,
    rights: HashMap<Permission, (bool, Instant)>,
    /// Why it could not be told of an object, so that it is logged once.
    mute: HashMap<Key, String>,
}

/// What one worker has told.
#[derive(Default)]
struct Said(HashMap<Key, Told>);

/// What was told of one object.
struct Told {
    uid: Uid,
    status: PlaybookStatus,
    at: Instant,
}

impl Worker {
    /// Tells what is made of each object in its status, until stopped. Changes the cluster: not for a worker that may not.
    pub async fn tell_of_objects(self: Arc<Self>, stop: CancellationToken) {
        let Some(api) = self.engine.api() else { return };
        let mut teller = Teller::new(api.clone());
        loop {
            tokio::select! {
                biased;
                () = stop.cancelled() => return,
                () = tokio::time::sleep(jittered(REST)) => {}
            }
            let entries = self.rules.sources().await.objects.entries();
            teller.forget_others(&entries);
            for entry in entries {
                let told = tokio::select! {
                    biased;
                    () = stop.cancelled() => return,
                    told = teller.tell(&entry, |plan| self.rights(plan)) => told,
                };
                if let Err(error) = told {
                    teller.fails(&entry.object.key, &error);
                    if is_everybodys(&error) {
                        break;
                    }
                }
            }
        }
    }

    fn rights(&self, plan: &Plan) -> Vec<Permission> {
        self.engine.rights(plan).into_iter().map(|right| right.permission).collect()
    }
}

/// Whether it is the same for the objects behind it: an outage, too many calls, or a right that is missing. Anything else may be
/// this object's own fault, such as its size.
fn is_everybodys(error: &ApiError) -> bool {
    let is_away = matches!(error.class(), Class::Failed(FailureKind::Unavailable(_)));
    is_away || error.code() == Some(403)
}

impl Teller {
    fn new(api: Api) -> Teller {
        Teller { api, said: Said::default(), rights: HashMap::new(), mute: HashMap::new() }
    }

    /// Writes the object's status, if it says something else and these words were not written of late.
    async fn tell(
        &mut self,
        entry: &Entry,
        rights: impl Fn(&Plan) -> Vec<Permission>,
    ) -> Result<(), ApiError> {
        let missing = match &entry.plan {
            Some(plan) => self.missing(rights(plan)).await?,
            None => Vec::new(),
        };
        let object = &entry.object;
        let status = status(entry, &missing, Timestamp::now()).since(object.status.as_ref());
        if !self.said.is_new(object, &status) {
            return Ok(());
        }
        match tell_status(&self.api, object, &status).await {
            // Another by now, by another worker's word maybe, or gone: it is seen soon.
            Err(error) if matches!(error.class(), Class::Conflict | Class::NotFound) => {
                return Ok(());
            }
            told => told?,
        }
        self.mute.remove(&object.key);
        self.said.note(object, status);
        Ok(())
    }

    /// Those of the rights that are not granted.
    async fn missing(&mut self, rights: Vec<Permission>) -> Result<Vec<Permission>, ApiError> {
        let now = Instant::now();
        let is_fresh =
            |(granted, at): &(bool, Instant)| now - *at < if *granted { GRANTED } else { MISSING };
        let mut missing = Vec::new();
        for right in rights {
            let known = self.rights.get(&right).filter(|known| is_fresh(known)).copied();
            let granted = match known {
                Some((granted, _)) => granted,
                None => {
                    let granted = self.api.can_i(&right).await?;
                    self.rights.insert(right.clone(), (granted, now));
                    granted
                }
            };
            if !granted && !missing.contains(&right) {
                missing.push(right);
            }
        }
        missing.sort();
        Ok(missing)
    }

    fn forget_others(&mut self, entries: &[Entry]) {
        let there: HashSet<_> = entries.iter().map(|entry| &entry.object.key).collect();
        self.said.0.retain(|key, _| there.contains(key));
        self.mute.retain(|key, _| there.contains(key));
        self.rights.retain(|_, (_, at)| at.elapsed() < GRANTED);
    }

    fn fails(&mut self, object: &Key, error: &ApiError) {
        let why = error.to_string();
        if self.mute.get(object) != Some(&why) {
            tracing::warn!(%object, why, "what is made of this playbook can't be told in its status");
            self.mute.insert(object.clone(), why);
        }
    }
}

impl Said {
    /// Whether the object's status says something else, and these words were not written of late.
    fn is_new(&self, object: &PlaybookObject, status: &PlaybookStatus) -> bool {
        if object.status.as_ref().is_some_and(|seen| status.says_as(seen)) {
            return false;
        }
        let told = self.0.get(&object.key);
        !told.is_some_and(|told| {
            told.uid == object.uid && status.says_as(&told.status) && told.at.elapsed() < SAID
        })
    }

    fn note(&mut self, object: &PlaybookObject, status: PlaybookStatus) {
        let told = Told { uid: object.uid.clone(), status, at: Instant::now() };
        self.0.insert(object.key.clone(), told);
    }
}

/// What is to be told: the same words from every worker that judges as this one does, whatever it remembers.
fn status(entry: &Entry, missing: &[Permission], now: Timestamp) -> PlaybookStatus {
    let generation = entry.object.generation;
    let condition = |what: &str, status, reason: &str, message: String| Condition {
        what: what.to_owned(),
        status,
        reason: reason.to_owned(),
        message: message.chars().take(LONGEST).collect(),
        observed_generation: generation,
        last_transition_time: now,
    };
    use ConditionStatus::{False, True, Unknown};
    let ready = match &entry.standing {
        Standing::InForce => ("InForce", True, "it is in force as it is written".to_owned()),
        Standing::Refused(why) => {
            let stays = "until it is mended, what a worker last read of it that was good stays in force there; \
                         with a worker that has read none it is not in force";
            ("Refused", False, format!("{why}\n{stays}"))
        }
        Standing::NameTaken(file) => {
            let why = format!(
                "a playbook of this name is in the workers' file {file}, and stands: give this one another name"
            );
            ("NameTaken", False, why)
        }
        Standing::NoRoom(why) => ("NoRoom", False, format!("{why}; it is not in force")),
        Standing::Unread => {
            let why = "there is room for it by now: it is read within a minute";
            ("Unread", False, why.to_owned())
        }
    };
    let authorized = match (entry.plan.is_some(), missing) {
        (false, _) => {
            ("NotReady", Unknown, "what it takes can't be told before it is ready".to_owned())
        }
        (true, []) => ("Granted", True, "the workers have every right that it takes".to_owned()),
        (true, missing) => {
            let missing: Vec<_> = missing.iter().map(ToString::to_string).collect();
            let fix = "`stoop rbac --objects` prints the roles that grant them";
            ("Missing", False, format!("the workers may not: {}; {fix}", missing.join(", ")))
        }
    };
    PlaybookStatus {
        observed_generation: generation,
        conditions: vec![
            condition("Ready", ready.1, ready.0, ready.2),
            condition("Authorized", authorized.1, authorized.0, authorized.2),
        ],
    }
}

#[cfg(test)]
mod tests {
    use kube::core::Status;
    use playbooks::act::PlaybookKind;
    use serde_json::json;

    use super::*;

    fn object() -> PlaybookObject {
        let object = json!({
            "metadata": {"name": "p", "namespace": "shop", "uid": "u", "generation": 1, "resourceVersion": "1"},
            "spec": {},
        });
        let object = serde_json::from_value(object).unwrap();
        PlaybookObject::of(PlaybookKind::Playbook, object).unwrap()
    }

    #[test]
    fn one_objects_own_fault_keeps_no_other_from_being_told() {
        let answered = |code| {
            ApiError::from(kube::Error::Api(Box::new(Status::failure("no", "No").with_code(code))))
        };
        for (code, expected) in [
            (401, true),
            (403, true),
            (429, true),
            (503, true),
            (400, false),
            (413, false),
            (422, false),
            (500, false),
        ] {
            assert_eq!(is_everybodys(&answered(code)), expected, "{code}");
        }
    }

    fn judged(standing: Standing) -> PlaybookStatus {
        let entry = Entry { object: object(), plan: None, standing };
        status(&entry, &[], Timestamp::now())
    }

    /// How often the status is written while workers that judge so look at it in turns.
    fn writes(judgements: &[Standing], rounds: usize) -> usize {
        let mut workers: Vec<_> = judgements.iter().map(|it| (Said::default(), it)).collect();
        let (mut stored, mut writes) = (object(), 0);
        for _ in 0..rounds {
            for (said, judgement) in &mut workers {
                let status = judged(judgement.clone()).since(stored.status.as_ref());
                if said.is_new(&stored, &status) {
                    said.note(&stored, status.clone());
                    stored.status = Some(status);
                    writes += 1;
                }
            }
        }
        writes
    }

    #[tokio::test(start_paused = true)]
    async fn many_workers_tell_once_and_two_that_disagree_once_each() {
        let refused = |why: &str| Standing::Refused(why.to_owned());
        assert_eq!(writes(&vec![refused("no such notifier"); 8], 100), 1);
        assert_eq!(writes(&[Standing::InForce, refused("no such notifier")], 100), 2);
        assert_eq!(writes(&[Standing::InForce, refused("a"), refused("b")], 100), 3);
    }

    #[tokio::test(start_paused = true)]
    async fn what_was_overwritten_is_told_again_after_a_while_and_of_a_successor_at_once() {
        let (mut said, status) = (Said::default(), judged(Standing::InForce));
        assert!(said.is_new(&object(), &status));
        said.note(&object(), status.clone());
        assert!(!said.is_new(&object(), &status), "it is only not seen yet");
        let (mut successor, mut seen) = (object(), object());
        successor.uid = Uid::new("v");
        assert!(said.is_new(&successor, &status));
        tokio::time::advance(SAID).await;
        assert!(said.is_new(&object(), &status));
        seen.status = Some(status.clone());
        assert!(!said.is_new(&seen, &status));
    }

    #[test]
    fn a_refusal_says_where_and_what_to_do_and_that_nothing_is_known_of_its_rights() {
        let status = judged(Standing::Refused("spec.limits.budgt: unknown field".to_owned()));
        let ready = status.condition("Ready").unwrap();
        assert_eq!((ready.status, ready.reason.as_str()), (ConditionStatus::False, "Refused"));
        assert!(ready.message.starts_with("spec.limits.budgt: unknown field"), "{ready:?}");
        assert_eq!(status.condition("Authorized").unwrap().status, ConditionStatus::Unknown);
    }
}
