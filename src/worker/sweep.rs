//! The sweeper: keeps the expiries of stored responses, ends questions and lets go of what is old. Every worker has one.

use std::{sync::Arc, time::Duration};

use playbooks::act::{Retention, Swept};
use tokio_util::sync::CancellationToken;

use super::Worker;

/// How long it rests between two sweeps, more or less.
const REST: Duration = Duration::from_secs(30);

impl Worker {
    /// Sweeps until stopped. What can't be done now is left to the next sweep, or to another worker's.
    pub async fn sweep(self: Arc<Self>, retention: Retention, stop: CancellationToken) {
        let Some(records) = self.engine.records() else { return };
        loop {
            tokio::select! {
                biased;
                () = stop.cancelled() => return,
                () = tokio::time::sleep(jittered(REST)) => {}
            }
            match records.sweep(retention).await {
                Ok(swept) => tell(&swept),
                // Who only watches may not, and has nothing to sweep; what an earlier playbook did is still to be taken back.
                Err(failure) if !self.rules.now().plans().iter().any(|plan| plan.is_recorded()) => {
                    tracing::debug!(why = %failure, "the stored responses can't be swept");
                }
                Err(failure) => {
                    tracing::warn!(why = %failure, "the stored responses can't be swept now");
                }
            }
        }
    }
}

/// Between a half and one and a half, so that workers don't move in step.
pub(super) fn jittered(rest: Duration) -> Duration {
    rest.mul_f64(0.5 + fastrand::f64())
}

fn tell(swept: &Swept) {
    for (response, what) in &swept.reverted {
        tracing::info!(response, what, "its time is over: taken back");
    }
    for (response, failure) in &swept.failed {
        tracing::warn!(response, why = %failure, "can't be taken back now");
    }
    for response in &swept.abandoned {
        tracing::warn!(
            response,
            "it was approved, and no worker has its playbook: approve it once more when one has"
        );
    }
    for response in &swept.expired {
        tracing::warn!(response, "nobody has approved it in time");
    }
    if swept.pruned > 0 {
        tracing::info!(count = swept.pruned, "old responses were deleted");
    }
}
