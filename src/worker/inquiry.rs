//! One event and the playbooks that want it: each answers by a response of its own, or by the one of another event.

use std::sync::Arc;

use brokers::Delivery;
use playbooks::decide::{Candidate, Reach};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use super::{
    Worker,
    bursts::{Entry, Member, Share},
    handle::Answers,
    identity::Identity,
    read::{PassedOver, Wanted},
    respond::{Ask, Matter},
    rules::Rules,
    sightings::{Judged, Look, Looking, Said, Sighting},
    verdict::Answer,
};

/// An event on its way through its playbooks.
pub(super) struct Inquiry<'a> {
    worker: &'a Arc<Worker>,
    /// Those by which it was read.
    rules: &'a Rules,
    delivery: &'a mut Delivery,
    wanted: &'a Wanted,
    lost: &'a CancellationToken,
    /// What others may have said as well.
    said: Option<Arc<Said>>,
    /// Once its own target was verified: nothing is begun without.
    identity: Option<Identity>,
    /// Held until what it finds can be joined, so that those who say the same need no look of their own.
    looking: Option<Looking>,
}

/// What one playbook makes of the event.
enum Word {
    Answered(Arc<Answer>),
    /// The target is none of the playbook's.
    NotIts,
    /// Nobody's: the event is about another cluster.
    PassedOver(PassedOver),
}

impl<'a> Inquiry<'a> {
    pub(super) fn new(
        worker: &'a Arc<Worker>,
        rules: &'a Rules,
        delivery: &'a mut Delivery,
        wanted: &'a Wanted,
        lost: &'a CancellationToken,
    ) -> Self {
        let needs_target = |candidate| rules.plan(candidate).needs_target();
        let said = match wanted.candidates.iter().any(needs_target) {
            true => Said::by(&wanted.claim, &wanted.occurrence),
            false => None,
        };
        Inquiry { worker, rules, delivery, wanted, lost, said, identity: None, looking: None }
    }

    /// Asks every playbook, in order of name, and those that only tell at the end: what they tell may be away, and
    /// nobody's pod waits for that. Those that are bound to a namespace wait for those that aren't.
    ///
    /// `None` if the event was lost meanwhile, or a response broke.
    pub(super) async fn answers(mut self) -> Option<Answers> {
        let mut candidates: Vec<_> = self.wanted.candidates.iter().collect();
        candidates.sort_by_key(|candidate| {
            let plan = self.rules.plan(candidate);
            (plan.only_tells(), plan.playbook.reach != Reach::Cluster)
        });
        let mut answers = Vec::with_capacity(candidates.len());
        for candidate in candidates {
            match self.ask(candidate).await? {
                Word::Answered(answer) => answers.push(answer),
                Word::NotIts => {}
                Word::PassedOver(why) => return Some(Answers::PassedOver(why)),
            }
        }
        match answers.is_empty() {
            true => Some(Answers::PassedOver(PassedOver::Unmatched)),
            false => Some(Answers::From(answers)),
        }
    }

    async fn ask(&mut self, candidate: &Candidate) -> Option<Word> {
        let mut has_waited = false;
        let identity = loop {
            if let Some(identity) = &self.identity {
                break identity.clone();
            }
            if let Some(word) = self.spare(candidate).await? {
                return Some(word);
            }
            if let Some(said) = &self.said {
                match self.rules.sightings.look(said) {
                    Look::Ours(looking) => self.looking = Some(looking),
                    // Once: what was found may be of no use to others.
                    Look::Theirs(look) if !has_waited => {
                        has_waited = true;
                        look.ended().await;
                        continue;
                    }
                    Look::Theirs(_) => {}
                }
            }
            if let Err(why) = self.verify().await? {
                return Some(Word::PassedOver(why));
            }
        };
        if !identity.may_be_within(&candidate.playbook.reach) {
            return Some(Word::NotIts);
        }
        let plan = self.rules.plan(candidate);
        let awaited = self.worker.await_facts(plan, identity, self.lost, &mut self.looking);
        let identity = awaited.await?;
        match self.worker.question(self.rules, candidate, &self.wanted.claim, &identity) {
            Some(ask) => self.respond(candidate, ask).await.map(Word::Answered),
            None => Some(Word::NotIts),
        }
    }

