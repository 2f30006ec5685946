//! What the chart refuses, and that it says what to do.

use serde_json::{Value, json};

use crate::chart::{refused, values};

/// The values of `values/NAME.yaml` with one thing changed.
fn but(name: &str, change: impl FnOnce(&mut Value)) -> String {
    let mut values: Value = serde_saphyr::from_str(&values(name)).expect("YAML");
    change(&mut values);
    values.to_string()
}

#[test]
fn what_would_lose_events_or_never_start_is_refused_with_the_fix() {
    let mount = json!([{"name": "scratch", "mountPath": "/var/lib/stoop/intake"}]);
    let empty = json!([{"name": "evidence", "emptyDir": {}}]);
    let table: [(&str, String, &str); 18] = [
        (
            "no place for a journal that goes with the pod",
            but("journal", |it| {
                it["volumes"] = json!([{"name": "scratch", "emptyDir": {}}]);
                it["volumeMounts"] = mount;
            }),
            "events would be lost",
        ),
        (
            "no word for it either",
            but("journal", |it| it["persistence"] = json!({"emptyDir": {}})),
            "additional properties 'emptyDir' not allowed",
        ),
        (
            "no journal elsewhere",
            but("journal", |it| {
                it["config"]["subscriptions"]["intake"]["journal"]["path"] = json!("/tmp/x")
            }),
            "only /var/lib/stoop outlives the pod",
        ),
        (
            "no scaling of journals",
            but("journal", |it| it["hpa"] = json!({"enabled": true})),
            "set replicas",
        ),
        (
            "an audit log is one worker's",
            but("kafka", |it| it["config"]["audit"] = json!({"file": "/var/lib/stoop/audit.log"})),
            "only a worker with a journal has a volume of its own",
        ),
        (
            "and on its volume",
            but("journal", |it| it["config"]["audit"] = json!({"file": "/tmp/audit.log"})),
            "put it there",
        ),
        (
            "evidence has a volume",
            but("kafka", |it| it["config"]["evidence"] = json!({"url": "file:///evidence"})),
            "mount a volume at /evidence",
        ),
        (
            "that stays",
            but("kafka", |it| {
                it["config"]["evidence"] = json!({"url": "file:///evidence/prod"});
                it["volumes"] = empty;
                it["volumeMounts"] = json!([{"name": "evidence", "mountPath": "/evidence"}]);
            }),
            "an emptyDir goes with its pod",
        ),
        (
            "events come from somewhere",
            but("kafka", |it| it["config"]["subscriptions"] = json!({})),
            "where do events come from",
        ),
        (
            "something answers them",
            but("kafka", |it| it["playbooks"] = json!({})),
            "acknowledged unanswered",
        ),
        (
            "probes reach it",
            but("kafka", |it| it["config"]["health"] = json!({"listen": "127.0.0.1:2806"})),
            "listen on 0.0.0.0",
        ),
        (
            "the namespace is the chart's to say",
            but("kafka", |it| it["config"]["namespace"] = json!("other")),
            "leave it out",
        ),
        ("two don't scale", but("keda", |it| it["hpa"] = json!({"enabled": true})), "enable one"),
        (
            "KEDA has to know whom to ask",
            but("keda", |it| it["keda"]["serverAddress"] = json!("")),
            "keda.serverAddress",
        ),
        (
            "Pub/Sub has no lag",
            but("pubsub", |it| it["keda"] = json!({"enabled": true, "serverAddress": "http://p"})),
            "gcp-pubsub",
        ),
        (
            "captures are apart",
            but("kafka", |it| it["config"]["captureNamespace"] = json!("security")),
            "name another",
        ),
        (
            "rights are the workers' alone",
            but("kafka", |it| it["serviceAccount"] = json!({"create": false})),
            "of every pod without an account",
        ),
        (
            "a drain has a length",
            but("kafka", |it| it["config"]["limits"] = json!({"drain": "1 fortnight"})),
            "in ms, s, m or h",
        ),
    ];
    for (what, values, why) in table {
        let said = refused(&values);
        assert!(said.contains(why), "{what}: {said}");
    }
}

#[test]
fn a_key_that_nobody_knows_is_refused_wherever_it_is() {
    let wrong: [fn(&mut Value); 5] = [
        |it| it["replica"] = json!(2),
        |it| it["keda"] = json!({"enable": true}),
        |it| it["config"]["limits"] = json!({"memroy": "64MiB"}),
        |it| it["config"]["subscriptions"]["falco"]["kafka"]["acks"] = json!("all"),
        |it| {
            it["playbooks"]["typo"] =
                json!({"spec": {"match": {"rule": "R"}, "actions": ["delete"]}})
        },
    ];
    for change in wrong {
        let said = refused(&but("kafka", change));
        assert!(said.contains("values don't meet the specifications"), "{said}");
    }
}
