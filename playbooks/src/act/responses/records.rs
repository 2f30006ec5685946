//! What the engine asks before a response acts, and once it has ended.

use std::time::Duration;

use jiff::Timestamp;

use super::{
    Shelf,
    filing::{Filing, Writer, is_waiting},
    judge::{Judged, judge},
    link::Links,
    object::StoredResponse,
    shelf::permission,
};
use crate::act::{
    api::{Api, ApiError, Class, Permission},
    outcome::{Failure, Guardrail, Refusal},
    response::Response,
    roles::Right,
};

/// How often others may be faster, before it is left to a later try.
pub(super) const ROUNDS: usize = 5;

/// Writes the responses of one worker down.
pub struct Records {
    shelf: Shelf,
    writer: Writer,
    links: Option<Links>,
}

/// What came of writing a response down, before it acts.
pub(super) enum Begun {
    /// It is ours to give.
    Ours(Box<Open>),
    /// The cluster keeps no responses, and the playbook doesn't need it to.
    Unrecorded,
    /// It has been given already.
    Answered(String),
    /// Another is giving it: ask again.
    Busy(String),
    /// A person is asked first.
    Waiting(Box<Open>, Refusal),
}

/// A response that is written down, and ours until its claim is over.
#[derive(Debug)]
pub(super) struct Open(pub(super) StoredResponse);

/// Whether a response is still ours for the next action.
pub(super) enum Kept {
    /// As it is.
    Enough,
    /// For longer now.
    Longer(Box<Open>),
    /// It isn't: another had to take us for dead, or a person has deleted it.
    Lost,
}

impl Records {
    /// On the objects of `namespace`, as the worker of this name; two that live at once must not share it.
    ///
    /// `longest_action` is how long any action may take.
    pub fn new(
        api: Api,
        namespace: &str,
        worker: impl Into<String>,
        longest_action: Duration,
    ) -> Records {
        let writer = Writer {
            worker: worker.into(),
            cluster: None,
            lease: 2 * longest_action,
            question: Duration::from_secs(24 * 60 * 60),
        };
        Records { shelf: Shelf::new(api, namespace), writer, links: None }
    }

    /// For the cluster of this name.
    #[must_use]
    pub fn of_cluster(mut self, name: Option<String>) -> Records {
        self.writer.cluster = name;
        self
    }

    /// With this much time for an approval.
    #[must_use]
    pub fn asking_for(mut self, time: Duration) -> Records {
        self.writer.question = time;
        self
    }

    /// With links for those who are asked.
    #[must_use]
    pub fn linking(mut self, links: Option<Links>) -> Records {
        self.links = links;
        self
    }

    /// Who writes.
    pub(super) fn writer(&self) -> &Writer {
        &self.writer
    }

    /// The name under which it writes.
    pub(super) fn worker(&self) -> &str {
        &self.writer.worker
    }

    /// How long others leave to it what it has claimed.
    pub(super) fn lease(&self) -> Duration {
        self.writer.lease
    }

    /// Where the objects are.
    pub fn shelf(&self) -> &Shelf {
        &self.shelf
    }

    /// The rights that it takes on the objects of a namespace.
    pub fn permissions(namespace: &str) -> Vec<Permission> {
        let verbs = ["create", "delete", "get", "list", "update"];
        let verbs = verbs.map(|verb| permission(namespace, "responses", verb));
        let status = permission(namespace, "responses/status", "update");
        verbs.into_iter().chain([status]).collect()
    }

    /// The same, with what they are for.
    pub fn rights(namespace: &str) -> Vec<Right> {
        let rights = Records::permissions(namespace).into_iter();
        rights.map(|right| Right::new(right, "what responses leave behind".to_owned())).collect()
    }

    /// Writes a response down before its first change, or finds what became of it before.
    ///
    /// # Errors
    ///
    /// Where that can't be done: then nothing may be changed.
    pub(super) async fn begin(&self, response: &Response) -> Result<Begun, Failure> {
        let filing = Filing::of(response, &self.writer, Timestamp::now())?;
        let is_there = match filing.is_needed {
            true => self.shelf.is_there_now().await?,
            false => self.shelf.is_there().await?,
        };
        if !is_there {
            return match filing.is_needed {
                true => Err(absent(&filing.spec.playbook)),
                false => Ok(Begun::Unrecorded),
            };
        }
        match self.shelf.create(&filing.object()).await {
            Ok(object) => return Ok(self.begun(object)),
            Err(error) if *error.class() == Class::Conflict => {}
            Err(error) => return Err(not_written(error, self.shelf.namespace())),
        }
        self.take(&filing).await
    }

