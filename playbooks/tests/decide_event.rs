//! Every oddity that real publishers send, and what is no event.

use jiff::Timestamp;
use playbooks::decide::{Claim, ClaimSource, Event, EventErrorKind, FieldValue, Priority};
use serde_json::{Value, json};

const SAMPLES: &str = include_str!("data/falcosidekick.jsonl");

fn decode(text: &str) -> Event<'_> {
    Event::decode(text.as_bytes()).unwrap_or_else(|error| panic!("{error}: {text}"))
}

/// A whole event, with these keys put over it; `null` takes a key away.
fn event(over: Value) -> String {
    let mut event = json!({
        "output": "text", "priority": "Notice", "rule": "Terminal shell in container",
        "time": "2026-11-21T05:24:10.361728219Z", "source": "syscall", "output_fields": {},
    });
    for (key, value) in over.as_object().expect("an object") {
        match value {
            Value::Null => drop(event.as_object_mut().expect("an object").remove(key)),
            value => event[key] = value.clone(),
        }
    }
    event.to_string()
}

fn claim(fields: Value) -> Claim {
    decode(&event(json!({"output_fields": fields, "hostname": "node-a"}))).claim().expect("a claim")
}

/// What a line of the samples must be read as; the default is what most of them share.
struct Line {
    rule: &'static str,
    priority: Priority,
    time: &'static str,
    source: &'static str,
    tags: &'static [&'static str],
    hostname: Option<&'static str>,
    seen: ClaimSource,
    namespace: Option<&'static str>,
    pod: Option<&'static str>,
    container: Option<&'static str>,
    internal: bool,
}

const LINE: Line = Line {
    rule: "Terminal shell in container",
    priority: Priority::Notice,
    time: "2026-11-21T05:24:10.361728219Z",
    source: "syscall",
    tags: &["T1059", "container", "shell"],
    hostname: Some("node-a"),
    seen: ClaimSource::Container,
    namespace: Some("shop"),
    pod: Some("web"),
    container: Some("6ac7d190134e"),
    internal: false,
};

fn lines() -> [Line; 14] {
    [
        Line {
            time: "2021-05-02T20:24:10.361728219Z",
            tags: &["container", "shell"],
            namespace: Some("falcoresponse"),
            pod: Some("alpine"),
            ..LINE
        },
        Line { pod: None, ..LINE },
        Line { priority: Priority::Critical, ..LINE },
        Line { time: "2026-11-21T05:24:10Z", ..LINE },
        LINE,
        Line { seen: ClaimSource::Host, namespace: None, pod: None, container: None, ..LINE },
        Line { tags: &[], ..LINE },
        Line {
            rule: "Attach/Exec Pod",
            source: "k8s_audit",
            seen: ClaimSource::Audit { resource: Some("pods".to_owned()) },
            container: None,
            ..LINE
        },
        Line {
            rule: "Unexpected outbound connection destination",
            priority: Priority::Warning,
            ..LINE
        },
        Line { namespace: None, pod: None, ..LINE },
        LINE,
        Line { priority: Priority::Informational, ..LINE },
        Line {
            rule: "Falco internal: syscall event drop",
            source: "internal",
            hostname: Some("falco-ctj9r"),
            seen: ClaimSource::None,
            namespace: None,
            pod: None,
            container: None,
            internal: true,
            ..LINE
        },
        Line { hostname: None, ..LINE },
    ]
}

#[test]
fn every_sample_is_read_as_it_was_meant() {
    assert_eq!(SAMPLES.lines().count(), lines().len());
    for (number, (text, line)) in SAMPLES.lines().zip(lines()).enumerate() {
        let event = decode(text);
        let claim = event.claim().expect("a claim");
        assert_eq!(event.rule, line.rule, "line {number}");
        assert_eq!(event.priority, line.priority, "line {number}");
        assert_eq!(event.time, line.time.parse::<Timestamp>().expect("a time"), "line {number}");
        assert_eq!(event.source, line.source, "line {number}");
        assert_eq!(event.tags, line.tags, "line {number}");
        assert_eq!(event.hostname.as_deref(), line.hostname, "line {number}");
        assert_eq!(event.is_internal(), line.internal, "line {number}");
        assert_eq!(claim.source, line.seen, "line {number}");
        assert_eq!(claim.namespace.as_deref(), line.namespace, "line {number}");
        assert_eq!(claim.pod.as_deref(), line.pod, "line {number}");
        assert_eq!(claim.container_id.as_deref(), line.container, "line {number}");
        assert!(event.uuid.is_some(), "line {number}");
    }
}

