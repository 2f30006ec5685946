//! Looks, does what is left to do, and looks again, until a look finds nothing left: that look is the proof.

use kube::api::DynamicObject;

use super::{
    network::{Network, Question},
    plan::{Order, Plan, plan},
    proof::{Evidence, Proof, prove},
    quarantine::is_ours,
    scene::{Scene, Sight, look},
};
use crate::act::{
    api::{Api, ApiError, Class},
    outcome::{Dependency, Failure, FailureKind},
    target::Verified,
};

/// How often others may change what was seen, before it is left to a later try.
const ROUNDS: usize = 5;

/// What the rounds came to.
pub(super) enum Ended {
    /// What was ordered is in place, and what that is worth.
    InPlace { proof: Proof, done: Done },
    /// The server would accept it, and what that would be worth.
    Rehearsed { proof: Proof, done: Done },
    /// The pod is gone.
    Gone(String),
}

/// What was done by these rounds; nothing where it was in place before.
#[derive(Debug, Default)]
pub(super) struct Done {
    pub(super) changed: bool,
    /// The Services and the owner that the pod has left.
    pub(super) left: Vec<String>,
    /// The owner that was not looked at.
    pub(super) unknown_owner: Option<String>,
}

/// A write that did not end as it should; what it means, the next look tells.
enum Hitch {
    /// It is not as it was seen.
    Stale(ApiError),
    /// Refused for its content, or for another uid.
    Invalid(ApiError),
    /// The server has not said what became of it.
    Unanswered(ApiError),
}

/// One isolation, on its way.
pub(super) struct Run<'a> {
    pub(super) api: &'a Api,
    pub(super) target: &'a Verified,
    pub(super) order: &'a Order,
    /// Whether the pod is to be taken out of Services and of its owner.
    pub(super) leaves_holders: bool,
    pub(super) network: &'a Network,
    pub(super) dry_run: bool,
}

impl Run<'_> {
    /// Safe to repeat, and to be dropped anywhere: each round begins with what is there.
    pub(super) async fn to_end(&self) -> Result<Ended, Failure> {
        let mut done = Done::default();
        let mut hitch = None;
        for _ in 0..ROUNDS {
            let scene = match look(self.api, self.target, self.leaves_holders).await? {
                Sight::Scene(mut scene) => {
                    scene.denial = self.denial().await?;
                    scene
                }
                Sight::Gone(why) => {
                    self.tidy_up().await?;
                    return Ok(Ended::Gone(why));
                }
            };
            done.unknown_owner.clone_from(&scene.unknown_owner);
            let plan = plan(&scene, self.order)?;
            if plan.is_done() {
                let proof = self.prove(&scene, &plan).await?;
                return Ok(match self.dry_run {
                    true => Ended::Rehearsed { proof, done },
                    false => Ended::InPlace { proof, done },
                });
            }
            if let Some(hitch) = hitch {
                judge(hitch)?;
            }
            match self.write(&plan).await? {
                None if self.dry_run => {
                    done.left = plan.leaves.clone();
                    let proof = self.prove(&foreseen(*scene, &plan), &plan).await?;
                    return Ok(Ended::Rehearsed { proof, done });
                }
                None => {
                    done.changed = true;
                    done.left.extend(plan.leaves);
                    hitch = None;
                }
                Some(next) => hitch = Some(next),
            }
        }
        let object = self.target.object();
        let why = match hitch {
            Some(Hitch::Stale(error) | Hitch::Invalid(error) | Hitch::Unanswered(error)) => {
                error.to_string()
            }
            None => "others keep changing labels or policies".to_owned(),
        };
        Err(Failure::transient(format!("{object} does not come to rest: {why}")))
    }

    async fn write(&self, plan: &Plan) -> Result<Option<Hitch>, Failure> {
        if let Some(policy) = &plan.policy {
            let applied = self.api.for_half().apply_policy(policy, self.dry_run).await;
            if let Some(hitch) = hitch(applied)? {
                return Ok(Some(hitch));
            }
        }
        // Before the label: an agent that takes the label up finds what it stands for. Where it is refused, the pod is
        // cut off all the same, as far as it can be without.
        let denied = self.deny(plan).await;
        if let Some(relabel) = &plan.relabel {
            let (target, api) = (self.target, self.api.for_half());
            let at = (target.namespace(), target.name());
            let patched = api.relabel_pod(at, target.uid(), relabel, self.dry_run).await;
            if let Some(hitch) = hitch(patched)? {
                return Ok(Some(hitch));
            }
        }
        denied
    }

    async fn deny(&self, plan: &Plan) -> Result<Option<Hitch>, Failure> {
        let (Some(tier), Some(denial)) = (self.order.tier, &plan.denial) else { return Ok(None) };
        let api = self.api.for_half();
        hitch(api.apply_custom(tier.kind(), denial, self.dry_run).await)
    }

    async fn prove(&self, scene: &Scene, plan: &Plan) -> Result<Proof, Failure> {
        let question = Question {
            api: self.api,
            target: self.target,
            order: self.order,
            dry_run: self.dry_run,
        };
        let denial = self.network.judge(&question).await?;
        let enforcement = self.network.enforcement(&question, &denial).await?;
        Ok(prove(
            self.order,
            &Evidence {
                spec: scene.pod.spec.as_ref(),
                uid: self.target.uid().as_str(),
                labels: &plan.labels,
                policies: &scene.policies,
                enforcement: &enforcement,
                denial: &denial,
            },
        ))
    }

    /// The stored policy of ours that denies.
    async fn denial(&self) -> Result<Option<DynamicObject>, Failure> {
        let Some(tier) = self.order.tier else { return Ok(None) };
        let name = self.order.reach.policy_name();
        match self.api.custom(tier.kind(), self.target.namespace(), &name).await {
            Ok(stored) => Ok(stored),
            // The kind itself is gone, and no outage: the next try finds that out.
            Err(error) if error.code() == Some(404) => {
                self.network.served.forget().await;
                Err(Failure::transient(error.to_string()))
            }
            Err(error) => Err(error.into()),
        }
    }

    /// Takes our policies away where the pod went before they could hold it.
    async fn tidy_up(&self) -> Result<(), Failure> {
        if self.dry_run || !self.order.reach.is_one_pod() {
            return Ok(());
        }
        if let (Some(tier), Some(denial)) = (self.order.tier, self.denial().await?)
            && is_ours(&denial.metadata, self.target.uid().as_str())
        {
            gone(self.api.delete_custom(tier.kind(), &denial).await)?;
        }
        let (name, uid) = (self.order.reach.policy_name(), self.target.uid().as_str());
        let ours = self.api.policies(self.target.namespace()).await?.into_iter().find(|policy| {
            policy.metadata.name.as_deref() == Some(&name) && is_ours(&policy.metadata, uid)
        });
        let Some(ours) = ours else { return Ok(()) };
        gone(self.api.delete_policy(&ours).await)
    }
}

