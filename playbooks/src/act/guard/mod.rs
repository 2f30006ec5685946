//! Guardrails: what can hold an action back, whatever a playbook says.
//!
//! Each rule is a file and, but for what the kill switch and the fleet's budgets ask, a pure decision. A rule's no is a [`Refusal`];
//! where a rule can't be judged, that is a [`Failure`]: nothing is written and nothing acknowledged.
//! Rules that only one action knows, such as `minHealthy`, live with that action.

mod age;
mod breaker;
mod budget;
mod exempt;
mod fleet;
mod kill_switch;
mod own_node;
mod protected;
mod show;

use std::{
    collections::BTreeMap,
    sync::{Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use jiff::Timestamp;
use k8s_openapi::api::core::v1::Pod;
use tokio::time::Instant;

pub use breaker::BreakerLimits;
pub use exempt::Exemptions;
pub use kill_switch::{KillSwitchOptions, KillSwitchState};
pub use own_node::OwnNode;
pub use protected::OwnPod;
pub use show::{BreakerState, Spent};

pub(super) use age::{FUTURE, judge_age};
use breaker::Breaker;
use budget::{Budgets, Token};
use fleet::{Asked, Fleet};
use kill_switch::KillSwitch;
use protected::Protected;

use super::{
    api::Api,
    config::ConfigError,
    outcome::{Failure, Guardrail, Outcome, Refusal},
    registry::Plan,
    response::Standing,
    roles::Right,
    target::Verified,
};
use crate::{act::occurrence::Occurrence, decide::Mode};

/// What the operator can set. The hard denials are in the code; nothing here takes one away.
#[derive(Debug, Clone, Default)]
pub struct GuardrailOptions {
    /// Names or globs of namespaces to protect beside those that always are.
    pub protected_namespaces: Vec<String>,
    /// The namespace that stoop runs in, and keeps the fleet's budgets in. Without one each worker counts for itself.
    pub own_namespace: Option<String>,
    /// Whose annotations exempt.
    pub exemptions: Exemptions,
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
    exemptions: Exemptions,
    own_node: OwnNode,
    kill_switch: KillSwitch,
    budgets: Mutex<Budgets>,
    fleet: Option<Fleet>,
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
        if options.exemptions == Exemptions::NamespacesAndPods {
            tracing::warn!(
                "protect.podOptOut is set: whoever may create or annotate a pod can keep stoop away from it"
            );
        }
        Ok(Guardrails {
            protected,
            exemptions: options.exemptions,
            own_node: options.own_node,
            kill_switch: KillSwitch::new(options.kill_switch),
            budgets: Mutex::default(),
            fleet: options.own_namespace.map(Fleet::new),
            breaker: Mutex::new(Breaker::new(options.breaker)),
        })
    }

    /// The rights that the guardrails themselves take for these plans, and what each is for.
    pub fn rights<'a>(&self, plans: impl IntoIterator<Item = &'a Plan>) -> Vec<Right> {
        let kill_switch = self.kill_switch.permissions().into_iter();
        let kill_switch = kill_switch.map(|right| Right::new(right, "the kill switch"));
        let budgets = plans.into_iter().flat_map(|plan| {
            let fleet = self.fleet.as_ref().filter(|_| counts_together(plan, plan.playbook.mode));
            let all = fleet.map(|fleet| fleet.permissions(&plan.playbook)).unwrap_or_default();
            let by = format!("{}: its budget", plan.playbook.name);
            all.into_iter().map(move |right| Right::new(right, by.clone()))
        });
        kill_switch.chain(budgets).collect()
    }

    /// Whether nothing in this namespace is ever changed.
    pub fn protects(&self, namespace: &str) -> bool {
        self.protected.covers(namespace)
    }

    /// The node that this worker runs on.
    pub(super) fn own_node(&self) -> &OwnNode {
        &self.own_node
    }

    /// Whether annotations exempt: where none does, no namespace has to be read for it.
    pub(super) fn honours_exemptions(&self) -> bool {
        self.exemptions != Exemptions::Off
    }

    /// The refusal where a pod beside the target is exempted, by the annotations of its namespace or, where that is
    /// allowed, by its own.
    pub(super) fn judge_exemption(
        &self,
        pod: &Pod,
        of_namespace: &BTreeMap<String, String>,
        now: Timestamp,
    ) -> Option<Refusal> {
        self.exemptions.judge_pod(pod, of_namespace, now)
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
        if let Standing::Target(target) = standing {
            let refusal = self.protected.judge(target);
            if let Some(refusal) = refusal.or_else(|| self.exemptions.judge(target, now)) {
                return Some(refusal);
            }
        }
        age::judge_future(occurrence.time, now)
    }

    /// Takes the response's token from the playbook's budget, once in a window however often it comes back.
    ///
    /// # Errors
    ///
    /// Where the fleet's tokens can't be read or written: then there is none.
    pub(super) async fn judge_budget(
        &self,
        api: Option<&Api>,
        plan: &Plan,
        mode: Mode,
        (occurrence, standing): (&Occurrence, &Standing),
    ) -> Result<Option<Refusal>, Failure> {
        let playbook = &plan.playbook;
        let Some(budget) = playbook.limits.budget else { return Ok(None) };
        let token = Token::new(&playbook.name, mode, budget.scope, occurrence, standing);
        let fleet = self.fleet.as_ref().filter(|_| counts_together(plan, mode));
        let taken = match fleet.zip(api) {
            Some((fleet, api)) => {
                let asked = Asked { purse: token.purse(), payer: token.payer(), budget };
                let taken = fleet.take(api, &playbook.name, &asked).await?;
                taken.map_err(|why| format!("the fleet's budget of {budget} is used up, {why}"))
            }
            None => self.budgets().take(token, budget, Instant::now()).map_err(|wait| {
                let again = humantime::format_duration(Duration::from_secs(wait.as_secs() + 1));
                format!("the budget of {budget} is used up, free again in {again}")
            }),
        };
        Ok(taken.err().map(|why| Refusal::new(Guardrail::Budget, why)))
    }

    /// Judged before every change, since both can turn while a response runs. Nothing is taken by it.
    ///
    /// # Errors
    ///
    /// Where the kill switch can't be read.
    pub(super) async fn judge_change(
        &self,
        api: Option<&Api>,
        target: Option<&Verified>,
    ) -> Result<Option<Refusal>, Failure> {
        if let Some(refusal) = self.kill_switch.judge(api).await? {
            return Ok(Some(refusal));
        }
        Ok(self.breaker().judge(target, Instant::now()))
    }

    /// Lets a change through that nothing else holds back, or the breaker's no.
    pub(super) fn admit(&self, target: Option<&Verified>, mode: Mode) -> Option<Refusal> {
        let mut breaker = self.breaker();
        let now = Instant::now();
        let refusal = breaker.judge(target, now);
        if refusal.is_none() && mode == Mode::Enforce {
            breaker.admit(target, now);
        }
        refusal
    }

    /// Lets the breaker learn from the end of a change that was tried.
    pub(super) fn learn(&self, target: Option<&Verified>, outcome: &Outcome) {
        self.breaker().learn(target, outcome, Instant::now());
    }

    fn breaker(&self) -> MutexGuard<'_, Breaker> {
        self.breaker.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn budgets(&self) -> MutexGuard<'_, Budgets> {
        self.budgets.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// True where the tokens of all workers are counted together. What only tells must not depend on the API server.
fn counts_together(plan: &Plan, mode: Mode) -> bool {
    plan.contains() && mode == Mode::Enforce
}
