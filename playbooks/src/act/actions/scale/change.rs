//! One Deployment's number of pods: brought down, and back.

use async_trait::async_trait;
use k8s_openapi::{
    api::{apps::v1::Deployment, autoscaling::v2::HorizontalPodAutoscaler},
    apimachinery::pkg::apis::meta::v1::OwnerReference,
};
use kube::api::ListParams;

use super::config::ScaleConfig;
use crate::act::{
    actions::hold::{Holder, Holds},
    api::{Api, Edit, Operations, Part, Place, Verdict},
    outcome::{Failure, Guardrail, Outcome, Refusal, SkipReason},
};

/// Where the former number is written down, and what it is called there.
const NOTES: &str = "stoop.dev/scale";
const REPLICAS: &str = "replicas";

/// What a Deployment is to be scaled to.
pub(super) struct Scaling<'a> {
    pub(super) api: &'a Api,
    pub(super) namespace: &'a str,
    pub(super) deployment: &'a OwnerReference,
    pub(super) config: &'a ScaleConfig,
    pub(super) holder: Holder,
}

#[async_trait]
impl Edit<Deployment> for Scaling<'_> {
    async fn judge(&self, live: &Deployment) -> Result<Verdict, Failure> {
        let name = &self.deployment.name;
        if live.metadata.uid.as_deref() != Some(self.deployment.uid.as_str()) {
            let why = format!("the Deployment {name} is gone, its name belongs to another one now");
            return Ok(Verdict::Settled(Outcome::Skipped(SkipReason::Gone, why)));
        }
        if live.metadata.deletion_timestamp.is_some() {
            let why = format!("the Deployment {name} is being deleted");
            return Ok(Verdict::Settled(Outcome::AlreadyDone(why)));
        }
        let (wanted, there) = (i32::from(self.config.replicas), replicas(live));
        let mut holds = Holds::read(NOTES, &live.metadata)?;
        let ours = holds.ours(REPLICAS, Some(&there.to_string())).is_some();
        let mut notes = Operations::default();
        if there <= wanted {
            let done = format!("the Deployment {name} wants {there} pods");
            if ours && holds.join(REPLICAS, &self.holder) {
                holds.write(&mut notes);
                return Ok(write(
                    vec![of_object(notes)],
                    format!("{done}, and keeps it so for us"),
                ));
            }
            return Ok(Verdict::Settled(Outcome::AlreadyDone(done)));
        }
        if let Some(refusal) = self.refuse(there).await? {
            return Ok(Verdict::Settled(refusal.into()));
        }
        match ours {
            // What it had before the first of us is what it gets back.
            true => holds.go_on(REPLICAS, &wanted.to_string(), &self.holder),
            false => {
                holds.begin(REPLICAS, &wanted.to_string(), Some(there.to_string()), &self.holder);
            }
        }
        holds.write(&mut notes);
        let done = format!("the Deployment {name} wants {wanted} pods now, {there} before");
        Ok(write(vec![of_object(notes), of_scale(wanted)], done))
    }
}

impl Scaling<'_> {
    async fn refuse(&self, there: i32) -> Result<Option<Refusal>, Failure> {
        let name = &self.deployment.name;
        if let Some(largest) = self.config.largest.filter(|largest| there > i32::from(*largest)) {
            let why =
                format!("the Deployment {name} wants {there} pods, scale.largest is {largest}");
            return Ok(Some(Refusal::new(Guardrail::TooLarge, why)));
        }
        if self.config.autoscaled {
            return Ok(None);
        }
        let autoscaler = self.autoscaler().await?;
        Ok(autoscaler.map(|autoscaler| {
            let why = format!(
                "the HorizontalPodAutoscaler {autoscaler} scales the Deployment {name}: \
                 set scale.autoscaled to scale it all the same"
            );
            Refusal::new(Guardrail::Autoscaler, why)
        }))
    }

    async fn autoscaler(&self) -> Result<Option<String>, Failure> {
        let all = self
            .api
            .call(|client| async move {
                kube::Api::<HorizontalPodAutoscaler>::namespaced(client, self.namespace)
                    .list(&ListParams::default())
                    .await
            })
            .await?;
        Ok(all
            .items
            .into_iter()
            .find(|one| self.is_scaled_by(one))
            .and_then(|one| one.metadata.name))
    }

    fn is_scaled_by(&self, autoscaler: &HorizontalPodAutoscaler) -> bool {
        autoscaler.spec.as_ref().is_some_and(|spec| {
            let of = &spec.scale_target_ref;
            of.kind == "Deployment" && of.name == self.deployment.name
        })
    }
}

/// How many pods it wants; the API's default is one.
fn replicas(deployment: &Deployment) -> i32 {
    deployment.spec.as_ref().and_then(|spec| spec.replicas).unwrap_or(1)
}

fn of_object(operations: Operations) -> Part {
    Part { subresource: None, operations }
}

fn of_scale(replicas: i32) -> Part {
    let mut operations = Operations::default();
    // Not `replace`: a zero is left out of what the server shows.
    operations.add(&["spec", "replicas"], replicas);
    Part { subresource: Some("scale"), operations }
}

fn write(parts: Vec<Part>, done: String) -> Verdict {
    Verdict::Write { parts, done }
}

/// Gives a Deployment its former number of pods, if the number is still the one that we set and nobody else holds it.
pub(in crate::act::actions) async fn revert(
    api: &Api,
    place: Place<'_>,
    holder: &Holder,
    dry_run: bool,
) -> Result<Outcome, Failure> {
    api.edit(place, &Back(holder), dry_run).await
}

struct Back<'a>(&'a Holder);

#[async_trait]
impl Edit<Deployment> for Back<'_> {
    async fn judge(&self, live: &Deployment) -> Result<Verdict, Failure> {
        let mut holds = Holds::read(NOTES, &live.metadata)?;
        let Some(free) = holds.release(self.0) else {
            let why = "nothing of the Deployment is held for it";
            return Ok(Verdict::Settled(Outcome::AlreadyDone(why.into())));
        };
        let there = replicas(live).to_string();
        let was = free
            .iter()
            .filter(|(_, hold)| hold.set == there)
            .find_map(|(_, hold)| hold.was.as_deref()?.parse().ok())
            .filter(|was: &i32| *was >= 0);
        let mut notes = Operations::default();
        holds.write(&mut notes);
        Ok(match was {
            // The number first: a crash between the two must not forget it.
            Some(was) => {
                write(vec![of_scale(was), of_object(notes)], format!("it wants {was} pods again"))
            }
            None => {
                let why = "its number is not ours any more, or another response still holds it";
                write(vec![of_object(notes)], why.to_owned())
            }
        })
    }
}
