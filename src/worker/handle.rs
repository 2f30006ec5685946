//! One delivery all the way: read it, verify its target, ask its playbooks, settle it.

use std::sync::Arc;

use brokers::Delivery;
use playbooks::{
    act::{Failure, Needs, Standing, Verification},
    decide::{Candidate, Claim, ClaimSource},
};
use tokio_util::sync::CancellationToken;

use super::{
    Worker,
    bursts::Entry,
    persevere::{Patience, Stopped, Tries},
    read::{PassedOver, Read, Wanted, read},
    respond::Ask,
    settle::{Reading, Stream},
    verdict::{Answer, Verdict, judge},
};

/// How often a message may break its handler before it counts as poison.
const CRASHES: u32 = 5;

/// What is known of an event's target when its playbooks are asked.
enum Identity {
    /// Verification answered.
    Known(Standing),
    /// It did, but what some playbooks ask about the target may not be read; those fail.
    Partly(Standing, Failure, u32),
    /// It could not; what needs the target fails with it.
    Unknown(Failure, u32),
}

enum Answers {
    PassedOver(PassedOver),
    From(Vec<Arc<Answer>>),
}

impl Worker {
    /// Handles one delivery until it is settled, handed back or lost. Dropping the future hands it back.
    pub(super) async fn handle(self: Arc<Self>, stream: Arc<Stream>, delivery: Delivery) {
        // Whatever is rarer than passing an event over has a place of its own, for a task has room for all it may become.
        if delivery.handed() > CRASHES {
            return Box::pin(self.bury_poison(&stream, delivery)).await;
        }
        match read(delivery.message(), &self.rules.matcher, &self.cluster) {
            Read::PassedOver(why) => {
                stream.read(Reading::PassedOver(why));
                stream.ack(delivery).await;
            }
            Read::Malformed(error) => {
                stream.read(Reading::Malformed);
                Box::pin(self.bury_malformed(&stream, delivery, &error)).await;
            }
            Read::Wanted(wanted) => {
                Box::pin(self.answer(&stream, delivery, wanted)).await;
            }
        }
    }

    async fn answer(self: &Arc<Self>, stream: &Stream, mut delivery: Delivery, wanted: Wanted) {
        let lost = delivery.lease().lost().clone();
        let answers = tokio::select! {
            biased;
            () = lost.cancelled() => None,
            answers = self.answers(&mut delivery, &wanted, &lost) => answers,
        };
        match answers {
            None => stream.hand_back(delivery),
            Some(Answers::PassedOver(why)) => {
                stream.read(Reading::PassedOver(why));
                stream.ack(delivery).await;
            }
            Some(Answers::From(answers)) => {
                stream.read(Reading::Answered);
                match judge(&answers, &self.name) {
                    Verdict::Ack => stream.ack(delivery).await,
                    Verdict::DeadLetter(letter) => self.bury(stream, delivery, &letter).await,
                }
            }
        }
    }

    /// Asks every playbook that wants the event, in order of name. `None` if it was lost meanwhile, or a response broke.
    async fn answers(
        self: &Arc<Self>,
        delivery: &mut Delivery,
        wanted: &Wanted,
        lost: &CancellationToken,
    ) -> Option<Answers> {
        let identity = match self.identify(wanted, lost).await? {
            Ok(identity) => identity,
            Err(foreign) => return Some(Answers::PassedOver(foreign)),
        };
        let mut answers = Vec::with_capacity(wanted.candidates.len());
        for candidate in &wanted.candidates {
            if let Some(ask) = self.question(candidate, &wanted.claim, &identity) {
                answers.push(self.ask(delivery, candidate, wanted, ask).await?);
            }
        }
        match answers.is_empty() {
            true => Some(Answers::PassedOver(PassedOver::Unmatched)),
            false => Some(Answers::From(answers)),
        }
    }

    /// Verifies the target once for all playbooks, so that each judges it as it was before any of them changed it.
    async fn identify(
        &self,
        wanted: &Wanted,
        lost: &CancellationToken,
    ) -> Option<Result<Identity, PassedOver>> {
        let plans = || wanted.candidates.iter().map(|candidate| self.rules.plan(candidate));
        if !plans().any(|plan| plan.needs_target()) {
            return Some(Ok(Identity::Known(Standing::NoTarget)));
        }
        let needs = plans().map(|plan| plan.needs()).fold(Needs::default(), Needs::and);
        let identity = self.verify(wanted, needs, lost).await?;
        match identity {
            // A right that one playbook lacks must not take the others down with it.
            Ok(Identity::Unknown(failure, attempts))
                if failure.is_permanent() && needs != Needs::default() =>
            {
                Some(match self.verify(wanted, Needs::default(), lost).await? {
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
    fn question(&self, candidate: &Candidate, claim: &Claim, identity: &Identity) -> Option<Ask> {
        if let Some(why) = &candidate.when_error {
            // Never a silent no: someone wrote this expression to be protected by it.
            return Some(Ask::Abandon(Failure::permanent(format!("`when` failed: {why}")), 1));
        }
        let plan = self.rules.plan(candidate);
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

    /// Asks one playbook: by a response of its own, or by the one that its burst has already.
    async fn ask(
        self: &Arc<Self>,
        delivery: &mut Delivery,
        candidate: &Candidate,
        wanted: &Wanted,
        ask: Ask,
    ) -> Option<Arc<Answer>> {
        let concern = ask.concern(&wanted.occurrence);
        loop {
            let key = (candidate.position, concern.clone());
            let (mut member, first) = match self.bursts.enter(key, wanted.occurrence.time) {
                Entry::Covered(answer) => return Some(answer),
                Entry::Joined(member) => {
                    // What only waits must not keep from running what could; without a slot it keeps its permit.
                    delivery.trade_permit(&self.members);
                    (member, false)
                }
                Entry::First(lead, member) => {
                    let plan = self.rules.plan(candidate).clone();
                    self.clone().respond(lead, plan, ask.clone(), wanted.occurrence.clone());
                    (member, true)
                }
            };
            let answer = member.ending().await?;
            // A refusal may have been the first event's alone: it was too old, say, and this one may not be.
            if first || answer.holds_for(&wanted.occurrence) {
                return Some(answer);
            }
        }
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
