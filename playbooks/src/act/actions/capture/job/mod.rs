//! `files`, `syscalls` and `packets`: a job on the pod's node captures and uploads, the worker waits, checks and seals.
//!
//! The job's name is a hash, so that every delivery of the event finds the same one; whose pod it is about stands on it, and
//! everything that is needed to go on where another worker stopped. The job has no credentials: it gets a link for one
//! object. The worker believes nothing that it says, and hashes what was stored.

mod report;
mod request;
mod spec;
mod state;
mod target;
mod turn;

use std::time::Duration;

use jiff::Timestamp;
use k8s_openapi::api::{batch::v1::Job, core::v1::Pod};
use kube::{
    ResourceExt as _,
    api::{ListParams, PostParams},
};

use self::{
    report::Report,
    request::Request,
    spec::Order,
    state::State,
    target::{Aim, Missed},
};
use super::{Captures, about_pod, config::JobKind, name::Name, note, settings::Jobs};
use crate::act::{
    action::Context,
    api::{Api, ApiError, Class, Permission, Place},
    evidence::{About, Artefact, Draft, Kept, Manifest, Measured, Missing, Sealed},
    outcome::{Failure, Outcome, SkipReason},
    target::{Gone, Verified},
    text::clean,
};

/// For starting the job, pulling its image included, and for uploading, beside the recording itself.
const AROUND: u64 = 180;

pub(super) fn permissions(captures: &Captures) -> Vec<Permission> {
    let Ok(Jobs { namespace, .. }) = captures.check_jobs() else { return Vec::new() };
    let there = |group, resource, verb| Permission {
        namespace: Some(namespace.clone()),
        ..Permission::new(group, resource, verb)
    };
    let jobs = ["create", "get", "list"].map(|verb| there("batch", "jobs", verb));
    jobs.into_iter().chain([there("", "pods", "list")]).collect()
}

/// Of a live pod: goes on with the job there is, or begins one.
pub(super) async fn of_pod(
    cx: &Context<'_>,
    captures: &Captures,
    kind: &JobKind,
    target: &Verified,
) -> Result<Outcome, Failure> {
    let run = Run::new(cx, captures, kind)?;
    if let Some(done) = run.sealed().await? {
        return Ok(done);
    }
    if let Some(job) = run.job().await? {
        return run.go_on(&job, Some(target.uid().as_str())).await;
    }
    let aim = match Aim::at(kind, target, cx.occurrence()) {
        Ok(aim) => aim,
        Err(Missed::Refused(refusal)) => return Ok(refusal.into()),
        Err(Missed::Gone(why)) => return Ok(Outcome::Skipped(SkipReason::Gone, why)),
    };
    if let Some(held) = run.hold(&aim, target).await? {
        return Ok(held);
    }
    run.begin(&aim, about_pod(cx, target)).await
}

/// Of a pod that is gone: goes on with the job that was begun while it was there.
pub(super) async fn of_gone(
    cx: &Context<'_>,
    captures: &Captures,
    kind: &JobKind,
    gone: &Gone,
) -> Result<Outcome, Failure> {
    let run = Run::new(cx, captures, kind)?;
    if let Some(done) = run.sealed().await? {
        return Ok(done);
    }
    match run.job().await? {
        Some(job) => run.go_on(&job, super::claimed_uid(cx).as_deref()).await,
        None => Ok(Outcome::Skipped(SkipReason::Gone, gone.why.clone())),
    }
}

/// What a capture that went wrong has left in the store, by its key.
enum Stored<'a> {
    Nothing,
    /// Nobody has looked: it may have ended before, behind, or in the middle of its upload.
    Perhaps(&'a str),
    Unsealed(&'a str),
}

/// One capture by a job, as far as the event determines it.
struct Run<'a> {
    cx: &'a Context<'a>,
    captures: &'a Captures,
    jobs: &'a Jobs,
    kind: &'a JobKind,
    name: Name,
    api: Api,
}