#[test]
fn escapes_are_undone() {
    let text = SAMPLES.lines().next().expect("a line");
    assert!(text.contains(r"\u003cNA\u003e"));
    let event = decode(text);
    assert!(event.output.ends_with("(user=root <NA>)"));
    let fields = event.fields().expect("fields");
    assert_eq!(fields.text("proc.cmdline").as_deref(), Some("sh -c uptime <NA>"));
}

#[test]
fn nothing_that_is_no_event_is_taken_for_one() {
    use EventErrorKind::{
        BadTime, MissingKey, NotJson, NotObject, NotUtf8, TooDeep, UnknownPriority, WrongType,
    };
    let deep = |depth: usize| "[".repeat(depth) + &"]".repeat(depth);
    let table: Vec<(Vec<u8>, EventErrorKind)> = vec![
        (b"".to_vec(), NotJson),
        (b"   ".to_vec(), NotJson),
        (b"not json".to_vec(), NotJson),
        (b"{".to_vec(), NotJson),
        (b"[]".to_vec(), NotObject),
        (
            b"[\"u\",\"o\",\"Notice\",\"r\",\"2026-11-21T05:24:10Z\",\"s\",[],\"h\",{}]".to_vec(),
            NotObject,
        ),
        (b"\"text\"".to_vec(), NotObject),
        (b"null".to_vec(), NotObject),
        (b"17".to_vec(), NotObject),
        (b"\xff\xfe".to_vec(), NotUtf8),
        (event(json!({"rule": "R"})).replace('R', "\u{1}").into_bytes(), NotJson),
        ([event(json!({})).as_bytes(), b"{}"].concat(), NotJson),
        ([b"\xef\xbb\xbf", event(json!({})).as_bytes()].concat(), NotJson),
        (event(json!({"rule": null})).into_bytes(), MissingKey),
        (event(json!({"priority": null})).into_bytes(), MissingKey),
        (event(json!({"time": null})).into_bytes(), MissingKey),
        (event(json!({"rule": 5})).into_bytes(), WrongType),
        (event(json!({"priority": 5})).into_bytes(), WrongType),
        (event(json!({"time": 5})).into_bytes(), WrongType),
        (event(json!({"source": {}})).into_bytes(), WrongType),
        (event(json!({"output": []})).into_bytes(), WrongType),
        (event(json!({"tags": "shell"})).into_bytes(), WrongType),
        (event(json!({"tags": [1]})).into_bytes(), WrongType),
        (event(json!({"hostname": true})).into_bytes(), WrongType),
        (event(json!({"output_fields": []})).into_bytes(), WrongType),
        (event(json!({"output_fields": "x"})).into_bytes(), WrongType),
        (event(json!({})).replacen('{', "{\"rule\":\"other\",", 1).into_bytes(), WrongType),
        (event(json!({"priority": "Urgent"})).into_bytes(), UnknownPriority),
        (event(json!({"priority": ""})).into_bytes(), UnknownPriority),
        (event(json!({"time": "yesterday"})).into_bytes(), BadTime),
        (event(json!({"time": "2026-11-21T05:24:10"})).into_bytes(), BadTime),
        (event(json!({"other": "X"})).replace("\"X\"", &deep(5_000)).into_bytes(), TooDeep),
        (
            event(json!({"output_fields": {"x": "X"}})).replace("\"X\"", &deep(5_000)).into_bytes(),
            TooDeep,
        ),
        (deep(1_000_000).into_bytes(), TooDeep),
        (b"{\"a\":".repeat(1_000_000), TooDeep),
    ];
    for (bytes, kind) in table {
        let shown = String::from_utf8_lossy(&bytes[..bytes.len().min(120)]).into_owned();
        let error = Event::decode(&bytes).err().unwrap_or_else(|| panic!("an event: {shown}"));
        assert_eq!(error.kind(), kind, "{error}: {shown}");
        assert!(!error.to_string().is_empty());
    }
}

