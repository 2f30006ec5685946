//! One response, in a task of its own: lane, engine, record, end.

use std::sync::{Arc, atomic::AtomicU64};

use jiff::Timestamp;
use playbooks::{
    act::{
        Advance, Failure, Guardrail, Occurrence, Outcome, Plan, Report, Response, Standing,
        StepReport, Uid,
    },
    decide::{Candidate, EventId},
};
use serde::Serialize;
use tokio_util::sync::CancellationToken;
use tracing::Instrument as _;

use super::{
    Worker,
    bursts::Lead,
    persevere::{Patience, Stopped, Tries},
    rules::{PlanNumber, Rules},
    sightings::Said,
    trace,
    verdict::{Answer, End},
};

/// How often a default notifier is tried that fails, rather than being away, before a response ends without it.
const TELLING: u32 = 5;

/// What a response is about, for joining events to it.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Concern {
    /// A verified pod or node.
    Target(Uid),
    /// A target that is gone, and will never be there again, in the words of those who were about it.
    Gone(Arc<Said>),
    /// This event alone.
    Event(EventId),
}

/// What a burst is about: what one playbook, as it is written now, does about one thing.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Matter {
    plan: PlanNumber,
    concern: Concern,
}

impl Matter {
    /// No answer of playbooks that were read before is one of these.
    pub(super) fn of(rules: &Rules, candidate: &Candidate, concern: Concern) -> Self {
        Self { plan: rules.number(candidate), concern }
    }
}

/// What a playbook is asked to do about an event.
#[derive(Clone, Debug)]
pub(super) enum Ask {
    /// Answer it.
    Respond(Standing),
    /// Record that it can't be answered, after so many attempts to find out how.
    Abandon(Failure, u32),
}

impl Ask {
    /// `said` is what the event says, where the playbook asks for its target and others may say it.
    pub(super) fn concern(
        &self,
        plan: &Plan,
        occurrence: &Occurrence,
        said: Option<&Arc<Said>>,
    ) -> Concern {
        let Self::Respond(standing) = self else { return Concern::Event(occurrence.id) };
        if plan.answers_each_event() {
            return Concern::Event(occurrence.id);
        }
        // What is still to be ended for one event, such as its capture, is no other one's.
        let said = said.filter(|_| !plan.answers_gone());
        match (standing, standing.uid(), said) {
            (_, Some(uid), _) => Concern::Target(uid.clone()),
            (Standing::Gone(gone), _, Some(said)) if gone.is_final => Concern::Gone(said.clone()),
            _ => Concern::Event(occurrence.id),
        }
    }
}

/// A line of the audit log.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Line<'a> {
    time: Timestamp,
    worker: &'a str,
    attempts: u32,
    #[serde(flatten)]
    report: &'a Report,
}

impl Worker {
    /// Starts a response. It ends when it is recorded, or when every event that waits for it has left.
    pub(super) fn respond(
        self: Arc<Self>,
        lead: Lead<Matter, Arc<Answer>>,
        plan: Arc<Plan>,
        ask: Ask,
        occurrence: Arc<Occurrence>,
    ) {
        let work = async move {
            let cooldown = plan.playbook.limits.cooldown;
            let members = lead.joined();
            let answer = self.run_response(lead.all_left(), plan, ask, occurrence, members).await;
            if let Some(answer) = answer {
                let ended = answer.ended;
                lead.end(Arc::new(answer), ended, cooldown);
            }
        };
        tokio::spawn(work.in_current_span());
    }

    pub(super) async fn run_response(
        &self,
        lost: &CancellationToken,
        plan: Arc<Plan>,
        ask: Ask,
        occurrence: Arc<Occurrence>,
        members: Arc<AtomicU64>,
    ) -> Option<Answer> {
        let span = trace::response(&plan, &occurrence);
        let ran = self.run(lost, plan, ask, occurrence, members).instrument(span.clone()).await;
        trace::answered(&span, ran.as_ref());
        ran
    }

    async fn run(
        &self,
        lost: &CancellationToken,
        plan: Arc<Plan>,
        ask: Ask,
        occurrence: Arc<Occurrence>,
        members: Arc<AtomicU64>,
    ) -> Option<Answer> {
        let began = Timestamp::now();
        let (standing, given_up) = match ask {
            Ask::Respond(standing) => (standing, None),
            Ask::Abandon(failure, attempts) => {
                (Standing::Unidentified(failure.why.clone()), Some((failure, attempts)))
            }
        };
        let _lane = match standing.uid() {
            Some(uid) => Some(tokio::select! {
                biased;
                () = lost.cancelled() => return None,
                lane = self.lanes.enter(uid.clone()) => lane,
            }),
            None => None,
        };
        let response = Response::new(plan, standing, occurrence.clone());
        let mut response = response.for_members(members);
        let (report, attempts) = match given_up {
            Some((failure, attempts)) => (response.abandon(failure), attempts),
            None => self.advance(&mut response, lost).await?,
        };
        self.tell(&report, &response, lost).instrument(trace::tell()).await?;
        self.record(&report, attempts, lost).instrument(trace::record()).await?;
        self.count(&report, &occurrence, began);
        self.feed.responded(&report);
        Some(answer(&report, attempts, began))
    }