/// Gone, or no longer the one that was read: nothing of ours to take away.
fn gone(deleted: Result<(), ApiError>) -> Result<(), Failure> {
    match deleted {
        Err(error) if !matches!(error.class(), Class::NotFound | Class::Conflict) => {
            Err(error.into())
        }
        _ => Ok(()),
    }
}

/// The scene as the plan would leave it.
fn foreseen(mut scene: Scene, plan: &Plan) -> Scene {
    if let Some(policy) = &plan.policy {
        scene.policies.retain(|it| it.metadata.name != policy.metadata.name);
        scene.policies.push(policy.clone());
    }
    scene.denial = plan.denial.clone().or(scene.denial);
    scene
}

/// Tells what another look will explain from what is final.
fn hitch(sent: Result<(), ApiError>) -> Result<Option<Hitch>, Failure> {
    let Err(error) = sent else { return Ok(None) };
    let unanswered = error.code().is_none()
        && matches!(
            error.class(),
            Class::Failed(FailureKind::Unavailable(Dependency::KubernetesApi))
        );
    match (error.class(), error.code()) {
        (Class::Conflict | Class::NotFound, _) => Ok(Some(Hitch::Stale(error))),
        // Forbidden, though no right is missing: the pod is on its way out.
        _ if error.has_cause("NamespaceTerminating") => Ok(Some(Hitch::Stale(error))),
        (_, Some(422)) => Ok(Some(Hitch::Invalid(error))),
        _ if unanswered => Ok(Some(Hitch::Unanswered(error))),
        _ => Err(error.into()),
    }
}

/// What a hitch was, now that a look shows the same pod and something still to do.
fn judge(hitch: Hitch) -> Result<(), Failure> {
    match hitch {
        Hitch::Stale(_) => Ok(()),
        Hitch::Invalid(error) => Err(error.into()),
        // Reads are answered: no outage, which would hold everything.
        Hitch::Unanswered(error) => {
            let why = format!("{error}; it answers reads: does an admission webhook hang?");
            Err(Failure::transient(why))
        }
    }
}
