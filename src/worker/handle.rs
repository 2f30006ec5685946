//! One delivery all the way: read it, verify its target, ask its playbooks, settle it.

use std::sync::Arc;

use brokers::Delivery;
use playbooks::{
    act::{Failure, Standing},
    decide::{Candidate, Claim, ClaimSource},
};
use tracing::Instrument as _;

use super::{
    Worker,
    identity::Identity,
    inquiry::Inquiry,
    read::{PassedOver, Read, Wanted, read},
    respond::Ask,
    rules::Rules,
    settle::{Reading, Stream},
    trace,
    verdict::{Answer, Verdict, judge},
};

/// How often a message may break its handler before it counts as poison.
const CRASHES: u32 = 5;

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
        let standing = match identity.as_needed_by(rules.plan(candidate), claim) {
            Ok(standing) => standing,
            Err((failure, attempts)) => return Some(Ask::Abandon(failure, attempts)),
        };
        selected(candidate, claim, &standing).then_some(Ask::Respond(standing))
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
