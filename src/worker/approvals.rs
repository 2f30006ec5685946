//! What people have approved: any worker takes it up, verifies its target again and runs it like any other response.

use std::{
    collections::HashSet,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use brokers::{Attempt, Message, MessageId};
use playbooks::act::{Approved, Phase};
use tokio_util::sync::CancellationToken;

use super::{
    Worker,
    read::{Read, read},
    sweep::jittered,
    verdict::{Answer, End},
};

/// How long it rests between two looks, more or less.
const REST: Duration = Duration::from_secs(5);

/// The names of those that this worker is at.
type Taken = Arc<Mutex<HashSet<String>>>;

impl Worker {
    /// Takes up what is approved until stopped. What runs then is left as if the worker had died: another goes on with it.
    pub async fn take_up_approved(self: Arc<Self>, stop: CancellationToken) {
        let taken = Taken::default();
        loop {
            tokio::select! {
                biased;
                () = stop.cancelled() => return,
                () = tokio::time::sleep(jittered(REST)) => {}
            }
            // What a playbook has asked that asks no more may be approved still.
            if self.rules.now().plans().iter().any(|plan| plan.is_recorded()) {
                self.look_for_approved(&taken, &stop).await;
            }
        }
    }

    async fn look_for_approved(self: &Arc<Self>, taken: &Taken, stop: &CancellationToken) {
        let Some(records) = self.engine.records() else { return };
        let approved = match records.approved().await {
            Ok(approved) => approved,
            Err(failure) => {
                tracing::warn!(why = %failure, "what is approved can't be looked for now");
                return;
            }
        };
        // What another worker's playbook asked about is left to it.
        let rules = self.rules.now();
        let ours = |it: &Approved| {
            rules.plans().iter().any(|plan| plan.is_recorded() && plan.playbook.name == it.playbook)
        };
        for approved in approved.into_iter().filter(ours) {
            let is_new = lock(taken).insert(approved.name.clone());
            if is_new {
                let (worker, taken, stop) = (self.clone(), taken.clone(), stop.clone());
                tokio::spawn(async move {
                    worker.run_approved(&approved, &stop).await;
                    lock(&taken).remove(&approved.name);
                });
            }
        }
    }

    async fn run_approved(&self, approved: &Approved, stop: &CancellationToken) {
        let Some(records) = self.engine.records() else { return };
        let name = &approved.name;
        let (phase, why) = match self.answer_approved(approved, stop).await {
            // The worker leaves.
            None => return,
            Some(Ok(answer)) => (phase(answer.end), answer.why),
            Some(Err(why)) => (Phase::Failed, why),
        };
        tracing::info!(response = name, phase = phase.as_str(), why, "approved, and over");
        if let Err(failure) = records.close(approved, phase, &why).await {
            tracing::warn!(response = name, why = %failure, "its end can't be written down: it is taken up again");
        }
    }

    /// `None` where the worker leaves; an error where the event is no longer the playbook's.
    async fn answer_approved(
        &self,
        approved: &Approved,
        stop: &CancellationToken,
    ) -> Option<Result<Answer, String>> {
        let message = Message {
            id: MessageId::named("approvals".into(), &approved.name),
            payload: approved.payload.clone(),
            key: None,
            headers: Vec::new(),
            published: None,
            attempt: Attempt::Exact(1),
        };
        let rules = self.rules.now();
        let Read::Wanted(mut wanted) = read(&message, &rules.matcher, &self.cluster) else {
            return Some(Err("no playbook wants the event any more".to_owned()));
        };
        wanted.candidates.retain(|candidate| candidate.playbook.name == approved.playbook);
        let Some(candidate) = wanted.candidates.first() else {
            return Some(Err("the playbook doesn't want the event any more".to_owned()));
        };
        let Ok(identity) = self.identify(&rules, &wanted, stop, &mut None).await? else {
            return Some(Err("the event is another cluster's".to_owned()));
        };
        let Some(ask) = self.question(&rules, candidate, &wanted.claim, &identity) else {
            return Some(Err("the target is gone, or none of the playbook's any more".to_owned()));
        };
        let mut occurrence = (*wanted.occurrence).clone();
        occurrence.approved = Some(approved.at);
        let plan = rules.plan(candidate).clone();
        let members = Arc::new(1.into());
        self.run_response(stop, plan, ask, Arc::new(occurrence), members).await.map(Ok)
    }
}

fn phase(end: End) -> Phase {
    match end {
        End::Well => Phase::Succeeded,
        End::Declined | End::Refused | End::TooOld | End::Redo => Phase::Refused,
        End::Failed => Phase::Failed,
    }
}

fn lock(taken: &Taken) -> std::sync::MutexGuard<'_, HashSet<String>> {
    taken.lock().unwrap_or_else(PoisonError::into_inner)
}
