//! `run`: starts a Job or a Tekton PipelineRun that the operator has written, with some of the event's values as its
//! parameters.
//!
//! Its name is made of hashes, so that a redelivery finds it started; its service account is named by the playbook and is
//! never the worker's own.

mod config;
mod object;
mod parameter;
mod progress;
mod template;

pub(super) use config::Written;

use async_trait::async_trait;
use k8s_openapi::api::authentication::v1::SelfSubjectReview;
use kube::core::DynamicObject;

use crate::act::{
    action::{Action, Context, Subject},
    api::{Api, ApiError, Class, Permission},
    digest::digest,
    outcome::{Failure, Guardrail, Outcome, Refusal, SkipReason},
};

use object::{Identity, RUN};
use parameter::Parameter;
use progress::{Progress, progress};
use template::{Kind, Template};

/// The configured action.
#[derive(Debug)]
pub(in crate::act) struct Run {
    namespace: String,
    service_account: String,
    template: Template,
    parameters: Vec<Parameter>,
    wait: bool,
    /// All of the above, as one word: a playbook may run several things.
    digest: String,
}

impl Run {
    async fn run(&self, cx: &Context<'_>, subject: Subject<'_>) -> Result<Outcome, Failure> {
        if cx.guardrails.protects(&self.namespace) {
            let why = format!("the namespace {} is protected: run it in another", self.namespace);
            return Ok(Outcome::refused(Guardrail::ProtectedNamespace, why));
        }
        let api = cx.api()?;
        let identity = self.identity(cx);
        if let Some(found) = self.find(&api, &identity).await? {
            return self.judge(&found, &identity);
        }
        if let Some(refusal) = self.judge_account(&api).await? {
            return Ok(refusal.into());
        }
        let values = self.parameters.iter().map(|p| (p.name(), p.value(cx.occurrence, subject)));
        let object = self.template.fill(&self.service_account, values.collect(), &identity);
        let what = self.what(&identity);
        match self.create(&api, &object, cx.dry_run()).await {
            Ok(_) if cx.dry_run() => Ok(Outcome::Skipped(
                SkipReason::DryRun,
                format!("would start {what}; the API server accepted the dry run"),
            )),
            Ok(_) if self.wait => Ok(Outcome::Pending(format!("{what} was started"))),
            Ok(_) => Ok(Outcome::Applied(format!("started {what}"))),
            // Another worker was faster, or what was there is being deleted.
            Err(error) if *error.class() == Class::Conflict => {
                match self.find(&api, &identity).await? {
                    Some(found) => self.judge(&found, &identity),
                    None => Err(error.into()),
                }
            }
            Err(error) => Err(error.into()),
        }
    }

    fn identity(&self, cx: &Context<'_>) -> Identity {
        let event = cx.occurrence.id.to_string();
        let run = digest(&[&event, cx.playbook, &self.digest]);
        Identity { namespace: self.namespace.clone(), event, playbook: cx.playbook.to_owned(), run }
    }

    /// The worker's rights are for the worker: what it starts has to do with those that were given to it.
    async fn judge_account(&self, api: &Api) -> Result<Option<Refusal>, Failure> {
        let review = api
            .call(async |client| {
                let reviews = kube::Api::<SelfSubjectReview>::all(client);
                reviews.create(&Default::default(), &SelfSubjectReview::default()).await
            })
            .await?;
        let us = review.status.and_then(|status| status.user_info?.username);
        let Some(us) = us else {
            return Err(Failure::transient("the API server doesn't say who the worker is"));
        };
        let theirs = format!("system:serviceaccount:{}:{}", self.namespace, self.service_account);
        Ok((us == theirs).then(|| {
            Refusal::new(
                Guardrail::OwnAccount,
                format!("{theirs} is the worker's own: set serviceAccount to another"),
            )
        }))
    }

    async fn find(
        &self,
        api: &Api,
        identity: &Identity,
    ) -> Result<Option<DynamicObject>, ApiError> {
        let (resource, name) = (self.template.kind.resource(), identity.name());
        api.call(async |client| {
            let objects =
                kube::Api::<DynamicObject>::namespaced_with(client, &self.namespace, &resource);
            objects.get_opt(&name).await
        })
        .await
    }

    async fn create(
        &self,
        api: &Api,
        object: &serde_json::Value,
        dry_run: bool,
    ) -> Result<DynamicObject, ApiError> {
        api.call(async |client| {
            let request = object::create(&self.template.kind, &self.namespace, object, dry_run)?;
            client.request(request).await
        })
        .await
    }

    /// What is there is ours only if it says so of itself.
    fn judge(&self, found: &DynamicObject, identity: &Identity) -> Result<Outcome, Failure> {
        let what = self.what(identity);
        let annotations = found.metadata.annotations.as_ref();
        if annotations.and_then(|all| all.get(RUN)) != Some(&identity.run) {
            let why = format!("{what} is there and was not started for this event: delete it");
            return Err(Failure::permanent(why));
        }
        if !self.wait {
            return Ok(Outcome::AlreadyDone(format!("{what} was started before")));
        }
        match progress(&self.template.kind, &found.data) {
            Progress::Runs => Ok(Outcome::Pending(format!("{what} runs"))),
            Progress::Succeeded => Ok(Outcome::Applied(format!("{what} has succeeded"))),
            Progress::Failed(why) => Err(Failure::permanent(format!("{what} has failed: {why}"))),
        }
    }

    fn what(&self, identity: &Identity) -> String {
        format!("{} {}/{}", self.template.kind.as_str(), self.namespace, identity.name())
    }
}

#[async_trait]
impl Action for Run {
    fn name(&self) -> &'static str {
        "run"
    }

    fn describe(&self) -> String {
        format!(
            "start a {} in {} as {}",
            self.template.kind.as_str(),
            self.namespace,
            self.service_account
        )
    }

    /// Only where a parameter is something of it.
    fn needs_target(&self) -> bool {
        self.parameters.iter().any(Parameter::is_of_target)
    }

    /// What runs may change anything: the kill switch, the budget and the breaker hold it too.
    fn changes_cluster(&self) -> bool {
        true
    }

    fn supports_dry_run(&self) -> bool {
        true
    }

    fn permissions(&self) -> Vec<Permission> {
        let Kind { group, plural, .. } = self.template.kind;
        let here = |verb| Permission::new(group, plural, verb).within(&self.namespace);
        // Who the worker is everybody may ask of oneself, see `judge_account`.
        vec![here("create"), here("get")]
    }

    async fn apply(&self, cx: &Context<'_>, subject: Subject<'_>) -> Outcome {
        self.run(cx, subject).await.unwrap_or_else(Outcome::from)
    }
}
