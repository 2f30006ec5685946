//! Following playbooks that are objects, on an API server that doesn't let it.

use std::time::Duration;

use http::Method;
use playbooks::act::{PlaybookKind, Seen, watch_playbooks};
use serde_json::json;
use tokio::sync::mpsc;

use crate::wire::{Answer, Wire, error, list, not_found, status};

/// How often all objects are listed within ten minutes, where they may be and every watch is answered so.
async fn lists(watch: impl Fn() -> Answer + Send + 'static) -> usize {
    let (api, wire) = Wire::new(move |request| match request.path.as_str() {
        "/apis" => {
            let version = json!({"groupVersion": "stoop.dev/v1alpha1", "version": "v1alpha1"});
            let group = json!({"name": "stoop.dev", "versions": [version]});
            Answer::Json(200, json!({"kind": "APIGroupList", "groups": [group]}))
        }
        "/apis/stoop.dev/v1alpha1" => {
            let kind = json!({"name": "playbooks", "singularName": "playbook", "namespaced": true, "kind": "Playbook", "verbs": ["list"]});
            Answer::Json(
                200,
                json!({"kind": "APIResourceList", "groupVersion": "stoop.dev/v1alpha1", "resources": [kind]}),
            )
        }
        "/apis/stoop.dev/v1alpha1/playbooks" if request.query.contains("watch=") => watch(),
        "/apis/stoop.dev/v1alpha1/playbooks" => list(&[]),
        _ => not_found(),
    });
    let (tell, mut seen) = mpsc::channel(8);
    let watching = tokio::spawn(watch_playbooks(api, PlaybookKind::Playbook, tell));
    let mut saw_all = false;
    let look = async {
        while let Some(seen) = seen.recv().await {
            saw_all |= matches!(seen, Seen::All(..));
        }
    };
    assert!(tokio::time::timeout(Duration::from_secs(600), look).await.is_err(), "it goes on");
    watching.abort();
    assert!(saw_all);
    let requests = wire.requests();
    let all = "/apis/stoop.dev/v1alpha1/playbooks";
    let is_list =
        |it: &&crate::wire::Request| it.is(&Method::GET, all) && !it.query.contains("watch=");
    requests.iter().filter(is_list).count()
}

#[tokio::test(start_paused = true)]
async fn who_may_list_and_not_watch_lists_ever_more_seldom() {
    let lists = lists(|| error(403, "Forbidden", "may not watch")).await;
    assert!((10..30).contains(&lists), "{lists}");
}

#[tokio::test(start_paused = true)]
async fn a_watch_that_always_falls_behind_starts_over_ever_more_seldom() {
    let expired = || {
        let event = json!({"type": "ERROR", "object": status(410, "Expired", "too old")});
        Answer::Json(200, event)
    };
    let lists = lists(expired).await;
    assert!((10..30).contains(&lists), "{lists}");
}
