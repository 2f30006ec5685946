//! One delivery all the way: read it, verify its target, ask its playbooks, settle it.

use std::sync::Arc;

use brokers::Delivery;
use playbooks::{
    act::{Failure, Needs, Standing, Verification},
    decide::{Candidate, Claim, ClaimSource, Reach},
};
use tokio_util::sync::CancellationToken;
use tracing::Instrument as _;

use super::{
    Worker,
    inquiry::Inquiry,
    persevere::{Patience, Stopped, Tries},
    read::{PassedOver, Read, Wanted, read},
    respond::Ask,
    rules::Rules,
    settle::{Reading, Stream},
    sightings::Looking,
    trace,
    verdict::{Answer, Verdict, judge},
};

/// How often a message may break its handler before it counts as poison.
const CRASHES: u32 = 5;

/// What is known of an event's target when its playbooks are asked.
pub(super) enum Identity {
    /// Verification answered.
    Known(Standing),
    /// It did, but what some playbooks ask about the target may not be read; those fail.
    Partly(Standing, Failure, u32),
    /// It could not; what needs the target fails with it.
    Unknown(Failure, u32),
}

impl Identity {
    /// Whether it may be a playbook's at all that reaches so far: of one that is bound to a namespace it has to be a pod that
    /// was verified to be there, and an event about another's pod is not even told to be in trouble.
    fn may_be_within(&self, reach: &Reach) -> bool {
        match (reach, self) {
            // It can't be ruled out: what was not verified is not acknowledged as nobody's.
            (Reach::Cluster, _) | (_, Identity::Unknown(..)) => true,
            (_, Identity::Known(standing) | Identity::Partly(standing, ..)) => {
                reach.covers(standing.target().map(|target| target.namespace()))
            }
        }
    }
}

/// What an event came to.
pub(super) enum Answers {
    /// Nobody's.
    PassedOver(PassedOver),
    /// These playbooks have answered.
    From(Vec<Arc<Answer>>),
}

impl Worker {
    /// Handles one delivery until it is settled, handed back or lost. Dropping the future hands it back.
    pub(super) async fn handle(self: Arc<Self>, stream: Arc<Stream>, delivery: Delivery) {
        // Whatever is rarer than passing an event over has a place of its own, for a task has room for all it may become.
        if delivery.handed() > CRASHES {
            return Box::pin(self.bury_poison(&stream, delivery)).await;
        }
        if delivery.handed() > 1 {
            stream.redelivered();
        }
        let rules = self.rules.now();
        match read(delivery.message(), &rules.matcher, &self.cluster) {
            Read::PassedOver(why) => {
                stream.read(Reading::PassedOver(why));
                stream.ack(delivery).await;
            }
            Read::Malformed(error) => {
                stream.read(Reading::Malformed);
                self.feed.malformed(stream.name(), &error);
                Box::pin(self.bury_malformed(&stream, delivery, &error)).await;
            }
            Read::Wanted(mut wanted) => {
                let span = trace::event(stream.name(), &delivery, &mut wanted);
                Box::pin(self.answer(&stream, &rules, delivery, wanted).instrument(span)).await;
            }
        }
    }

    async fn answer(
        self: &Arc<Self>,
        stream: &Stream,
        rules: &Rules,
        mut delivery: Delivery,
        wanted: Wanted,
    ) {
        let _aging = stream.hold(delivery.message());
        self.feed.seen(stream.name(), &wanted);
        let lost = delivery.lease().lost().clone();
        let answers = tokio::select! {
            biased;
            () = lost.cancelled() => None,
            answers = Inquiry::new(self, rules, &mut delivery, &wanted, &lost).answers() => answers,
        };
        let fate = match &answers {
            None => stream.hand_back(delivery),
            Some(Answers::PassedOver(why)) => {
                stream.read(Reading::PassedOver(*why));
                stream.ack(delivery).await
            }
            Some(Answers::From(answers)) => {
                stream.read(Reading::Answered);
                match judge(answers, &self.name) {
                    Verdict::Ack => stream.ack(delivery).instrument(trace::settle("ack")).await,
                    Verdict::DeadLetter(letter) => {
                        let burial = self.bury(stream, delivery, &letter);
                        burial.instrument(trace::settle("dead-letter")).await
                    }
                }
            }
        };
        self.feed.settled(stream.name(), &wanted, answers.as_ref(), fate);
    }

