//! Several `stoop run` processes on one group.

use std::time::Duration;

use futures::future::join_all;
use serde_json::{Value, json};

use crate::process::{Process, usage::processors};

/// Its processes end when it is dropped.
pub struct Fleet(Vec<Process>);

/// What it took the fleet to be done.
pub struct Took {
    /// Processor time of all workers together, their start included.
    pub processors: Duration,
    /// Events done, those that were done twice counted twice.
    pub answered: usize,
}

impl Fleet {
    /// So many workers of one subscription, each ready.
    pub async fn start(
        size: usize,
        subscription: &Value,
        playbooks: &str,
        kubeconfig: Option<&str>,
    ) -> Self {
        let start = |_| Process::start(subscription, playbooks, kubeconfig, json!({}));
        let mut workers: Vec<_> = (0..size).map(start).collect();
        join_all(workers.iter_mut().map(Process::ready)).await;
        Self(workers)
    }

    pub fn size(&self) -> usize {
        self.0.len()
    }

    /// Waits until so many events are done.
    pub async fn done(&mut self, events: usize) -> Took {
        loop {
            let answered = join_all(self.0.iter_mut().map(Process::done)).await.iter().sum();
            if answered >= events {
                let processors = self.0.iter().map(|worker| processors(worker.id())).sum();
                return Took { processors, answered };
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    }
}