#[test]
fn brackets_in_text_are_not_nesting() {
    let text = event(json!({"output": "[".repeat(5_000)}));
    assert_eq!(decode(&text).output.len(), 5_000);
}

#[test]
fn a_large_event_is_read() {
    let text =
        event(json!({"output": "x".repeat(10 << 20), "output_fields": {"a": "y".repeat(1 << 20)}}));
    assert_eq!(
        decode(&text).fields().expect("fields").text("a").map(|text| text.len()),
        Some(1 << 20)
    );
}

#[test]
fn what_other_publishers_leave_out_is_allowed() {
    for over in [
        json!({"output": null, "source": null, "output_fields": null}),
        json!({"unknown": {"nested": [1, 2]}, "tags": [], "hostname": ""}),
    ] {
        let text = event(over);
        let event = decode(&text);
        assert_eq!(event.source, "syscall");
        assert!(event.fields().expect("fields").iter().next().is_none());
    }
    let text = event(json!({}))
        .replace("\"output_fields\":{}", "\"output_fields\":null,\"tags\":null,\"hostname\":null");
    assert!(decode(&text).tags.is_empty());
}

#[test]
fn priorities_are_read_in_any_case() {
    for (name, priority) in [
        ("NOTICE", Priority::Notice),
        ("info", Priority::Informational),
        ("emergency", Priority::Emergency),
    ] {
        assert_eq!(decode(&event(json!({"priority": name}))).priority, priority);
    }
    assert!(Priority::ALL.is_sorted());
}

#[test]
fn times_with_any_number_of_digits_and_any_offset_are_one_instant() {
    for (written, nanosecond) in [
        ("2026-11-21T05:24:10Z", 0),
        ("2026-11-21T05:24:10.3Z", 300_000_000),
        ("2026-11-21T05:24:10.361728219Z", 361_728_219),
        ("2026-11-21T06:24:10.361728219+01:00", 361_728_219),
    ] {
        let text = event(json!({"time": written}));
        assert_eq!(decode(&text).time.subsec_nanosecond(), nanosecond);
        assert_eq!(decode(&text).time.as_second(), 1_795_238_650);
    }
}

#[test]
fn events_about_falco_or_stoop_are_internal() {
    for over in [
        json!({"rule": "Test rule", "source": "internal"}),
        json!({"rule": "Falco internal: syscall event drop"}),
        json!({"source": "stoop"}),
    ] {
        assert!(decode(&event(over)).is_internal());
    }
    assert!(!decode(&event(json!({"rule": "A Test rule"}))).is_internal());
}

#[test]
fn numbers_keep_every_digit() {
    let text = event(json!({})).replace(
        "\"output_fields\":{}",
        "\"output_fields\":{\"big\":18446744073709551615,\"evt.time\":1619987050361728219,\"huge\":123456789012345678901234567890,\"neg\":-1,\"real\":1.50}",
    );
    let event = decode(&text);
    let fields = event.fields().expect("fields");
    assert_eq!(fields.get("evt.time"), Some(FieldValue::Int(1_619_987_050_361_728_219)));
    for (key, text) in [
        ("big", "18446744073709551615"),
        ("evt.time", "1619987050361728219"),
        ("huge", "123456789012345678901234567890"),
        ("neg", "-1"),
        ("real", "1.50"),
    ] {
        assert_eq!(fields.text(key).as_deref(), Some(text));
    }
}

#[test]
fn a_missing_value_has_no_text_however_it_is_written() {
    let text = event(json!({"output_fields": {
        "null": null, "empty": "", "na": "<NA>", "template": "<no value>", "list": ["a"], "object": {"a": 1}, "no": false,
    }}));
    let event = decode(&text);
    let fields = event.fields().expect("fields");
    for key in ["absent", "null", "empty", "na", "template", "list", "object"] {
        assert_eq!(fields.text(key), None, "{key}");
    }
    assert_eq!(fields.text("no").as_deref(), Some("false"));
    assert_eq!(fields.get("list"), Some(FieldValue::List(vec![FieldValue::Text("a".into())])));
}

