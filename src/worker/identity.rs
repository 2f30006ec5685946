//! What is known of an event's target: it is verified once for all its playbooks, whatever one of them asks that can't be read.

use std::sync::Arc;

use playbooks::{
    act::{Failure, Needs, Plan, Standing, foresee},
    decide::{Claim, Reach},
};
use tokio_util::sync::CancellationToken;
use tracing::Instrument as _;

use super::{
    Worker,
    persevere::{Patience, Stopped, Tries},
    read::{PassedOver, Wanted},
    rules::Rules,
    sightings::Looking,
    trace,
};

/// What is known of an event's target when its playbooks are asked.
#[derive(Clone)]
pub(super) enum Identity {
    /// Verification answered.
    Known(Known),
    /// It could not, after so many tries; what needs the target fails with it.
    Unknown(Failure, u32),
}

/// What verification answered.
#[derive(Clone)]
pub(super) struct Known {
    standing: Standing,
    /// Tries that it took.
    tries: u32,
    /// What was waited for, if it could not be read at once.
    awaited: Needs,
}

impl Identity {
    /// What was found, if anything was.
    pub(super) fn standing(&self) -> Option<&Standing> {
        match self {
            Self::Known(known) => Some(&known.standing),
            Self::Unknown(..) => None,
        }
    }

    /// Whether it may be a playbook's at all that reaches so far: of one that is bound to a namespace it has to be a pod that
    /// was verified to be there, and an event about another's pod is not even told to be in trouble.
    pub(super) fn may_be_within(&self, reach: &Reach) -> bool {
        match (reach, self.standing()) {
            // It can't be ruled out: what was not verified is not acknowledged as nobody's.
            (Reach::Cluster, _) | (_, None) => true,
            (_, Some(standing)) => reach.covers(standing.target().map(|target| target.namespace())),
        }
    }

    /// What a plan has to judge by.
    ///
    /// # Errors
    /// It needs to know what could not be found out, after so many tries. Others may not need it.
    pub(super) fn as_needed_by(
        &self,
        plan: &Plan,
        claim: &Claim,
    ) -> Result<Standing, (Failure, u32)> {
        match self {
            Self::Known(Known { standing, tries, .. }) => {
                match standing.unread(plan.needs()).next() {
                    Some(failure) => Err((failure.clone(), *tries)),
                    None => Ok(standing.clone()),
                }
            }
            Self::Unknown(..) if !plan.needs_target() => Ok(Standing::NoTarget),
            // What this plan asks may take no look at all: one at a node is for those who answer hosts.
            Self::Unknown(failure, tries) => foresee(claim, plan.needs())
                .and_then(Standing::of)
                .ok_or_else(|| (failure.clone(), *tries)),
        }
    }
}

impl Known {
    /// What keeps these needs from being known, if waiting may help.
    fn passing(&self, needs: Needs) -> Option<&Failure> {
        self.standing.unread(needs).find(|failure| !failure.is_permanent())
    }
}

impl Worker {
    /// Verifies the target once for all playbooks, so that each judges it as it was before any of them changed it. Nobody
    /// waits for the look of one who has to try again; nor does a playbook of the whole cluster for what only those ask
    /// that are bound to a namespace: they wait for that themselves, see [`await_facts`](Self::await_facts).
    pub(super) async fn identify(
        &self,
        rules: &Rules,
        wanted: &Wanted,
        lost: &CancellationToken,
        looking: &mut Option<Looking>,
    ) -> Option<Result<Identity, PassedOver>> {
        let plans = || wanted.candidates.iter().map(|candidate| rules.plan(candidate));
        if !plans().any(|plan| plan.needs_target()) {
            let (standing, needs) = (Standing::NoTarget, Needs::default());
            return Some(Ok(Identity::Known(Known { standing, tries: 1, awaited: needs })));
        }
        let is_clusters = |plan: &&Arc<Plan>| plan.playbook.reach == Reach::Cluster;
        let all = needs_of(plans());
        let awaited = match plans().any(|plan| is_clusters(&plan)) {
            true => needs_of(plans().filter(is_clusters)),
            false => all,
        };
        self.verify(wanted, (all, awaited), lost, looking).instrument(trace::verify()).await
    }

    async fn verify(
        &self,
        wanted: &Wanted,
        (all, awaited): (Needs, Needs),
        lost: &CancellationToken,
        looking: &mut Option<Looking>,
    ) -> Option<Result<Identity, PassedOver>> {
        // Verification itself says when waiting longer can't help, so only time bounds it.
        let timeout = wanted.candidates.iter().map(|c| c.playbook.limits.timeout).max()?;
        let patience = Patience { attempts: u32::MAX, timeout };
        let mut tries = Tries::new(&self.outages, patience, lost);
        loop {
            let found = self.engine.identify(&wanted.claim, &wanted.occurrence, all).await;
            let (failure, known) = match found.map(Standing::of) {
                Ok(None) => return Some(Err(PassedOver::ForeignCluster)),
                Ok(Some(standing)) => {
                    let known = Known { standing, tries: tries.made(), awaited };
                    match known.passing(awaited).cloned() {
                        None => {
                            tries.succeeded();
                            return Some(Ok(Identity::Known(known)));
                        }
                        Some(failure) => (failure, Some(known)),
                    }
                }
                Err(failure) => (failure, None),
            };
            *looking = None;
            match (tries.after(failure).await, known) {
                (Ok(()), _) => {}
                // Those whom nothing is kept from go on.
                (Err(Stopped::GaveUp { .. }), Some(known)) => {
                    return Some(Ok(Identity::Known(known)));
                }
                (Err(Stopped::GaveUp { failure, attempts }), None) => {
                    return Some(Ok(Identity::Unknown(failure, attempts)));
                }
                (Err(Stopped::Lost), _) => return None,
            }
        }
    }

    /// Waits, for the sake of one playbook alone, for what it asks about the target and nobody has waited for.
    pub(super) async fn await_facts(
        &self,
        plan: &Plan,
        identity: Identity,
        lost: &CancellationToken,
        looking: &mut Option<Looking>,
    ) -> Option<Identity> {
        let needs = plan.needs();
        let Identity::Known(mut known) = identity else { return Some(identity) };
        if known.awaited.and(needs) == known.awaited {
            return Some(Identity::Known(known));
        }
        let patience = Patience { attempts: u32::MAX, timeout: plan.playbook.limits.timeout };
        let mut tries = Tries::new(&self.outages, patience, lost);
        while let Some(failure) = known.passing(needs).cloned() {
            *looking = None;
            match tries.after(failure).await {
                Ok(()) => known.standing = self.engine.learn(&known.standing, needs).await,
                Err(Stopped::GaveUp { attempts, .. }) => {
                    return Some(Identity::Known(Known { tries: attempts, ..known }));
                }
                Err(Stopped::Lost) => return None,
            }
        }
        tries.succeeded();
        Some(Identity::Known(known))
    }
}

/// What any of them needs.
fn needs_of<'a>(plans: impl Iterator<Item = &'a Arc<Plan>>) -> Needs {
    plans.map(|plan| plan.needs()).fold(Needs::default(), Needs::and)
}
