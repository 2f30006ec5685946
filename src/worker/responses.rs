//! What the worker says of the Response objects when it takes playbooks: which rails it lacks without, and who can't do without.

use std::{sync::Arc, time::Duration};

use playbooks::{
    act::{Engine, Failure, Plan},
    decide::{PlaybookErrors, yaml},
};

use super::rules::Rules;

/// What a worker without Response objects goes without.
pub const WITHOUT: &str = "the cluster has no Response objects: expiry, approval, cooldown across workers and \
                           restarts, and `stoop responses` are not to be had; `stoop crds | kubectl apply -f -`";

/// How long a start waits for the answer: an intake must not wait for the API server.
const LOOK: Duration = Duration::from_secs(3);

/// Whether the cluster keeps responses.
#[derive(Debug)]
pub enum Kept {
    /// It does, or nothing is to be kept.
    Yes,
    /// It doesn't, and no playbook needs it.
    No,
    /// It can't be told now: who needs it waits, and nothing is changed without.
    Unknown(Failure),
}

/// Looks whether the cluster keeps responses.
///
/// # Errors
/// It doesn't, and playbooks need it: each with its place and the fix.
pub async fn look(engine: &Engine, rules: &Rules) -> Result<Kept, PlaybookErrors> {
    if !rules.plans().iter().any(|plan| plan.is_recorded()) {
        return Ok(Kept::Yes);
    }
    match keeps(engine).await {
        Kept::No => refuse(rules.plans()).map(|()| Kept::No),
        kept => Ok(kept),
    }
}

/// The same, whoever may need it.
pub async fn keeps(engine: &Engine) -> Kept {
    let Some(records) = engine.records() else { return Kept::Yes };
    let found = tokio::time::timeout(LOOK, records.shelf().is_there()).await;
    let away = || Failure::transient("the API server gave no answer");
    match found.unwrap_or_else(|_| Err(away())) {
        Ok(true) => Kept::Yes,
        Ok(false) => Kept::No,
        Err(failure) => Kept::Unknown(failure),
    }
}

/// Refuses the playbooks that can't do without.
///
/// # Errors
/// There are some.
pub fn refuse(plans: &[Arc<Plan>]) -> Result<(), PlaybookErrors> {
    let needy = plans.iter().filter(|plan| plan.needs_records());
    let errors = needy.map(|plan| {
        let what = "expireAfter and approval need the Response objects, and the cluster has none";
        let fix = "`stoop crds | kubectl apply -f -`";
        plan.playbook.error_at(&yaml::Path::root().key("spec"), what, fix)
    });
    PlaybookErrors::check(errors.collect())
}
