//! Who is exempted: nothing of it is changed, and nothing about it is forgotten.

use playbooks::act::Exemptions;
use serde_json::{Value, json};

use crate::{
    fixtures::{POD, Setup, ago, event, pod_with, words},
    wire::{Answer, Request, Wire, error, not_found},
};

const DELETE: &str = "mode: enforce\nactions: [delete, notify: {to: [log]}]";
const NAMESPACE: &str = "/api/v1/namespaces/shop";

/// The pod with these annotations, in a namespace with those.
fn server(of_pod: Value, of_namespace: Value) -> impl FnMut(&Request) -> Answer + Send + 'static {
    let pod = pod_with(|pod| pod["metadata"]["annotations"] = of_pod.clone());
    let namespace = json!({"metadata": {"name": "shop", "annotations": of_namespace}});
    move |request| match request.path.as_str() {
        POD => Answer::Json(200, pod.clone()),
        NAMESPACE => Answer::Json(200, namespace.clone()),
        _ => not_found(),
    }
}

async fn run(
    exemptions: Exemptions,
    server: impl FnMut(&Request) -> Answer + Send + 'static,
) -> (Vec<String>, bool, Wire) {
    let (api, wire) = Wire::new(server);
    let mut setup = Setup::new(api);
    setup.guardrails.exemptions = exemptions;
    let report = setup.build().run(DELETE, &event()).await;
    (words(&report), report.wants_redrive(), wire)
}

fn until(seconds_ago: i64) -> Value {
    json!({"stoop.dev/ignore-until": ago(seconds_ago).to_string()})
}

#[tokio::test]
async fn an_exempted_namespace_is_left_alone_and_that_is_told() {
    let table = [
        (json!({"stoop.dev/ignore": "true"}), "refused (exempt)", false),
        (until(-60), "refused (exempt)", false),
        (json!({"stoop.dev/ignore-until": "soon"}), "refused (exemption-unreadable)", true),
        (until(60), "applied", false),
        (json!({"stoop.dev/ignore": "false"}), "applied", false),
        (json!(null), "applied", false),
    ];
    for (annotations, expected, redriven) in table {
        for exemptions in [Exemptions::Namespaces, Exemptions::NamespacesAndPods] {
            let (words, wants_redrive, wire) =
                run(exemptions, server(json!(null), annotations.clone())).await;
            assert_eq!(words, [format!("delete {expected}"), "notify applied".into()]);
            assert_eq!(wants_redrive, redriven, "{annotations}");
            assert_eq!(wire.writes().is_empty(), expected != "applied", "{annotations}");
        }
    }
}

#[tokio::test]
async fn a_pod_exempts_itself_only_where_the_operator_allows_it() {
    for annotations in [json!({"stoop.dev/ignore": "true"}), until(-60)] {
        let (words, _, wire) =
            run(Exemptions::Namespaces, server(annotations.clone(), json!({}))).await;
        assert_eq!((words[0].as_str(), wire.writes().len()), ("delete applied", 1));
        let (words, _, wire) =
            run(Exemptions::NamespacesAndPods, server(annotations, json!({}))).await;
        assert_eq!((words[0].as_str(), wire.writes().len()), ("delete refused (exempt)", 0));
    }
}

#[tokio::test]
async fn without_the_namespaces_word_nothing_is_changed() {
    let mut answer = server(json!(null), json!(null));
    let (api, wire) = Wire::new(move |request| match request.path.as_str() {
        NAMESPACE => error(503, "ServiceUnavailable", "away"),
        _ => answer(request),
    });
    let mut setup = Setup::new(api);
    setup.guardrails.exemptions = Exemptions::Namespaces;
    assert!(setup.build().try_begin(DELETE, &event()).await.is_none());
    assert!(wire.writes().is_empty());

    // Verified by somebody who did not ask for it.
    let (api, wire) = Wire::new(server(json!(null), json!(null)));
    let mut setup = Setup::new(api.clone());
    setup.guardrails.exemptions = Exemptions::Namespaces;
    let guarded = setup.build();
    let mut response = Setup::new(api).build().begin(DELETE, &event()).await;
    let playbooks::act::Advance::Finished(report) = guarded.advance(&mut response).await else {
        panic!("not finished")
    };
    assert_eq!(words(&report)[0], "delete refused (exemption-unreadable)");
    assert!(wire.writes().is_empty());
}