impl<'a> Run<'a> {
    fn new(
        cx: &'a Context<'a>,
        captures: &'a Captures,
        kind: &'a JobKind,
    ) -> Result<Run<'a>, Failure> {
        let jobs = captures.check_jobs().map_err(|error| Failure::permanent(error.message))?;
        let words = request::words(kind, cx.occurrence());
        let name = Name::new(cx.occurrence().id, &words);
        Ok(Run { cx, captures, jobs, kind, name, api: cx.api()? })
    }

    async fn sealed(&self) -> Result<Option<Outcome>, Failure> {
        let folder = self.name.folder(self.cx.occurrence().time);
        let sealed = self.captures.evidence.sealed(&folder, self.cx.limit.calls).await?;
        let place = self.captures.evidence.name(&folder);
        Ok(sealed.map(|kept| {
            note(self.cx, &kept);
            Outcome::AlreadyDone(format!("it is kept at {place} already{}", kept.but()))
        }))
    }

    async fn job(&self) -> Result<Option<Job>, ApiError> {
        let namespace = Some(self.jobs.namespace.as_str());
        self.api.live::<Job>(Place { namespace, name: self.name.as_str() }).await
    }

    /// Why it is not to begin now: its node has as many captures as it bears, or the pod has gone meanwhile.
    async fn hold(&self, aim: &Aim, target: &Verified) -> Result<Option<Outcome>, Failure> {
        // A dry run makes no job that could be one too many.
        if self.cx.dry_run() {
            return Ok(None);
        }
        let node = &aim.node;
        if turn::is_full(&self.api, self.jobs, node, self.name.as_str()).await? {
            let most = turn::MOST;
            return Ok(Some(Outcome::Pending(format!(
                "{most} captures run on node {node}: waiting for one of them to end"
            ))));
        }
        // It may have waited for minutes: by now its addresses can be another pod's.
        let live = self.api.pod(target.namespace(), target.name()).await?;
        let uid = live.and_then(|live| live.metadata.uid);
        let is_gone = uid.as_deref() != Some(target.uid().as_str());
        Ok(is_gone
            .then(|| Outcome::Skipped(SkipReason::Gone, format!("{} is gone", target.object()))))
    }

    async fn begin(&self, aim: &Aim, about: About) -> Result<Outcome, Failure> {
        let folder = self.name.folder(self.cx.occurrence().time);
        let lasts = self.kind.seconds() + AROUND;
        // Until the job would be ended anyway.
        let valid = Duration::from_secs(lasts);
        let until = Timestamp::now() + valid;
        let (draft, most) = (Draft::begin(&folder)?, self.kind.most());
        let file = request::file(self.kind);
        let slot = self.captures.evidence.slot(&draft, file, most, valid).await?;
        let order = Order {
            name: self.name.as_str(),
            jobs: self.jobs,
            kind: self.kind,
            node: &aim.node,
            about: &about,
            key: &slot.key,
            request: &Request::new(self.kind, aim, &slot, until),
            lasts,
        };
        let job = spec::job(&order)?;
        let params = PostParams { dry_run: self.cx.dry_run(), ..PostParams::default() };
        let created = self
            .api
            .call(|client| async move {
                let jobs = kube::Api::<Job>::namespaced(client, &self.jobs.namespace);
                jobs.create(&params, &job).await
            })
            .await;
        let (name, namespace) = (self.name.as_str(), &self.jobs.namespace);
        match created {
            Ok(_) if self.cx.dry_run() => Ok(Outcome::Skipped(
                SkipReason::DryRun,
                format!("the API server accepted the dry run: job {namespace}/{name} is created"),
            )),
            Ok(_) => Ok(Outcome::Pending(format!("job {namespace}/{name} captures"))),
            // Another worker was faster, or the answer to an earlier call was lost.
            Err(error) if *error.class() == Class::Conflict => match self.job().await? {
                Some(job) => self.go_on(&job, about.uid.as_deref()).await,
                None => Err(error.into()),
            },
            Err(error) => Err(error.into()),
        }
    }

    /// `uid` is whose pod the job has to be about, as far as that is known.
    async fn go_on(&self, job: &Job, uid: Option<&str>) -> Result<Outcome, Failure> {
        let (name, namespace) = (self.name.as_str(), &self.jobs.namespace);
        let notes = spec::notes(job);
        let Some((about, key)) =
            notes.filter(|(about, _)| uid.is_none_or(|uid| about.uid.as_deref() == Some(uid)))
        else {
            return Err(Failure::permanent(format!(
                "there is a job {namespace}/{name} that is not about this pod: delete it, and find out who made it"
            )));
        };
        match state::judge(job, Timestamp::now()) {
            State::Running => Ok(Outcome::Pending(format!("job {namespace}/{name} captures"))),
            State::Overdue => Err(self.failed("it was not over in time", Stored::Perhaps(&key))),
            State::Failed(why) => {
                let said = self.report(job).await?.and_then(Report::error);
                Err(self.failed(&said.unwrap_or(why), Stored::Perhaps(&key)))
            }
            State::Done => self.finish(job, about, &key).await,
        }
    }

    /// Compares what the job says with what is stored, and seals it.
    async fn finish(&self, job: &Job, about: About, key: &str) -> Result<Outcome, Failure> {
        let Some(report) = self.report(job).await? else {
            let why = "it has left no word of what it captured";
            return Err(self.failed(why, Stored::Perhaps(key)));
        };
        let Report::Captured { size, sha256, cut, mut missing, more } = report else {
            return Err(self.failed("it contradicts itself", Stored::Perhaps(key)));
        };
        if more > 0 {
            let (what, why) = (format!("{more} more"), "the archive's index.json names them");
            missing.push(Missing { what, why: why.to_owned() });
        }
        let (evidence, until) = (&self.captures.evidence, self.cx.limit.calls);
        let folder = self.name.folder(self.cx.occurrence().time);
        match evidence.measure(&folder, key, self.kind.most(), until).await? {
            Measured::Gone => {
                let why = "it says that it is done, and nothing was stored";
                return Err(self.failed(why, Stored::Nothing));
            }
            Measured::Larger(_) => {
                let why = "more was stored than was asked for";
                return Err(self.failed(why, Stored::Unsealed(key)));
            }
            Measured::Read { size: found, sha256: hash } if (found, &hash) != (size, &sha256) => {
                let why = "what is stored is not what it says it has captured";
                return Err(self.failed(why, Stored::Unsealed(key)));
            }
            Measured::Read { .. } => {}
        }
        let manifest = Manifest {
            version: 1,
            capture: self.name.as_str().to_owned(),
            kind: self.kind.as_str().to_owned(),
            about,
            started: job.creation_timestamp().map_or(Timestamp::UNIX_EPOCH, |time| time.0),
            ended: Timestamp::now(),
            artefacts: vec![Artefact { key: key.to_owned(), size, sha256, cut }],
            missing,
            forbidden: Vec::new(),
        };
        let sealed = evidence.seal(&folder, 0, &manifest, until).await?;
        let (place, kind) = (evidence.name(&folder), self.kind.as_str());
        let (is_new, kept) = match sealed {
            Sealed::New(ours) => (true, Kept::new(ours)),
            Sealed::Before(theirs) => (false, Kept::new(theirs)),
        };
        note(self.cx, &kept);
        let but = kept.but();
        Ok(match is_new {
            true => Outcome::Applied(format!("{kind} of the pod are kept at {place}{but}")),
            false => Outcome::AlreadyDone(format!("another worker has kept it at {place}{but}")),
        })
    }

    /// What the job's pod has said at its end; the kubelet keeps it in the pod's status.
    async fn report(&self, job: &Job) -> Result<Option<Report>, ApiError> {
        let labels = format!("batch.kubernetes.io/job-name={}", self.name.as_str());
        let params = ListParams::default().labels(&labels).limit(10);
        let pods = self
            .api
            .call(|client| async move {
                kube::Api::<Pod>::namespaced(client, &self.jobs.namespace).list(&params).await
            })
            .await?;
        let is_its = |pod: &&Pod| {
            pod.owner_references().iter().any(|owner| Some(&owner.uid) == job.metadata.uid.as_ref())
        };
        Ok(pods.items.iter().filter(is_its).find_map(Report::of))
    }

    /// A capture that went wrong. It says nothing against changing the cluster, so that the breaker does not count it.
    fn failed(&self, why: &str, stored: Stored<'_>) -> Failure {
        let (name, namespace) = (self.name.as_str(), &self.jobs.namespace);
        let (job, why) = (format!("job {namespace}/{name}"), clean(why, 300));
        let place = |key: &str| {
            let folder = self.name.folder(self.cx.occurrence().time);
            format!("{}/{key}", self.captures.evidence.name(&folder))
        };
        let said = match stored {
            Stored::Nothing => format!("{job} has captured nothing: {why}"),
            Stored::Perhaps(key) => format!(
                "{job} has captured nothing that counts: {why}; if it has stored {}, that is not sealed",
                place(key)
            ),
            Stored::Unsealed(key) => format!(
                "{job} has captured nothing that counts: {why}; {} is not sealed",
                place(key)
            ),
        };
        Failure::permanent(said).held_up()
    }
}
