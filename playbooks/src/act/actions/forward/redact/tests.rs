use proptest::prelude::*;
use serde_json::{Value, json};

use super::without;

fn event(fields: Value) -> Value {
    json!({
        "uuid": "1", "output": format!("12:00:00.0: Notice a shell ({fields})"), "priority": "Notice",
        "rule": "Terminal shell", "time": "2021-05-02T20:24:10.361728219Z", "source": "syscall",
        "tags": ["shell"], "hostname": "node-1", "output_fields": fields, "unknown": fields,
    })
}

fn redacted(event: &Value, names: &[&str]) -> Value {
    let names: Vec<_> = names.iter().map(|name| (*name).to_owned()).collect();
    let bytes = without(event.to_string().as_bytes(), &names).expect("an event");
    serde_json::from_slice(&bytes).expect("JSON")
}

fn left(fields: Value, names: &[&str]) -> Vec<String> {
    let redacted = redacted(&event(fields), names);
    redacted["output_fields"].as_object().expect("fields").keys().cloned().collect()
}

#[test]
fn an_event_without_fields_is_an_event_still() {
    let whole = event(json!({
        "container.id": "6ac7d190134e", "evt.time": 1_619_987_050_361_728_219_u64, "proc.cmdline": "sh -c id",
        "user.name": "alice", "proc.tty": 34816, "x": [1, "b"], "y": null
    }));
    let redacted = redacted(&whole, &["user.name", "proc.cmdline"]);
    let expected = json!({
        "uuid": "1", "priority": "Notice", "rule": "Terminal shell", "time": "2021-05-02T20:24:10.361728219Z",
        "source": "syscall", "tags": ["shell"], "hostname": "node-1",
        "output": "Terminal shell (container.id=6ac7d190134e evt.time=1619987050361728219 proc.tty=34816) \
                   removed: proc.cmdline user.name",
        "output_fields": {
            "container.id": "6ac7d190134e", "evt.time": 1_619_987_050_361_728_219_u64, "proc.tty": 34816,
            "x": [1, "b"], "y": null
        },
    });
    assert_eq!(redacted, expected);
}

#[test]
fn what_says_the_same_goes_along() {
    let long = "a".repeat(400);
    let cut = format!("sh {}[...]", &long[..300]);
    let table = [
        (
            json!({"proc.args": "-c secret", "proc.cmdline": "sh -c secret", "k": "v"}),
            "proc.args",
            vec!["k"],
        ),
        (json!({"user.name": "bob", "a": "/home/bob/x", "b": "bobby"}), "user.name", vec!["b"]),
        (
            json!({"user.uid": 1000, "a": 1000, "b": 10_001_000, "c": "uid=1000"}),
            "user.uid",
            vec!["b"],
        ),
        (
            json!({"p": "alice", "list": ["x", "for alice"], "object": {"alice": 1}, "k": 1}),
            "p",
            vec!["k"],
        ),
        (
            json!({"l": ["alpha", {"x": "beta"}], "a": "an alpha", "b": "beta", "k": 1}),
            "l",
            vec!["k"],
        ),
        (json!({"long": long, "cut": cut, "k": "[...]"}), "long", vec!["k"]),
        (json!({"proc.aname_2": "bash2", "k": 1}), "proc.aname[2]", vec!["k"]),
        (json!({"proc.aname[2]": "bash2", "k": 1}), "proc.aname_2", vec!["k"]),
        (json!({"a": "<NA>", "b": "<NA>", "t": true, "u": true}), "a", vec!["b", "t", "u"]),
        (json!({"t": true, "u": true}), "t", vec!["u"]),
        (json!({"a": "a-a", "b": "xa-a-a", "c": "xa-ax", "k": 1}), "a", vec!["c", "k"]),
        (json!({"a": "x\"y\\z\n", "b": "-x\"y\\z\n-", "k": 1}), "a", vec!["k"]),
    ];
    for (fields, name, expected) in table {
        assert_eq!(left(fields.clone(), &[name]), expected, "{name} of {fields}");
    }
}

#[test]
fn a_host_or_a_tag_that_tells_goes_along() {
    let event = event(json!({"k8s.node.name": "node-1", "t": "shell", "k": 1}));
    let redacted = redacted(&event, &["k8s.node.name", "t"]);
    assert_eq!((redacted.get("hostname"), &redacted["tags"]), (None, &json!([])));
}

#[test]
fn a_value_that_was_cut_is_known_by_what_is_left_of_it() {
    let cut = format!("{}[...]", "secret".repeat(80));
    let fields =
        json!({"proc.args": cut, "proc.cmdline": format!("sh {}", "secret".repeat(90)), "k": 1});
    assert_eq!(left(fields, &["proc.args"]), ["k"]);
}

/// Every text and number in a JSON, but for keys.
fn said(json: &Value, all: &mut Vec<String>) {
    match json {
        Value::String(text) => all.push(text.clone()),
        Value::Number(number) => all.push(number.to_string()),
        Value::Array(values) => values.iter().for_each(|value| said(value, all)),
        Value::Object(map) => map.values().for_each(|value| said(value, all)),
        Value::Null | Value::Bool(_) => {}
    }
}

/// Texts that share nothing with the event's own words.
fn secret() -> impl Strategy<Value = String> {
    prop_oneof!["Ä[ÖÜ\"\\\\/$|<>\n\u{202e}]{3,12}", "[XYZ]{4,600}"]
}

proptest! {
    #[test]
    fn no_removed_value_is_anywhere_in_what_is_forwarded(
        secrets in prop::collection::vec(secret(), 1..4),
        around in prop::collection::vec(("[a-z ]{0,8}", 0usize..4, "[a-z ]{0,8}", any::<bool>()), 0..6),
        host in 0usize..6,
    ) {
        let mut fields = serde_json::Map::new();
        let mut names = Vec::new();
        for (n, secret) in secrets.iter().enumerate() {
            names.push(format!("secret.{n}"));
            fields.insert(format!("secret.{n}"), json!(secret));
        }
        for (n, (before, which, after, in_list)) in around.iter().enumerate() {
            let inner = secrets.get(*which).map_or("", String::as_str);
            let text = format!("{before}{inner}{after}");
            let value = if *in_list { json!(["x", text]) } else { json!(text) };
            fields.insert(format!("other.{n}"), value);
        }
        let mut whole = event(Value::Object(fields));
        if let Some(secret) = secrets.get(host) {
            whole["hostname"] = json!(format!("node {secret}"));
            whole["tags"] = json!([secret]);
            whole["uuid"] = json!(secret);
        }
        let bytes = without(whole.to_string().as_bytes(), &names).expect("an event");
        let parsed: Value = serde_json::from_slice(&bytes).expect("JSON");
        let mut words = Vec::new();
        said(&parsed, &mut words);
        let text = String::from_utf8(bytes.clone()).expect("UTF-8");
        for secret in &secrets {
            let escaped = json!(secret).to_string();
            prop_assert!(!text.contains(escaped.trim_matches('"')), "{secret:?} in {text}");
            prop_assert!(!words.iter().any(|word| word.contains(secret.as_str())), "{secret:?} in {text}");
        }
        // What tells nothing of them is there as it was.
        for (n, (before, which, after, in_list)) in around.iter().enumerate() {
            if *which >= secrets.len() && !in_list {
                let there = &parsed["output_fields"][format!("other.{n}")];
                prop_assert_eq!(there, &json!(format!("{before}{after}")));
            }
        }
        prop_assert!(crate::decide::Event::decode(&bytes).is_ok());
    }
}