    /// What another event's verification tells of this one without a read, which is never to begin anything: there is a
    /// response to the same pod that answers it, or the playbook wants nothing of that pod.
    async fn spare(&mut self, candidate: &Candidate) -> Option<Option<Word>> {
        let time = self.wanted.occurrence.time;
        let said = self.said.as_ref().filter(|_| candidate.when_error.is_none());
        let seen = said.and_then(|said| self.rules.sightings.recall(said, time));
        let Some(seen) = seen else { return Some(None) };
        let is_stranger = seen.is_stranger_to(self.rules.number(candidate));
        if !is_stranger && self.rules.plan(candidate).answers_each_event() {
            return Some(None);
        }
        let key = Matter::of(self.rules, candidate, seen.concern);
        let answer = match self.worker.bursts.join(&key, time) {
            Some(Share::Covered(answer)) => answer,
            Some(Share::Joined(member)) => {
                let answer = self.wait(member).await?;
                if !answer.holds_for(&self.wanted.occurrence) {
                    return Some(None);
                }
                answer
            }
            None => return Some(is_stranger.then_some(Word::NotIts)),
        };
        self.worker.metrics.shared.inc();
        Some(Some(Word::Answered(answer)))
    }

    async fn verify(&mut self) -> Option<Result<(), PassedOver>> {
        let found =
            self.worker.identify(self.rules, self.wanted, self.lost, &mut self.looking).await?;
        let identity = match found {
            Ok(identity) => identity,
            Err(why) => return Some(Err(why)),
        };
        if let (Some(said), Some(standing)) = (&self.said, identity.standing()) {
            let at = Instant::now();
            let judged = self.wanted.candidates.iter().map(|candidate| {
                let asks =
                    self.worker.question(self.rules, candidate, &self.wanted.claim, &identity);
                Judged { plan: self.rules.number(candidate), selects: asks.is_some(), at }
            });
            if let Some(sighting) = Sighting::of(standing, said, judged.collect()) {
                self.rules.sightings.remember(said, sighting);
            }
        }
        self.identity = Some(identity);
        Some(Ok(()))
    }

    /// By a response of its own, or by the one that its burst has already.
    async fn respond(&mut self, candidate: &Candidate, ask: Ask) -> Option<Arc<Answer>> {
        let occurrence = &self.wanted.occurrence;
        let plan = self.rules.plan(candidate);
        let said = self.said.as_ref().filter(|_| plan.needs_target());
        let key = Matter::of(self.rules, candidate, ask.concern(plan, occurrence, said));
        loop {
            let entry = self.worker.bursts.enter(key.clone(), occurrence.time);
            let answer = match entry {
                Entry::Another(Share::Covered(answer)) => return Some(answer),
                Entry::First(lead, mut member) => {
                    self.worker.clone().respond(lead, plan.clone(), ask, occurrence.clone());
                    // From here on those who say the same have a response to join.
                    self.looking = None;
                    return member.ending().await;
                }
                Entry::Another(Share::Joined(member)) => {
                    self.looking = None;
                    self.wait(member).await?
                }
            };
            // A refusal may have been the first event's alone: it was too old, say, and this one may not be.
            if answer.holds_for(occurrence) {
                return Some(answer);
            }
        }
    }

    /// Waits for another event's response. `None` if it stopped without an end.
    async fn wait(&mut self, mut member: Member<Matter, Arc<Answer>>) -> Option<Arc<Answer>> {
        // What only waits must not keep from running what could; without a slot it keeps its permit.
        self.delivery.trade_permit(&self.worker.members);
        member.ending().await
    }
}