    /// Takes an object over, if it is to be had.
    pub(super) async fn take(&self, filing: &Filing) -> Result<Begun, Failure> {
        for _ in 0..ROUNDS {
            let Some(stored) = self.shelf.get(&filing.name).await? else {
                // Deleted between the two.
                match self.shelf.create(&filing.object()).await {
                    Ok(object) => return Ok(self.begun(object)),
                    Err(error) if *error.class() == Class::Conflict => continue,
                    Err(error) => return Err(not_written(error, self.shelf.namespace())),
                }
            };
            match judge(&stored, filing, Timestamp::now()) {
                Judged::Free => match self.shelf.replace(&filing.taking_over(&stored)).await {
                    Ok(object) => return Ok(self.begun(object)),
                    Err(error) if is_raced(&error) => {}
                    Err(error) => return Err(not_written(error, self.shelf.namespace())),
                },
                Judged::Answered(why) => return Ok(Begun::Answered(why)),
                Judged::Busy(why) => return Ok(Begun::Busy(why)),
                Judged::Waiting => return Ok(self.begun(stored)),
                Judged::Foreign => {
                    let name = &filing.name;
                    return Err(Failure::permanent(format!(
                        "the Response {name} is about something else: delete it"
                    )));
                }
            }
        }
        Err(Failure::transient(format!("the Response {} does not come to rest", filing.name)))
    }

    /// Keeps others away for the next action.
    ///
    /// # Errors
    ///
    /// Where it can't be asked.
    pub(super) async fn keep(&self, open: &Open, response: &Response) -> Result<Kept, Failure> {
        let now = Timestamp::now();
        let until = open.0.spec.claim.until;
        // Half of it is what the action may take.
        if now.checked_add(self.writer.lease / 2).is_ok_and(|end| end <= until) {
            return Ok(Kept::Enough);
        }
        let filing = Filing::of(response, &self.writer, now)?;
        let (mut stored, run) = (open.0.clone(), open.0.spec.run);
        for _ in 0..ROUNDS {
            match self.shelf.replace(&filing.taking_over(&stored)).await {
                Ok(object) => return Ok(Kept::Longer(Box::new(Open(object)))),
                Err(error) if is_raced(&error) => {}
                Err(error) => return Err(error.into()),
            }
            // It may be no more than our own last word, whose answer was lost.
            match self.shelf.get(&filing.name).await? {
                Some(theirs) if self.is_ours(&theirs, run) => stored = theirs,
                _ => return Ok(Kept::Lost),
            }
        }
        Err(Failure::transient(format!("the Response {} does not come to rest", filing.name)))
    }

    /// True for a run that nobody else has claimed, nor taken back.
    pub(super) fn is_ours(&self, stored: &StoredResponse, run: u32) -> bool {
        self.began(stored, run) && !is_taken_back(stored, Timestamp::now())
    }

    /// True for a run that we have begun.
    pub(super) fn began(&self, stored: &StoredResponse, run: u32) -> bool {
        stored.spec.claim.worker == self.writer.worker && stored.spec.run == run
    }

    /// What an object of ours stands for.
    pub(super) fn begun(&self, object: StoredResponse) -> Begun {
        let name = object.metadata.name.as_deref().unwrap_or_default();
        match is_waiting(&object) {
            true => {
                let why = format!("waits for an approval: `stoop responses approve {name}`");
                let link = self.links.as_ref().and_then(|links| links.of(&object));
                let refusal = Refusal::new(Guardrail::Approval, why).with_link(link);
                Begun::Waiting(Box::new(Open(object)), refusal)
            }
            false => Begun::Ours(Box::new(Open(object))),
        }
    }
}

/// Something of it was taken back, or somebody is at that.
pub(super) fn is_taken_back(stored: &StoredResponse, now: Timestamp) -> bool {
    let is_reverting = stored.spec.reverting.as_ref().is_some_and(|it| it.is_all && it.until > now);
    is_reverting || stored.current().is_some_and(|status| !status.undone.is_empty())
}

/// Another version, or gone: the next look tells.
pub(super) fn is_raced(error: &ApiError) -> bool {
    matches!(error.class(), Class::Conflict | Class::NotFound)
}

/// An API server that has just started may not know of them yet.
fn absent(playbook: &str) -> Failure {
    Failure::transient(format!(
        "{playbook} needs the Response objects, and the cluster has no such: `stoop crds | kubectl apply -f -`"
    ))
}

pub(super) fn not_written(error: ApiError, namespace: &str) -> Failure {
    match error.class() {
        Class::NotFound => Failure::permanent(format!(
            "{error}: Responses are kept in the namespace {namespace}, create it"
        )),
        _ => error.into(),
    }
}
