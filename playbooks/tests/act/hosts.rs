//! Host events: the node that one names is a target only for an action that says so, and only if it is that node.

use playbooks::act::{Advance, OwnNode};
use serde_json::{Value, json};

use crate::{
    fixtures::{POD, Setup, ago, event, event_at, pod, words},
    nodes::{NODE, cluster, node},
    store::{Store, pinned, without_version},
};

const TAINT: &str = "mode: enforce\nactions: [taint: {hostEvents: true}]";
const ANSWERS: [(&str, &str); 3] = [
    ("taint", TAINT),
    ("cordon", "mode: enforce\nactions: [cordon: {hostEvents: true}]"),
    ("drain", "mode: enforce\nactions: [drain: {hostEvents: true, evictsPods: true}]"),
];

/// What Falco says about a process of the node itself, a minute ago.
fn host_event() -> Value {
    let mut event = event();
    event["output_fields"] = json!({"container.id": "host", "proc.name": "sh"});
    event
}

/// Three nodes and no pods.
fn nodes() -> Store {
    let store = cluster(2);
    store.lock().remove(POD);
    store
}

async fn run(store: &Store, spec: &str, event: &Value) -> Vec<String> {
    words(&Setup::new(store.serve().0).build().run(spec, event).await)
}

#[tokio::test]
async fn the_named_node_is_changed_and_its_uid_is_in_the_write() {
    for (action, spec) in ANSWERS {
        let store = nodes();
        let (api, wire) = store.serve();
        let report = Setup::new(api).build().run(spec, &host_event()).await;
        assert_eq!(words(&report), [format!("{action} applied")]);
        assert_eq!(report.object.map(|object| object.to_string()), Some("node node-1".into()));
        assert_eq!(report.uid.map(|uid| uid.to_string()), Some("4c0e-node-1".into()));
        let [write] = &wire.writes()[..] else { panic!("{:?}", wire.writes()) };
        assert_eq!(write.path, NODE);
        pinned(write, "4c0e-node-1");
        let again = run(&store, spec, &host_event()).await;
        assert_eq!(again, [format!("{action} already-done")]);
    }
}

#[tokio::test]
async fn an_action_that_does_not_say_so_answers_no_host_event() {
    for (action, config) in [
        ("taint", "{}"),
        ("cordon", "{}"),
        ("drain", "{evictsPods: true}"),
        ("delete", "{}"),
        ("isolate", "{}"),
        ("label", "{key: a, value: b}"),
        ("scale", "{}"),
    ] {
        let store = nodes();
        let (api, wire) = store.serve();
        let spec = format!("mode: enforce\nactions: [{action}: {config}]");
        let report = Setup::new(api).build().run(&spec, &host_event()).await;
        assert_eq!(words(&report), [format!("{action} refused (identity)")]);
        assert!(wire.requests().is_empty(), "{:?}", wire.requests());

        // Beside one that does.
        let (api, wire) = store.serve();
        let spec = format!(
            "mode: enforce\nactions: [{{{action}: {config}}}, {{cordon: {{hostEvents: true}}}}]"
        );
        let report = Setup::new(api).build().run(&spec, &host_event()).await;
        assert_eq!(words(&report)[0], format!("{action} refused (identity)"));
        assert!(wire.writes().is_empty(), "what follows a refusal is held: {:?}", wire.writes());
    }
}

#[tokio::test]
async fn only_a_node_that_was_there_before_is_the_one() {
    let created = |seconds: i64| {
        let mut node = node("node-1");
        node["metadata"]["creationTimestamp"] =
            json!(ago(seconds).strftime("%Y-%m-%dT%H:%M:%SZ").to_string());
        node
    };
    let table = [
        (Some(created(3600)), "taint applied"),
        // Younger than the event: its name was another's.
        (Some(created(30)), "taint skipped (gone)"),
        // Falco's own pod, or a node that is gone: which, nobody can tell.
        (None, "taint refused (identity)"),
    ];
    for (node, expected) in table {
        let store = nodes();
        match node {
            Some(node) => store.lock().put(NODE, node),
            None => store.lock().remove(NODE),
        }
        let before = store.get(NODE);
        assert_eq!(run(&store, TAINT, &host_event()).await, [expected]);
        assert_eq!(store.get(NODE) == before, expected != "taint applied");
    }
    let mut nameless = host_event();
    nameless["hostname"] = json!(null);
    assert_eq!(run(&nodes(), TAINT, &nameless).await, ["taint refused (identity)"]);
}

#[tokio::test]
async fn a_node_that_takes_the_name_after_verification_is_untouched() {
    for (action, spec) in ANSWERS {
        let store = nodes();
        let bench = Setup::new(store.serve().0).build();
        let mut response = bench.begin(spec, &host_event()).await;
        let mut successor = node("node-1");
        // As old as the one that it replaces, for all that its times say.
        successor["metadata"]["uid"] = json!("another");
        store.lock().put(NODE, successor.clone());
        let Advance::Finished(report) = bench.advance(&mut response).await else {
            panic!("not finished")
        };
        assert_eq!(words(&report), [format!("{action} skipped (gone)")]);
        assert_eq!(without_version(store.get(NODE)), successor);
    }
}

#[tokio::test]
async fn what_guards_a_node_guards_it_from_host_events_too() {
    let control_plane = |node: &mut Value| {
        node["metadata"]["labels"]["node-role.kubernetes.io/control-plane"] = json!("");
    };
    let store = nodes();
    store.lock().change(NODE, control_plane);
    assert_eq!(run(&store, TAINT, &host_event()).await, ["taint refused (control-plane)"]);
    let mut setup = Setup::new(nodes().serve().0);
    setup.guardrails.own_node = OwnNode::Named("node-1".into());
    let report = setup.build().run(ANSWERS[2].1, &host_event()).await;
    assert_eq!(words(&report), ["drain refused (own-node)"]);
    let mut old = event_at(ago(600));
    old["output_fields"] = host_event()["output_fields"].clone();
    assert_eq!(run(&nodes(), TAINT, &old).await, ["taint refused (event-age)"]);
}

#[tokio::test]
async fn a_pods_event_still_means_the_pods_own_node() {
    let store = cluster(2);
    store.lock().put(POD, pod());
    assert_eq!(run(&store, TAINT, &event()).await, ["taint applied"]);
    assert_ne!(store.get(NODE)["spec"]["taints"], json!(null));
}
