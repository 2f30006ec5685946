//! Reading and listing: by field, by label, in pages.

use std::collections::BTreeSet;

use k8s_openapi::api::core::v1::{Event, Pod};
use kube::api::{Api, ListParams};
use serde_json::json;

use crate::bench::{Bench, assert_refusal, name, refusal};

pub(crate) async fn pods_are_found_by_node(bench: Bench) {
    let bound = bench.bound("web").await;
    bench.unscheduled("api").await;
    let node = bound.spec.and_then(|spec| spec.node_name).expect("a node");
    let everywhere: Api<Pod> = Api::all(bench.client.clone());
    assert_eq!(found(&everywhere, by_field(&format!("spec.nodeName={node}"))).await, ["web"]);
}

pub(crate) async fn pods_are_found_by_name_in_every_namespace(bench: Bench) {
    let unique = format!("web-of-{}", bench.namespace);
    bench.unscheduled(&unique).await;
    bench.unscheduled("web").await;
    let everywhere: Api<Pod> = Api::all(bench.client.clone());
    assert_eq!(found(&everywhere, by_field(&format!("metadata.name={unique}"))).await, [unique]);
}

pub(crate) async fn pods_are_found_by_labels(bench: Bench) {
    for app in ["api", "db", "web"] {
        bench.unscheduled(app).await;
    }
    let table: [(&str, &[&str]); 6] = [
        ("app=web", &["web"]),
        ("app!=web", &["api", "db"]),
        ("app in (api, web)", &["api", "web"]),
        ("app notin (api)", &["db", "web"]),
        ("app,app!=db", &["api", "web"]),
        ("!app", &[]),
    ];
    for (selector, expected) in table {
        let chosen = found(&bench.pods(), ListParams::default().labels(selector)).await;
        assert_eq!(chosen, expected, "{selector}");
    }
}

pub(crate) async fn a_list_comes_in_pages(bench: Bench) {
    let names: Vec<String> = (0..5).map(|number| format!("web-{number}")).collect();
    for name in &names {
        bench.unscheduled(name).await;
    }
    let (mut seen, mut pages) = (Vec::new(), 0);
    let mut wanted = ListParams::default().limit(2);
    loop {
        let page = bench.pods().list(&wanted).await.expect("a page");
        seen.extend(page.items.iter().map(name));
        pages += 1;
        match page.metadata.continue_.filter(|token| !token.is_empty()) {
            Some(token) => wanted = wanted.continue_token(&token),
            None => break,
        }
    }
    assert_eq!((seen, pages), (names, 3));
}

pub(crate) async fn an_unknown_field_is_a_bad_request(bench: Bench) {
    let refused = refusal(bench.pods().list(&by_field("spec.color=red")).await);
    assert_eq!((refused.code, refused.reason.as_str()), (400, "BadRequest"));
}

pub(crate) async fn the_metadata_alone_can_be_read(bench: Bench) {
    bench.unscheduled("web").await;
    let pod = bench.pods().get_metadata("web").await.expect("the metadata");
    assert_eq!(pod.types.map(|types| types.kind).as_deref(), Some("PartialObjectMetadata"));
    assert_eq!(pod.metadata.labels.expect("labels").get("app").map(String::as_str), Some("web"));
    let refused = refusal(bench.pods().get_metadata("gone").await);
    assert_refusal(&refused, 404, "NotFound", "pods", "gone");
}

pub(crate) async fn events_are_found_by_what_they_are_about(bench: Bench) {
    for (name, about) in [("web.1", "web"), ("api.1", "api")] {
        let _: Event = bench
            .create(json!({
                "metadata": {"name": name, "namespace": bench.namespace},
                "involvedObject": {
                    "kind": "Pod", "name": about, "namespace": bench.namespace, "uid": format!("uid-of-{about}"),
                },
                "reason": "Pulled", "message": "an image", "type": "Normal",
            }))
            .await;
    }
    for selector in
        ["involvedObject.uid=uid-of-web", "involvedObject.kind=Pod,involvedObject.name=web"]
    {
        let events = bench.api::<Event>().list(&by_field(selector)).await.expect("a list");
        assert_eq!(events.items.iter().map(name).collect::<Vec<_>>(), ["web.1"], "{selector}");
    }
}

fn by_field(selector: &str) -> ListParams {
    ListParams::default().fields(selector)
}

async fn found(pods: &Api<Pod>, wanted: ListParams) -> Vec<String> {
    let list = pods.list(&wanted).await.expect("a list");
    let names: BTreeSet<String> = list.items.iter().map(name).collect();
    names.into_iter().collect()
}