#[test]
fn indexed_fields_are_found_in_both_forms() {
    let text = event(
        json!({"output_fields": {"proc.aname[2]": "a", "proc.aname_3": "b", "ka.uri.param[command]": "c"}}),
    );
    let event = decode(&text);
    let fields = event.fields().expect("fields");
    for (key, value) in [
        ("proc.aname[2]", Some("a")),
        ("proc.aname_2", Some("a")),
        ("proc.aname[3]", Some("b")),
        ("proc.aname_3", Some("b")),
        ("ka.uri.param_command", Some("c")),
        ("proc.aname[1]", None),
        ("proc.aname_1", None),
        ("proc.aname", None),
        ("]", None),
    ] {
        assert_eq!(fields.text(key).as_deref(), value, "{key}");
    }
}

#[test]
fn a_field_that_is_there_twice_has_no_meaning() {
    for twice in ["{\"a\":1,\"a\":2}", "{\"b\":1,\"a\":1,\"b\":2}", "{\"a\":1,\"\\u0061\":2}"] {
        let text =
            event(json!({})).replace("\"output_fields\":{}", &format!("\"output_fields\":{twice}"));
        let event = decode(&text);
        assert_eq!(event.fields().expect_err("a refusal").kind(), EventErrorKind::BadFields);
        assert!(event.claim().is_err() && event.id(None).is_err());
    }
}

#[test]
fn a_lone_surrogate_is_no_text() {
    for value in ["\"\\ud800\"", "[\"\\ud800\"]"] {
        let text = event(json!({}))
            .replace("\"output_fields\":{}", &format!("\"output_fields\":{{\"a\":{value}}}"));
        let event = decode(&text);
        assert_eq!(event.fields().expect_err("a refusal").kind(), EventErrorKind::BadFields);
    }
}

#[test]
fn what_is_no_name_never_becomes_one() {
    let long = "a".repeat(254);
    for value in [
        json!(null),
        json!(""),
        json!("<NA>"),
        json!("<no value>"),
        json!("host"),
        json!(5),
        json!(true),
        json!(["web"]),
        json!({"name": "web"}),
        json!("Web"),
        json!("../secrets"),
        json!("web/log"),
        json!("web?x=1"),
        json!("web%2f"),
        json!("-web"),
        json!("web-"),
        json!("web\n"),
        json!("wéb"),
        json!("a..b"),
        json!("."),
        json!(".."),
        json!(long),
        json!("a\u{0}b"),
        json!("a[...]"),
    ] {
        let claim = claim(json!({
            "container.id": "6ac7d190134e", "k8s.pod.name": value, "k8s.ns.name": value, "k8s.pod.uid": value,
        }));
        assert_eq!((claim.pod, claim.namespace), (None, None), "{value}");
        let is_uid = |uid: String| {
            uid.len() <= 64 && uid.chars().all(|c| c.is_ascii_alphanumeric() || c == '-')
        };
        assert!(claim.pod_uid.is_none_or(is_uid), "{value}");
    }
    let dotted = claim(json!({"k8s.pod.name": "web.a", "k8s.ns.name": "shop.a"}));
    assert_eq!(
        (dotted.pod.as_deref(), dotted.namespace),
        (Some("web.a"), None),
        "a namespace is a label"
    );
}

#[test]
fn a_container_id_is_hex_and_long_enough() {
    for value in [
        json!("6ac7d190134"),
        json!("6ac7d190134g"),
        json!("a".repeat(65)),
        json!(null),
        json!("<NA>"),
        json!(123456789012u64),
    ] {
        assert_eq!(claim(json!({"container.id": value})).container_id, None, "{value}");
    }
    let full = "6ac7d190134e".to_owned() + &"0".repeat(52);
    let both = claim(json!({"container.id": "6AC7D190134E", "container.full_id": full}));
    assert_eq!(both.container_id, Some(full.clone()), "the longer one says more");
    let torn = claim(json!({"container.id": "aaaaaaaaaaaa", "container.full_id": full}));
    assert_eq!(
        torn.container_id.as_deref(),
        Some("aaaaaaaaaaaa"),
        "the reliable one, where they disagree"
    );
}

