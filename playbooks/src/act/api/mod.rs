//! The Kubernetes API as `act` uses it: every call has a deadline and is never retried here, every error is
//! classified, and a write names the uid it is meant for.
//!
//! What may not live here: decisions about targets or guardrails, caches, and anything that reads a Secret.

mod custom;
mod error;
mod live;
mod networks;
mod nodes;
mod operations;
mod permission;
mod pods;
mod relabel;
mod rivals;

use std::{sync::Arc, time::Duration};

use tokio::{
    sync::{Semaphore, SemaphorePermit},
    time::Instant,
};

pub(super) use custom::Kind;
pub use error::{ApiError, Class, ConnectError};
pub(super) use live::{Edit, Part, Place, Verdict};
pub(super) use networks::{FIELD_MANAGER, spec_managers};
pub(super) use operations::Operations;
pub use permission::Permission;
pub(super) use pods::{Grace, PodSelector, Write};
pub(super) use relabel::Relabel;
pub(super) use rivals::{Rival, rival_permissions};

use super::outcome::{Dependency, Failure};

/// A connection to one cluster's API server.
///
/// Cheap to clone. Dropping a call's future cancels the request, not what the server already did with it:
/// that is why every write is safe to repeat.
#[derive(Clone)]
pub struct Api {
    client: kube::Client,
    deadline: Duration,
    until: Option<Instant>,
    slots: Option<Arc<Semaphore>>,
}

impl Api {
    /// Connects as kubectl would: `KUBECONFIG`, `~/.kube/config`, else the pod's service account.
    ///
    /// `context` picks a kubeconfig context by name. `deadline` bounds each call, headers and body together.
    pub async fn connect(context: Option<&str>, deadline: Duration) -> Result<Api, ConnectError> {
        let config = match context {
            None => kube::Config::infer().await.map_err(Box::new)?,
            Some(context) => {
                let options = kube::config::KubeConfigOptions {
                    context: Some(context.into()),
                    ..Default::default()
                };
                kube::Config::from_kubeconfig(&options).await?
            }
        };
        Api::from_config(config, deadline)
    }

    /// Connects with a configuration that the caller has made.
    pub fn from_config(mut config: kube::Config, deadline: Duration) -> Result<Api, ConnectError> {
        // kube would retry 429, 503 and 504 fifteen times on every verb, far beyond any deadline of ours,
        // and hide from the worker that the API server is away.
        config.default_retry = false;
        // A second net below `call`: a connection that is stuck is dropped, not handed out again.
        config.read_timeout = Some(deadline);
        config.reset_reader_on_write = true;
        let client = kube::Client::try_from(config).map_err(Box::new)?;
        Ok(Api::from_client(client, deadline))
    }

    /// Wraps a client that the caller has made; its own retries, if any, end at the deadline.
    pub fn from_client(client: kube::Client, deadline: Duration) -> Api {
        Api { client, deadline, until: None, slots: None }
    }

    /// The same connection, with so many calls under way at once at the most, over all of its clones from now on.
    #[must_use]
    pub fn at_most(&self, calls: usize) -> Api {
        let calls = calls.clamp(1, Semaphore::MAX_PERMITS);
        Api { slots: Some(Arc::new(Semaphore::new(calls))), ..self.clone() }
    }

    /// The namespace that the kubeconfig context or the pod's service account names.
    pub fn default_namespace(&self) -> &str {
        self.client.default_namespace()
    }

    /// How many seconds an answer may take that has nothing to say, before the connection is taken for dead: of that much
    /// a watch asks for half.
    pub(super) fn quiet_seconds(&self) -> u32 {
        u32::try_from(self.deadline.as_secs() / 2).unwrap_or(u32::MAX).clamp(1, 290)
    }

    /// The same connection, for calls that must end by then.
    pub(super) fn until(&self, until: Instant) -> Api {
        Api { until: Some(until), ..self.clone() }
    }

    /// The same connection, for a call that leaves half of the time to find out what became of it.
    pub(super) fn for_half(&self) -> Api {
        self.until(Instant::now() + self.spare())
    }

    /// How long something may take so that half of the time is left.
    pub(super) fn spare(&self) -> Duration {
        let now = Instant::now();
        self.deadline(now).saturating_duration_since(now) / 2
    }

    /// When a call that begins now is given up.
    fn deadline(&self, now: Instant) -> Instant {
        let deadline = now + self.deadline;
        self.until.map_or(deadline, |until| until.min(deadline))
    }

    /// Makes one call under the deadline and classifies its error.
    ///
    /// The way for actions from outside; a write must carry the target's uid (see `Verified::uid`).
    pub async fn call<T, F, Fut>(&self, call: F) -> Result<T, ApiError>
    where
        F: FnOnce(kube::Client) -> Fut + Send,
        Fut: Future<Output = kube::Result<T>> + Send,
    {
        let _slot = self.slot().await?;
        let asked = Instant::now();
        let deadline = self.deadline(asked);
        match tokio::time::timeout_at(deadline, call(self.client.clone())).await {
            Ok(result) => result.map_err(ApiError::from),
            Err(_) => Err(no_answer(deadline - asked)),
        }
    }

    /// Waits until a call may go out. The call's own time begins after.
    async fn slot(&self) -> Result<Option<SemaphorePermit<'_>>, ApiError> {
        let Some(slots) = &self.slots else { return Ok(None) };
        let asked = Instant::now();
        let deadline = self.deadline(asked);
        match tokio::time::timeout_at(deadline, slots.acquire()).await {
            // It is never closed.
            Ok(slot) => Ok(slot.ok()),
            // Those before it wait for answers.
            Err(_) => Err(no_answer(deadline - asked)),
        }
    }
}

fn no_answer(within: Duration) -> ApiError {
    let within = humantime::format_duration(within);
    let why = format!("the Kubernetes API gave no answer within {within}");
    ApiError::from(Failure::unavailable(Dependency::KubernetesApi, why))
}
