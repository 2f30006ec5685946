//! Guardrails: what can hold an action back, whatever a playbook says.
//!
//! Each rule is a file and, but for the kill switch's reads, a pure decision. A rule's no is a [`Refusal`];
//! where a rule can't be judged, that is a [`Failure`]: nothing is written and nothing acknowledged.
//! Rules that only one action knows, such as `minHealthy`, live with that action.

mod age;
mod breaker;
mod budget;
mod kill_switch;
mod own_node;
mod protected;

use std::{
    sync::{Mutex, PoisonError},
    time::Duration,
};

use jiff::Timestamp;
use tokio::time::Instant;

pub use breaker::BreakerLimits;
pub use kill_switch::{KillSwitchOptions, KillSwitchState};
pub use own_node::OwnNode;
pub use protected::OwnPod;

pub(super) use age::{FUTURE, judge_age};
use breaker::Breaker;
use budget::{Budgets, Token};
use kill_switch::KillSwitch;
use protected::Protected;

use super::{
    api::Api,
    config::ConfigError,
    outcome::{Failure, Guardrail, Outcome, Refusal},
    response::Standing,
    roles::Right,
    target::Verified,
};
use crate::{
    act::occurrence::Occurrence,
    decide::{Mode, Playbook},
};

/// What the operator can set. The hard denials are in the code; nothing here takes one away.
#[derive(Debug, Clone, Default)]
pub struct GuardrailOptions {
    /// Names or globs of namespaces to protect beside those that always are.
    pub protected_namespaces: Vec<String>,
    /// The namespace that stoop runs in.
    pub own_namespace: Option<String>,
    /// The pod that this worker runs in.
    pub own_pod: Option<OwnPod>,
    /// The node that this worker runs on.
    pub own_node: OwnNode,
    /// Where the kill switch is read.
    pub kill_switch: KillSwitchOptions,
    /// When the breaker opens.
    pub breaker: BreakerLimits,
}

/// The guardrails of one worker, and what they remember.
#[derive(Debug)]
pub struct Guardrails {
    protected: Protected,
    own_node: OwnNode,
    kill_switch: KillSwitch,
    budgets: Mutex<Budgets>,
    breaker: Mutex<Breaker>,
}

impl Guardrails {
    /// Builds them.
    ///
    /// # Errors
    ///
    /// Where a glob can't be read.
    pub fn new(options: GuardrailOptions) -> Result<Guardrails, ConfigError> {
        let protected = Protected::new(&options)?;
        Ok(Guardrails {
            protected,
            own_node: options.own_node,
            kill_switch: KillSwitch::new(options.kill_switch),
            budgets: Mutex::default(),
            breaker: Mutex::new(Breaker::new(options.breaker)),
        })
    }

    /// The rights that the guardrails themselves take, and what each is for.
    pub fn rights(&self) -> Vec<Right> {
        let kill_switch = self.kill_switch.permissions().into_iter();
        kill_switch.map(|right| Right::new(right, "the kill switch")).collect()
    }

    /// Whether nothing in this namespace is ever changed.
    pub fn protects(&self, namespace: &str) -> bool {
        self.protected.covers(namespace)
    }

    /// The node that this worker runs on.
    pub(super) fn own_node(&self) -> &OwnNode {
        &self.own_node
    }

    /// What the kill switch's ConfigMap says now, for who wants to know before a worker runs; `None` where none is
    /// configured.
    ///
    /// # Errors
    ///
    /// Where it can't be read: then nothing would be changed either.
    pub async fn kill_switch(&self, api: &Api) -> Result<Option<KillSwitchState>, Failure> {
        self.kill_switch.config_map(api).await
    }

    /// Judged once, when a response starts: whether this target may be touched at all, by this event.
    pub(super) fn judge_scope(
        &self,
        occurrence: &Occurrence,
        standing: &Standing,
        now: Timestamp,
    ) -> Option<Refusal> {
        if let Standing::Target(target) = standing
            && let Some(refusal) = self.protected.judge(target)
        {
            return Some(refusal);
        }
        age::judge_future(occurrence.time, now)
    }

    /// Takes the response's token from the playbook's budget, once in a window however often it comes back.
    pub(super) fn judge_budget(
        &self,
        playbook: &Playbook,
        mode: Mode,
        occurrence: &Occurrence,
        standing: &Standing,
    ) -> Option<Refusal> {
        let budget = playbook.limits.budget?;
        let token = Token::new(&playbook.name, mode, budget.scope, occurrence, standing);
        let taken = self.budgets.lock().unwrap_or_else(PoisonError::into_inner).take(
            token,
            budget,
            Instant::now(),
        );
        taken.err().map(|wait| {
            let again = humantime::format_duration(Duration::from_secs(wait.as_secs() + 1));
            Refusal::new(
                Guardrail::Budget,
                format!("the budget of {budget} is used up, free again in {again}"),
            )
        })
    }

    /// Judged before every change, since both can turn while a response runs.
    ///
    /// # Errors
    ///
    /// Where the kill switch can't be read.
    pub(super) async fn judge_change(
        &self,
        api: Option<&Api>,
        target: Option<&Verified>,
        mode: Mode,
    ) -> Result<Option<Refusal>, Failure> {
        if let Some(refusal) = self.kill_switch.judge(api).await? {
            return Ok(Some(refusal));
        }
        let mut breaker = self.breaker.lock().unwrap_or_else(PoisonError::into_inner);
        Ok(breaker.judge(target, mode == Mode::Enforce, Instant::now()))
    }

    /// Lets the breaker learn from the end of a change that was tried.
    pub(super) fn learn(&self, outcome: &Outcome) {
        self.breaker.lock().unwrap_or_else(PoisonError::into_inner).learn(outcome, Instant::now());
    }
}
