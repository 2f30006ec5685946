//! What a worker refuses before it starts.

use std::sync::Arc;

use object_store::memory::InMemory;
use playbooks::act::{Captures, Evidence};

use super::{Kept, image};
use crate::fixtures::{Setup, pod, server};

const SNAPSHOT: &str = "actions: [capture: {snapshot: {}}]";
const PACKETS: &str = "actions: [capture: {packets: {}}]";

fn refused(captures: Option<Captures>, spec: &str) -> String {
    let mut setup = Setup::new(server(pod()).0);
    setup.captures = captures;
    setup.build().refuse(spec)
}

#[tokio::test]
async fn what_a_capture_lacks_is_named_with_the_key_that_gives_it() {
    assert!(refused(None, SNAPSHOT).contains("evidence: {url:"));
    let kept = Kept::new("http://stoop:2809");
    let snapshots = Captures::new(kept.evidence.clone());
    assert!(refused(Some(snapshots), PACKETS).contains("captureNamespace"));
    let memory = Evidence::over(Arc::new(InMemory::new()), "memory");
    let no_way = Captures::new(memory).with_jobs("captures", &image(), "stoop").expect("jobs");
    assert!(refused(Some(no_way), PACKETS).contains("evidence.uploads"));
    assert!(refused(Some(kept.captures.clone()), "actions: [capture]").contains("snapshot: {}"));
}

#[tokio::test]
async fn a_snapshot_needs_no_place_for_jobs() {
    let memory = Evidence::over(Arc::new(InMemory::new()), "memory");
    let mut setup = Setup::new(server(pod()).0);
    setup.captures = Some(Captures::new(memory));
    let permissions = setup.build().plan(SNAPSHOT).permissions();
    let writes: Vec<_> = permissions
        .iter()
        .filter(|permission| !matches!(permission.verb.as_str(), "get" | "list"))
        .collect();
    assert!(writes.is_empty(), "{writes:?}");
    for what in ["secrets", "exec", "proxy"] {
        assert!(permissions.iter().all(|permission| !permission.to_string().contains(what)));
    }
}
