//! `isolate`: cuts the verified pod off from the network, and says so only where it is proven.
//!
//! NetworkPolicies add up, so that one of ours holds only what no other opens. The pod's labels are what others
//! select it by: those are taken away (and kept in an annotation), a quarantine label is put in their place, and a
//! policy of ours selects that; where a playbook asks for it, one of a kind (`tier`) whose deny beats every allow
//! does so too. `plan` and `proof` decide, and are pure; `run` looks, writes and looks again; `revert` takes it back.
//! What a network plugin does with all this is configuration, or its agent's own word (`network`, `agent`).

mod agent;
mod config;
mod network;
mod peers;
mod plan;
mod proof;
mod quarantine;
mod restriction;
mod revert;
mod run;
mod scene;
mod selector;
mod served;
mod tier;

pub(super) use config::Written;

use async_trait::async_trait;
use serde_json::Value;

use self::{
    config::IsolateConfig,
    plan::Order,
    proof::{Proof, on_host_network},
    quarantine::Reach,
    restriction::Direction,
    run::{Done, Ended, Run},
    tier::Tier,
};
use crate::act::{
    action::{Action, Context, Subject},
    api::{Api, Permission, rival_permissions},
    config::ConfigError,
    outcome::{Failure, Guardrail, Outcome, SkipReason},
    responses::Undo,
    target::{Id, Verified},
};

pub(in crate::act) use network::Network;
pub use revert::{Isolated, Reverted, revert};
pub(in crate::act) use tier::CLUSTER_NETWORK_POLICY;

/// What every isolation leaves as it is.
const REST: &str = "connections that are already open may live on, a `delete` behind it ends them; its own node still \
                    reaches it";

/// The configured action.
#[derive(Debug)]
pub(in crate::act) struct Isolate {
    config: IsolateConfig,
    network: Network,
}

impl Isolate {
    /// Reads the configuration.
    pub(in crate::act) fn configure(
        config: &Value,
        network: &Network,
    ) -> Result<Isolate, ConfigError> {
        let config = IsolateConfig::read(config)?;
        if let Some(key) = &config.by_label {
            tracing::warn!(%key, "isolate.denyEgressByLabel cuts off every pod that shares the label, not only the event's");
        }
        Ok(Isolate { config, network: network.clone() })
    }

    /// Whether the pod is to leave Services and owner: not while it may still be reached.
    fn leaves_holders(&self) -> bool {
        self.config.by_label.is_none() && self.config.restriction.cuts(Direction::Ingress)
    }

    async fn isolate(&self, cx: &Context<'_>, target: &Verified) -> Result<Outcome, Failure> {
        if target.spec().is_some_and(on_host_network) {
            let why = format!(
                "{} is on its node's network, which no NetworkPolicy reaches",
                target.object()
            );
            return Ok(Outcome::refused(Guardrail::HostNetwork, why));
        }
        let api = cx.api()?;
        let (tier, unserved) = self.tier(&api).await?;
        let order = Order {
            reach: self.reach(target)?,
            restriction: self.config.restriction.clone(),
            tier,
            playbook: cx.playbook().to_owned(),
        };
        let run = Run {
            api: &api,
            target,
            order: &order,
            leaves_holders: self.leaves_holders(),
            network: &self.network,
            dry_run: cx.dry_run(),
        };
        Ok(match run.to_end().await? {
            Ended::Gone(why) => Outcome::Skipped(SkipReason::Gone, why),
            Ended::Rehearsed { proof, done } => {
                let what = self.tell(target, &order, unserved.as_deref(), &done);
                let word = if self.is_enough(&proof) { "accepted" } else { "would fail" };
                let told = format!("{what}; a dry run, {word}: {proof}; {REST}");
                Outcome::Skipped(SkipReason::DryRun, told)
            }
            Ended::InPlace { proof, done } => {
                let what = self.tell(target, &order, unserved.as_deref(), &done);
                if !self.is_enough(&proof) {
                    let why = format!("{proof}; in place, and not enough: {what}; {REST}");
                    return Err(Failure::permanent(why));
                }
                // The verdict first: whoever is told on a small screen reads no further.
                let told = format!("{proof}; {what}; {REST}");
                if done.changed { Outcome::Applied(told) } else { Outcome::AlreadyDone(told) }
            }
        })
    }

    /// The kind in which to deny on top; why there is none where one was named.
    async fn tier(&self, api: &Api) -> Result<(Option<Tier>, Option<String>), Failure> {
        let choice = self.config.choice;
        if choice.tiers().is_empty() {
            return Ok((None, None));
        }
        let served = self.network.served.tiers(api).await?;
        Ok(choice.pick(&served).map_or_else(|why| (None, Some(why)), |tier| (tier, None)))
    }

