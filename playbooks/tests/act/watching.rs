//! Following playbooks that are objects, on an API server that doesn't let it.

use std::{sync::Arc, time::Duration};

use http::Method;
use playbooks::act::{Api, PlaybookKind, Seen, watch_playbooks};
use serde_json::{Value, json};
use tokio::sync::{Notify, mpsc};

use crate::wire::{Answer, Wire, error, list, not_found, status};

const ALL: &str = "/apis/stoop.dev/v1alpha1/playbooks";

/// An API server that has these objects, and answers every watch so.
fn server(objects: Vec<Value>, watch: impl Fn() -> Answer + Send + 'static) -> (Api, Wire) {
    Wire::new(move |request| match request.path.as_str() {
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
        ALL if request.query.contains("watch=") => watch(),
        ALL => list(&objects),
        _ => not_found(),
    })
}

fn expired() -> Answer {
    Answer::Json(200, json!({"type": "ERROR", "object": status(410, "Expired", "too old")}))
}

/// How often all objects are listed within ten minutes, where they may be and every watch is answered so.
async fn lists(watch: impl Fn() -> Answer + Send + 'static) -> usize {
    let (api, wire) = server(Vec::new(), watch);
    let (tell, mut seen) = mpsc::channel(8);
    let watching =
        tokio::spawn(watch_playbooks(api, PlaybookKind::Playbook, tell, Default::default()));
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
    let is_list =
        |it: &&crate::wire::Request| it.is(&Method::GET, ALL) && !it.query.contains("watch=");
    requests.iter().filter(is_list).count()
}

#[tokio::test(start_paused = true)]
async fn who_may_list_and_not_watch_lists_ever_more_seldom() {
    let lists = lists(|| error(403, "Forbidden", "may not watch")).await;
    assert!((10..30).contains(&lists), "{lists}");
}

#[tokio::test(start_paused = true)]
async fn a_watch_that_always_falls_behind_starts_over_ever_more_seldom() {
    let lists = lists(expired).await;
    assert!((10..30).contains(&lists), "{lists}");
}

/// How many looks at all of them somebody hears of within ten minutes who asks for one so often, while the watch says nothing.
async fn looks(each: Duration) -> usize {
    let (api, _wire) = server(Vec::new(), || Answer::Never);
    let (tell, mut seen) = mpsc::channel(8);
    let again = Arc::new(Notify::new());
    let watching = tokio::spawn(watch_playbooks(api, PlaybookKind::Playbook, tell, again.clone()));
    let asking = async {
        loop {
            again.notify_one();
            tokio::time::sleep(each).await;
        }
    };
    let mut looks = 0;
    let look = async {
        while let Some(seen) = seen.recv().await {
            looks += usize::from(matches!(seen, Seen::All(..)));
        }
    };
    let both = async { tokio::join!(look, asking) };
    assert!(tokio::time::timeout(Duration::from_secs(600), both).await.is_err(), "it goes on");
    watching.abort();
    looks
}

#[tokio::test(start_paused = true)]
async fn who_asks_for_another_look_gets_one_and_it_is_not_cut_short_by_whoever_asks_all_the_time() {
    let once = looks(Duration::from_secs(1000)).await;
    let always = looks(Duration::from_secs(1)).await;
    // The server hears nothing of a watch that is left, so that it is asked for anew now and then.
    assert!(always > once + 20, "{always}, and {once} without being asked");
    assert!(always < 70, "{always}");
}

#[tokio::test]
async fn one_that_is_nested_too_deep_hides_no_other() {
    let object = |name: &str, rules: Value| {
        json!({
            "apiVersion": "stoop.dev/v1alpha1", "kind": "Playbook",
            "metadata": {"name": name, "namespace": "shop", "uid": name, "generation": 1, "resourceVersion": "1"},
            "spec": {"match": {"rules": rules}, "actions": [{"delete": {}}]},
        })
    };
    let deep = (0..500).fold(json!("R"), |inner, _| json!([inner]));
    let objects = vec![object("deep", deep), object("good", json!(["R"]))];
    let (api, _wire) = server(objects, expired);
    let (tell, mut seen) = mpsc::channel(8);
    let kind = PlaybookKind::Playbook;
    let watching = tokio::spawn(watch_playbooks(api, kind, tell, Default::default()));
    let first = tokio::time::timeout(Duration::from_secs(60), seen.recv()).await.expect("in time");
    watching.abort();
    let Some(Seen::All(_, objects)) = first else { panic!("{first:?}") };
    assert_eq!(objects.len(), 2);
    let why = objects[0].read().expect_err("refused").to_string();
    assert!(why.starts_with("Playbook shop/deep: ") && why.contains("recursion limit"), "{why}");
    assert!(objects[1].read().is_ok());
}