    /// Verifies the target once for all playbooks, so that each judges it as it was before any of them changed it. Nobody
    /// waits for the look of one who has to try again.
    pub(super) async fn identify(
        &self,
        rules: &Rules,
        wanted: &Wanted,
        lost: &CancellationToken,
        looking: &mut Option<Looking>,
    ) -> Option<Result<Identity, PassedOver>> {
        let plans = || wanted.candidates.iter().map(|candidate| rules.plan(candidate));
        if !plans().any(|plan| plan.needs_target()) {
            return Some(Ok(Identity::Known(Standing::NoTarget)));
        }
        let needs = plans().map(|plan| plan.needs()).fold(Needs::default(), Needs::and);
        let verified = self.verify(wanted, needs, lost, looking);
        let identity = verified.instrument(trace::verify()).await?;
        match identity {
            // A right that one playbook lacks must not take the others down with it.
            Ok(Identity::Unknown(failure, attempts))
                if failure.is_permanent() && needs != Needs::default() =>
            {
                Some(match self.verify(wanted, Needs::default(), lost, looking).await? {
                    Ok(Identity::Known(standing)) => {
                        Ok(Identity::Partly(standing, failure, attempts))
                    }
                    other => other,
                })
            }
            identity => Some(identity),
        }
    }

    async fn verify(
        &self,
        wanted: &Wanted,
        needs: Needs,
        lost: &CancellationToken,
        looking: &mut Option<Looking>,
    ) -> Option<Result<Identity, PassedOver>> {
        // Verification itself says when waiting longer can't help, so only time bounds it.
        let timeout = wanted.candidates.iter().map(|c| c.playbook.limits.timeout).max()?;
        let patience = Patience { attempts: u32::MAX, timeout };
        let mut tries = Tries::new(&self.outages, patience, lost);
        loop {
            let failure = match self.engine.verify(&wanted.claim, &wanted.occurrence, needs).await {
                Ok(found) => {
                    tries.succeeded();
                    return Some(identity(found));
                }
                Err(failure) => failure,
            };
            *looking = None;
            match tries.after(failure).await {
                Ok(()) => {}
                Err(Stopped::GaveUp { failure, attempts }) => {
                    return Some(Ok(Identity::Unknown(failure, attempts)));
                }
                Err(Stopped::Lost) => return None,
            }
        }
    }

    /// What a playbook is asked, or `None` where the verified object is none of its.
    pub(super) fn question(
        &self,
        rules: &Rules,
        candidate: &Candidate,
        claim: &Claim,
        identity: &Identity,
    ) -> Option<Ask> {
        if !identity.may_be_within(&candidate.playbook.reach) {
            return None;
        }
        if let Some(why) = &candidate.when_error {
            // Never a silent no: someone wrote this expression to be protected by it.
            return Some(Ask::Abandon(Failure::permanent(format!("`when` failed: {why}")), 1));
        }
        let plan = rules.plan(candidate);
        let standing = match identity {
            Identity::Partly(_, failure, attempts) if plan.needs() != Needs::default() => {
                return Some(Ask::Abandon(failure.clone(), *attempts));
            }
            Identity::Known(standing) | Identity::Partly(standing, ..) => standing.clone(),
            Identity::Unknown(failure, attempts) if plan.needs_target() => {
                return Some(Ask::Abandon(failure.clone(), *attempts));
            }
            Identity::Unknown(..) => Standing::NoTarget,
        };
        selected(candidate, claim, &standing).then_some(Ask::Respond(standing))
    }
}

fn identity(found: Verification) -> Result<Identity, PassedOver> {
    match Standing::of(found) {
        Some(standing) => Ok(Identity::Known(standing)),
        None => Err(PassedOver::ForeignCluster),
    }
}

/// Whether the object is the playbook's.
fn selected(candidate: &Candidate, claim: &Claim, standing: &Standing) -> bool {
    let playbook = &candidate.playbook;
    if !playbook.needs_object() {
        return true;
    }
    // `namespaces` and `target` are about pods.
    if claim.source == ClaimSource::Host {
        return false;
    }
    match standing {
        Standing::Target(target) => playbook.selects(target.facts()),
        // Nothing can be hurt any more. The claimed namespace only keeps other namespaces' playbooks from telling of it.
        Standing::Gone(_) => playbook.could_select_in(claim.namespace.as_deref()),
        Standing::Node(_) | Standing::NoTarget => false,
        // It can't be ruled out, so the refusal is on record.
        Standing::Unidentified(_) => true,
    }
}
