//! What has to hold for whatever goes out.

use playbooks::act::Outgoing;
use serde_json::Value;

/// The longest message, with twenty others along.
const LONGEST: usize = 256 << 10;

/// What would be acted on where a text is shown as Markdown, HTML or in a chat.
const MARKUP: [&str; 6] = ["<", ">", "@", "`", "](", "://"];

pub fn at_body(sink: &str, body: &Value) {
    let text = body.to_string();
    assert!(text.len() <= LONGEST, "{sink}: {} bytes", text.len());
    assert_eq!(serde_json::from_str::<Value>(&text).ok().as_ref(), Some(body), "{sink}");
    let mut all = Vec::new();
    strings(body, &mut all);
    for text in all {
        assert!(is_quiet(text), "{sink}: {text:?}");
        match sink {
            "slack" => {
                assert!(
                    !["<!", "<@", "<#", "<http"].iter().any(|part| text.contains(part)),
                    "{text}"
                );
                assert!(text.chars().count() <= 3000, "{text}");
            }
            // Data for programs, as it is.
            "log" | "webhook" | "cloudEvents" => {}
            // The same, in a text.
            "xsoar" if text.starts_with('{') => {}
            _ => assert!(!MARKUP.iter().any(|part| text.contains(part)), "{sink}: {text}"),
        }
    }
    match sink {
        "slack" => assert!(body["blocks"].as_array().is_some_and(|blocks| blocks.len() <= 50)),
        "kubernetesEvents" => {
            assert!(
                body["note"]
                    .as_str()
                    .is_some_and(|note| note.len() <= 1024 && !note.contains('\n'))
            );
            at_name(body);
        }
        _ => {}
    }
}

/// What `run` starts.
pub fn at_object(object: &Value) {
    at_name(object);
    let value = |at| object.pointer(at).and_then(Value::as_str);
    let env =
        ["0", "1"].map(|at| value(&format!("/spec/template/spec/containers/0/env/{at}/value")));
    for value in env.into_iter().flatten() {
        assert!(
            is_quiet(value) && !value.contains('\n') && value.chars().count() <= 8192,
            "{value:?}"
        );
        // Kubernetes would put other values in its place.
        assert!(!value.replace("$$", "").contains('$'), "{value}");
    }
    for value in value("/spec/params/0/value").into_iter() {
        let inert = |c: char| c.is_ascii_alphanumeric() || "._-:/@,+".contains(c);
        assert!(value.chars().all(inert) && !value.starts_with('-'), "{value}");
    }
}

/// What is left of an event.
pub fn at_forwarded(outgoing: &Outgoing<'_>) {
    let Ok(left) = serde_json::from_slice::<Value>(outgoing.payload) else { panic!("no JSON") };
    assert!(left["output_fields"].get("user.name").is_none(), "{left}");
    for (name, value) in outgoing.headers {
        assert!(value.chars().all(|c| c.is_ascii_graphic()), "{name}: {value:?}");
    }
}

/// A label of the DNS.
fn at_name(object: &Value) {
    let name = object["metadata"]["name"].as_str().unwrap_or_default();
    let is_inner = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-';
    let is_edge = |b: Option<u8>| b.is_some_and(|b| b != b'-');
    assert!((1..=63).contains(&name.len()) && name.bytes().all(is_inner), "{name}");
    assert!(is_edge(name.bytes().next()) && is_edge(name.bytes().last()), "{name}");
}

fn strings<'a>(json: &'a Value, all: &mut Vec<&'a str>) {
    match json {
        Value::String(text) => all.push(text),
        Value::Array(values) => values.iter().for_each(|value| strings(value, all)),
        Value::Object(map) => map.iter().for_each(|(key, value)| {
            all.push(key);
            strings(value, all);
        }),
        Value::Null | Value::Bool(_) | Value::Number(_) => {}
    }
}

fn is_quiet(text: &str) -> bool {
    let moves = |c: char| matches!(c, '\u{61c}' | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{206f}' | '\u{feff}');
    !text.chars().any(|c| (c.is_control() && c != '\n') || moves(c))
}