#[test]
fn an_audit_event_is_about_a_pod_only_where_its_resource_is_pods() {
    let audit = |resource: &str| {
        let fields = json!({
            "ka.auditid": "b9b2c8f0-1", "ka.target.name": "web", "ka.target.namespace": "shop",
            "ka.target.resource": resource, "ka.target.subresource": "exec", "k8s.pod.name": "other",
        });
        let text = event(
            json!({"source": "k8s_audit", "output_fields": fields, "hostname": "falco-ctj9r"}),
        );
        decode(&text).claim().expect("a claim")
    };
    assert_eq!(audit("pods").pod.as_deref(), Some("web"));
    assert_eq!(audit("pods").node, None, "the hostname is not the pod's node");
    assert_eq!(audit("deployments").pod, None);
    assert_eq!(
        audit("deployments").source,
        ClaimSource::Audit { resource: Some("deployments".to_owned()) }
    );
    assert_eq!(audit("deployments").audit_id.as_deref(), Some("b9b2c8f0-1"));
}

#[test]
fn a_pod_with_a_generated_name_is_named_by_the_response() {
    let fields = json!({
        "ka.target.name": null, "ka.resp.name": "web-x7k2p", "ka.target.namespace": "shop", "ka.target.resource": "pods",
    });
    let text = event(json!({"source": "k8s_audit", "output_fields": fields}));
    assert_eq!(decode(&text).claim().expect("a claim").pod.as_deref(), Some("web-x7k2p"));
}

#[test]
fn the_cluster_is_what_the_named_field_says() {
    let text = event(json!({"output_fields": {"static.cluster": "prod-1"}}));
    assert_eq!(decode(&text).cluster("static.cluster").expect("fields").as_deref(), Some("prod-1"));
    assert_eq!(decode(&text).cluster("other").expect("fields"), None);
}

#[test]
fn copies_of_an_event_have_one_identity() {
    let first = event(
        json!({"uuid": "a", "output": "1", "source": "", "time": "2026-11-21T05:24:10.500Z"}),
    );
    let again = event(
        json!({"uuid": "b", "output": "2", "source": "syscalls", "time": "2026-11-21T05:24:10.5Z"}),
    );
    assert_eq!(
        decode(&first).id(Some("c")).expect("an id"),
        decode(&again).id(Some("c")).expect("an id")
    );
    let id = decode(&first).id(None).expect("an id").to_string();
    assert!(id.len() == 64 && id.bytes().all(|byte| byte.is_ascii_hexdigit()), "{id}");
}

#[test]
fn different_incidents_have_different_identities() {
    let mut ids = std::collections::BTreeSet::new();
    let variants = [
        json!({}),
        json!({"rule": "Other"}),
        json!({"source": "k8s_audit"}),
        json!({"hostname": "node-a"}),
        json!({"hostname": "node-b"}),
        json!({"time": "2026-11-21T05:24:10.361728220Z"}),
        json!({"output_fields": {"container.id": "aaaaaaaaaaaa"}}),
        json!({"output_fields": {"k8s.pod.uid": "aaaaaaaaaaaa"}}),
        json!({"output_fields": {"ka.auditid": "aaaaaaaaaaaa"}}),
    ];
    for variant in &variants {
        let text = event(variant.clone());
        ids.insert(decode(&text).id(None).expect("an id"));
        ids.insert(decode(&text).id(Some("")).expect("an id"));
        ids.insert(decode(&text).id(Some("prod")).expect("an id"));
    }
    assert_eq!(ids.len(), variants.len() * 3);
}

#[test]
fn an_event_can_go_to_another_thread() {
    fn is_send<T: Send>(_: &T) {}
    is_send(&decode(&event(json!({}))));
}