    async fn advance(
        &self,
        response: &mut Response,
        lost: &CancellationToken,
    ) -> Option<(Report, u32)> {
        let mut tries = Tries::new(&self.outages, Patience::ENDLESS, lost);
        loop {
            let failure = match self.engine.advance(response, lost).await {
                Advance::Finished(report) => {
                    let attempts = tries.made();
                    tries.succeeded();
                    return Some((*report, attempts));
                }
                Advance::Lost => return None,
                Advance::Retry(failure) => failure,
            };
            self.metrics.retries.with_label_values(&[failure.kind.as_str()]).inc();
            match tries.after(failure).await {
                Ok(()) => {}
                Err(Stopped::GaveUp { failure, attempts }) => {
                    return Some((response.abandon(failure), attempts));
                }
                Err(Stopped::Lost) => return None,
            }
        }
    }

    /// Tells the default notifiers of a containment that did not happen.
    async fn tell(
        &self,
        report: &Report,
        response: &Response,
        lost: &CancellationToken,
    ) -> Option<()> {
        let timeout = response.plan().playbook.limits.timeout;
        let mut tries = Tries::new(&self.outages, Patience { attempts: TELLING, timeout }, lost);
        while let Err(failure) = self.engine.report(report, response).await {
            match tries.after(failure).await {
                Ok(()) => {}
                Err(Stopped::GaveUp { failure, .. }) => {
                    let playbook = &report.playbook;
                    tracing::error!(%playbook, why = %failure, "the default notifiers could not be told");
                    return Some(());
                }
                Err(Stopped::Lost) => return None,
            }
        }
        tries.succeeded();
        Some(())
    }

    /// Writes the audit line; until it is through, nothing is settled.
    async fn record(&self, report: &Report, attempts: u32, lost: &CancellationToken) -> Option<()> {
        let line = Line { time: Timestamp::now(), worker: &self.name, attempts, report };
        let mut tries = Tries::new(&self.outages, Patience::ENDLESS, lost);
        while let Err(error) = self.audit.write(&line).await {
            self.metrics.audit_failures.inc();
            tracing::error!(%error, "the audit line can't be written: the event stays unacknowledged");
            tries.after(Failure::transient(error.to_string())).await.ok()?;
        }
        Some(())
    }

    fn count(&self, report: &Report, occurrence: &Occurrence, began: Timestamp) {
        let metrics = &self.metrics;
        let labels = [report.playbook.as_str(), report.mode.as_str(), report.overall.as_str()];
        metrics.responses.with_label_values(&labels).inc();
        let took = metrics.response_time.with_label_values(&[report.overall.as_str()]);
        took.observe(seconds(began, Timestamp::now()));
        let mut before = began;
        for step in &report.steps {
            metrics.actions.with_label_values(&[step.action, step.outcome.as_str()]).inc();
            // What was done before this worker took it up took it no time.
            let took = metrics.action_time.with_label_values(&[step.action]);
            took.observe(seconds(before, step.at));
            before = step.at.max(before);
            if let Outcome::Refused(refusal) = &step.outcome {
                metrics.refusals.with_label_values(&[refusal.guardrail.as_str()]).inc();
            }
        }
        if let Some(effect) = effect(&report.steps) {
            // Until a person has said so nothing was to be done.
            let asked = occurrence.approved.unwrap_or(occurrence.time).max(occurrence.time);
            metrics.time_to_effect.observe(seconds(asked, effect));
        }
    }
}

/// When the first containment was applied, where one was.
fn effect(steps: &[StepReport]) -> Option<Timestamp> {
    let applied = |step: &&StepReport| step.contains && matches!(step.outcome, Outcome::Applied(_));
    steps.iter().filter(applied).map(|step| step.at).min()
}

fn seconds(from: Timestamp, to: Timestamp) -> f64 {
    to.duration_since(from).as_secs_f64().max(0.0)
}

fn answer(report: &Report, attempts: u32, began: Timestamp) -> Answer {
    let end = match (&report.overall, report.wants_redrive()) {
        (Outcome::Refused(_), true) => End::Redo,
        (Outcome::Refused(refusal), false) => refused(refusal.guardrail),
        (_, true) => End::Failed,
        (_, false) => End::Well,
    };
    Answer {
        playbook: report.playbook.as_str().into(),
        end,
        event_time: report.event_time,
        why: report.overall.to_string(),
        attempts,
        began,
        ended: Timestamp::now(),
    }
}

/// Whose refusal it was: this event's, or the target's.
fn refused(guardrail: Guardrail) -> End {
    match guardrail {
        Guardrail::EventAge => End::TooOld,
        Guardrail::FutureEvent | Guardrail::Identity | Guardrail::MinHealthy => End::Refused,
        _ => End::Declined,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_effect_is_the_first_containment_that_was_applied_not_what_came_before_or_after() {
        let step = |at, contains, outcome| StepReport {
            action: "label",
            contains,
            outcome,
            evidence: Vec::new(),
            at: Timestamp::constant(at, 0),
        };
        let applied = || Outcome::Applied("done".into());
        let steps = [
            step(1, false, applied()),
            step(2, true, Outcome::AlreadyDone("by another".into())),
            step(3, true, applied()),
            step(9, true, applied()),
            step(10, false, applied()),
        ];
        assert_eq!(effect(&steps), Some(Timestamp::constant(3, 0)));
        assert_eq!(effect(&steps[..2]), None);
    }
}
