//! What the worker says of itself at a scrape, beside what it has counted.

use std::{sync::Arc, time::Duration};

use playbooks::{act::PlaybookKind, decide::Mode};
use prometheus::IntGaugeVec;
use tokio_util::sync::CancellationToken;

use super::{Worker, objects::Reason, readiness::Readiness};
use crate::metrics::State;

/// How often the kill switch is looked at for the metric alone; changes ask for themselves.
const LOOK: Duration = Duration::from_secs(15);

/// What the kill switch can be found to be.
const SWITCH: [&str; 3] = ["off", "on", "unreadable"];

impl Worker {
    /// The text that Prometheus scrapes.
    ///
    /// # Errors
    /// The encoder's.
    pub fn scrape(&self, readiness: &Readiness) -> prometheus::Result<Vec<u8>> {
        let state = &self.metrics.state;
        let away = self.outages.current();
        let is_held = away.iter().any(|(dependency, _)| dependency.is_vital());
        state.ready.set((!is_held && readiness.waiting().is_empty()).into());
        state.playbooks_refused.set(readiness.has_refused_playbooks().into());
        let refused = readiness.refused_objects();
        for (kind, reason) in
            PlaybookKind::ALL.into_iter().flat_map(|kind| Reason::ALL.map(|reason| (kind, reason)))
        {
            let gauge = state.objects_refused.with_label_values(&[kind.as_str(), reason.as_str()]);
            gauge.set(count(refused.count(kind, reason)));
        }
        state.outage.reset();
        for (dependency, _) in away {
            state.outage.with_label_values(&[dependency.as_str()]).set(1);
        }
        let breaker = self.engine.guardrails().breaker_state();
        state.breaker_open.set(breaker.is_open.into());
        state.breaker_owners.set(count(breaker.full_owners));
        self.tell_of_playbooks(state);
        self.metrics.render()
    }

    /// Those that are gone are told of no more.
    fn tell_of_playbooks(&self, state: &State) {
        let rules = self.rules.now();
        for mode in [Mode::Observe, Mode::DryRun, Mode::Enforce] {
            let of_mode = rules.plans().iter().filter(|plan| plan.playbook.mode == mode);
            state.playbooks.with_label_values(&[mode.as_str()]).set(count(of_mode.count()));
        }
        let budgets = [&state.budget_used, &state.budget_limit];
        budgets.into_iter().for_each(IntGaugeVec::reset);
        for plan in rules.plans() {
            let Some(spent) = self.engine.guardrails().spent(plan) else { continue };
            let labels = [plan.playbook.name.as_str(), spent.budget.scope.as_str()];
            state.budget_used.with_label_values(&labels).set(count(spent.most));
            state.budget_limit.with_label_values(&labels).set(spent.budget.count.into());
        }
    }

    /// Keeps the metric of the kill switch up to date until stopped.
    pub async fn watch_kill_switch(self: Arc<Self>, stop: CancellationToken) {
        loop {
            let found = match self.engine.guardrails().is_stopped(self.engine.api()).await {
                Ok(false) => "off",
                Ok(true) => "on",
                Err(_) => "unreadable",
            };
            for state in SWITCH {
                let gauge = self.metrics.state.kill_switch.with_label_values(&[state]);
                gauge.set((state == found).into());
            }
            tokio::select! {
                () = stop.cancelled() => return,
                () = tokio::time::sleep(LOOK) => {}
            }
        }
    }
}

fn count(number: usize) -> i64 {
    i64::try_from(number).unwrap_or(i64::MAX)
}
