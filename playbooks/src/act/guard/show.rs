//! What the guardrails are at now, for who watches them. Asking changes nothing.

use jiff::Timestamp;
use tokio::time::Instant;

use super::Guardrails;
use crate::{
    act::{Plan, api::Api, outcome::Failure},
    decide::Budget,
};

/// What the breaker holds back.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct BreakerState {
    /// Half of the recent changes failed: none is tried.
    pub is_open: bool,
    /// Owners of which no further pod is contained.
    pub full_owners: usize,
}

/// How much of a playbook's budget is out.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Spent {
    /// What it may.
    pub budget: Budget,
    /// The tokens that are out where most are, such as in the namespace that was answered most: as far as this worker has seen.
    pub most: usize,
}

impl Guardrails {
    /// What the breaker of this worker holds back now.
    pub fn breaker_state(&self) -> BreakerState {
        let (breaker, now) = (self.breaker(), Instant::now());
        BreakerState { is_open: breaker.is_open(now), full_owners: breaker.full_owners(now) }
    }

    /// How much of a plan's budget is out, where it has one.
    pub fn spent(&self, plan: &Plan) -> Option<Spent> {
        let playbook = &plan.playbook;
        let budget = playbook.limits.budget?;
        let own = self.budgets().most(&playbook.name, budget.scope, Instant::now());
        let all = self.fleet.as_ref();
        let all = all.map_or(0, |fleet| fleet.most(&playbook.name, budget.scope, Timestamp::now()));
        Some(Spent { budget, most: own.max(all) })
    }

    /// Whether the kill switch is on, in its file or its ConfigMap.
    ///
    /// # Errors
    ///
    /// Where it can't be read: then nothing is changed either.
    pub async fn is_stopped(&self, api: Option<&Api>) -> Result<bool, Failure> {
        Ok(self.kill_switch.judge(api).await?.is_some())
    }
}