    fn is_enough(&self, proof: &Proof) -> bool {
        proof.is_enough(&self.config.accept)
    }

    fn reach(&self, target: &Verified) -> Result<Reach, Failure> {
        let Some(key) = &self.config.by_label else { return Ok(Reach::Pod(Id::of(target.uid()))) };
        let labels = target.pod().metadata.labels.as_ref();
        let value = labels.and_then(|labels| labels.get(key)).ok_or_else(|| {
            Failure::permanent(format!(
                "{} has no label `{key}`: leave denyEgressByLabel out to isolate the one pod",
                target.object()
            ))
        })?;
        let id = Id::of_label(target.uid(), key);
        Ok(Reach::Label { id, key: key.clone(), value: value.clone() })
    }

    /// What is cut off, what the pod has left, and what follows for its owner.
    fn tell(
        &self,
        target: &Verified,
        order: &Order,
        unserved: Option<&str>,
        done: &Done,
    ) -> String {
        let restriction = &self.config.restriction;
        let comma = if restriction.has_exceptions() { "," } else { "" };
        let cut = format!("{restriction}{comma}");
        let mut told = match &order.reach {
            Reach::Pod(_) => format!("cut {cut} of {}", target.object()),
            Reach::Label { key, value, .. } => format!(
                "cut {cut} of EVERY pod of {} with {key}={value}, not only of {}",
                target.namespace(),
                target.object()
            ),
        };
        if let Some(tier) = order.tier {
            told = format!("{told}, denied by a {} too", tier.kind().kind);
        }
        if !done.left.is_empty() {
            told = format!("{told}, which left {}", done.left.join(", "));
        }
        if let Some(why) = unserved {
            told = format!("{told}; {why}");
        }
        if let Some(owner) = &done.unknown_owner {
            told = format!(
                "{told}; its owner {owner} is of a kind whose selector is not known: it may still hold it"
            );
        }
        let holds_name = target.owner().filter(|owner| owner.kind == "StatefulSet");
        match holds_name.filter(|_| self.leaves_holders()) {
            Some(owner) => format!(
                "{told}; StatefulSet {} can't replace it as long as it holds its name",
                owner.name
            ),
            None => told,
        }
    }
}

#[async_trait]
impl Action for Isolate {
    fn name(&self) -> &'static str {
        "isolate"
    }

    fn describe(&self) -> String {
        let cut = &self.config.restriction;
        match &self.config.by_label {
            None => format!("isolate the pod: cut {cut}"),
            Some(key) => format!(
                "cut {cut} of EVERY pod with the same `{key}` label, siblings that nobody attacked included"
            ),
        }
    }

    fn within_namespace(&self) -> Result<(), ConfigError> {
        match self.config.choice.tiers().iter().find(|tier| !tier.kind().namespaced) {
            None => Ok(()),
            Some(tier) => {
                let why = format!(
                    "a {} is the cluster's, and the playbook its namespace's",
                    tier.kind().kind
                );
                Err(ConfigError::new(why)
                    .at("tier")
                    .help("name another tier, or make it a ClusterPlaybook"))
            }
        }
    }

    fn needs_target(&self) -> bool {
        true
    }

    fn changes_cluster(&self) -> bool {
        true
    }

    fn supports_dry_run(&self) -> bool {
        true
    }

    fn undo(&self) -> Option<Undo> {
        Some(Undo::Isolation)
    }

    fn permissions(&self) -> Vec<Permission> {
        let policies = |verb| Permission::new("networking.k8s.io", "networkpolicies", verb);
        let mut all = scene::permissions(self.leaves_holders());
        all.extend([policies("create"), policies("patch")]);
        if self.config.by_label.is_none() {
            all.extend([Permission::new("", "pods", "patch"), policies("delete")]);
        }
        all.extend(self.config.choice.tiers().iter().flat_map(|tier| tier.permissions()));
        if self.network.policies {
            all.extend(rival_permissions());
        }
        all
    }

    async fn apply(&self, cx: &Context<'_>, subject: Subject<'_>) -> Outcome {
        match subject {
            Subject::Target(target) => self.isolate(cx, target).await.unwrap_or_else(Outcome::from),
            Subject::Gone(gone) => self.on_gone(gone),
            Subject::Node(_) | Subject::Event => {
                Outcome::refused(Guardrail::Identity, "the event is about no verified pod")
            }
        }
    }
}
