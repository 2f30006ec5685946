//! How many captures a node bears at a time: those that run there are counted before another is begun.

use k8s_openapi::api::batch::v1::Job;
use kube::{ResourceExt as _, api::ListParams};

use super::state::{self, State};
use crate::{
    act::{
        actions::capture::settings::Jobs,
        api::{Api, ApiError},
        digest::digest,
    },
    decide::is_subdomain,
};

/// How many run on one node at a time.
///
/// Each may use up to 2 GiB, and the scheduler is not asked: an attack on many pods of a node must not have the kubelet evict
/// the innocent ones. Two, so that a short capture doesn't wait for a recording of minutes.
pub(super) const MOST: usize = 2;

/// On the job: the node that it is pinned to.
pub(super) const NODE: &str = "stoop.dev/capture-node";

/// The longest value of a label, and how much of a hash stands for a node whose name is longer.
const LONGEST: usize = 63;
const HASH: usize = 32;

/// How many jobs one page of a list holds: those that have ended are there for days.
const PAGE: u32 = 100;

/// The node's name as a label's value: itself, or its hash where it is too long for one.
pub(super) fn label(node: &str) -> String {
    match node.len() <= LONGEST && is_subdomain(node) {
        true => node.to_owned(),
        false => digest(&[node]).chars().take(HASH).collect(),
    }
}

/// Whether as many captures run on the node as may, the one of this name aside.
///
/// Workers that look in the same moment don't see each other's: there can be a few more, one for each worker at the most
/// that began one while the others looked. What bounds those is what a job asks for, which the kubelet counts.
pub(super) async fn is_full(
    api: &Api,
    jobs: &Jobs,
    node: &str,
    but: &str,
) -> Result<bool, ApiError> {
    let labels = format!("{NODE}={}", label(node));
    let mut params = ListParams::default().labels(&labels).limit(PAGE);
    let mut running = 0;
    loop {
        let asked = &params;
        let page = api
            .call(|client| async move {
                kube::Api::<Job>::namespaced(client, &jobs.namespace).list(asked).await
            })
            .await?;
        let now = jiff::Timestamp::now();
        let is_running =
            |job: &&Job| job.name_any() != but && state::judge(job, now) == State::Running;
        running += page.items.iter().filter(is_running).count();
        params.continue_token = page.metadata.continue_.filter(|token| !token.is_empty());
        if running >= MOST || params.continue_token.is_none() {
            return Ok(running >= MOST);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_node_has_a_label_of_its_own() {
        let long = format!("{}.{}", "a".repeat(60), "b".repeat(60));
        assert_eq!(label("ip-10-0-0-7.eu-west-1.internal"), "ip-10-0-0-7.eu-west-1.internal");
        assert_eq!(label(&long).len(), HASH);
        assert_ne!(label(&long), label(&format!("{long}b")));
        // It becomes part of a selector.
        for odd in ["", "a,b=c", "a in (b)", "A"] {
            assert!(label(odd).chars().all(|c| c.is_ascii_hexdigit()), "{odd}");
        }
    }
}
