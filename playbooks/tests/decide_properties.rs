//! What holds for any bytes, any event and any playbooks.

use playbooks::decide::{Claim, Event, Holds, Matcher, Playbook, read_text};
use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::{Index, select};
use serde_json::{Value, json};
use std::sync::Arc;

const SAMPLES: &str = include_str!("data/falcosidekick.jsonl");

const RULES: [&str; 10] =
    ["a", "b", "Terminal shell in container", "a/b", "a.b", "..", "a\nb", "é", "", "Test rule"];
const GLOBS: [&str; 12] =
    ["*", "a*", "*b", "?", "a/*", "*.b", "**/b", "[ab]", "{a,b}*", "*shell*", "a?b", "*/"];
const SUBJECTS: [&str; 5] = ["falco.*", "falco.notice.*", "*.a_b", "falco.alert.a", "*."];
const PRIORITIES: [&str; 5] = ["Notice", "alert", "info", "Debug", "Emergency"];
const COMPARISONS: [&str; 6] = [">= Notice", "< Alert", "== info", "Debug", "> Debug", "!= Notice"];
const SOURCES: [&str; 5] = ["syscall", "syscalls", "k8s_audit", "stoop", ""];
const WORDS: [&str; 7] = ["x", "y", "z", "root", "<NA>", "", "a b"];
const KEYS: [&str; 4] = ["user.name", "proc.name", "proc.aname[2]", "proc.aname_2"];
const WHENS: [&str; 6] = [
    "true",
    "rule == 'a'",
    "fields['user.name'] == 'root'",
    "fields['user.name'] > 5",
    "'x' in tags",
    "priority == 'Notice' && source == 'syscall'",
];

fn matching() -> impl Strategy<Value = Value> {
    let maybe = |strategy: BoxedStrategy<Value>| prop::option::weighted(0.35, strategy);
    let some = |texts: &'static [&'static str]| {
        vec(select(texts), 1..3).prop_map(|texts| json!(texts)).boxed()
    };
    let rules = prop_oneof![some(&RULES), some(&GLOBS), Just(json!(["a", "*b"]))].boxed();
    let fields = vec((select(&KEYS), vec(select(&["x", "r*", "root", "y"][..]), 1..3)), 1..3)
        .prop_map(|fields| {
            Value::Object(
                fields.into_iter().map(|(key, values)| (key.to_owned(), json!(values))).collect(),
            )
        });
    (
        maybe(rules),
        maybe(some(&SUBJECTS)),
        maybe(some(&COMPARISONS)),
        maybe(some(&SOURCES)),
        maybe(some(&WORDS)),
        maybe(fields.boxed()),
        maybe(select(&WHENS[..]).prop_map(|when| json!(when)).boxed()),
    )
        .prop_map(|(rules, subjects, priority, sources, tags, fields, when)| {
            let keys = [
                ("rules", rules),
                ("subjects", subjects),
                ("priority", priority),
                ("sources", sources),
                ("tags", tags),
                ("fields", fields),
                ("when", when),
            ];
            let mut matching: serde_json::Map<String, Value> = keys
                .into_iter()
                .filter_map(|(key, value)| Some((key.to_owned(), value?)))
                .collect();
            if matching.is_empty() {
                matching.insert("rules".to_owned(), json!("*"));
            }
            Value::Object(matching)
        })
}

fn playbooks() -> impl Strategy<Value = Vec<Arc<Playbook>>> {
    vec(matching(), 0..12).prop_map(|all| {
        let read = |(number, matching): (usize, Value)| {
            let document = json!({
                "apiVersion": "stoop.dev/v1alpha1", "kind": "ClusterPlaybook", "metadata": {"name": format!("p{number:02}")},
                "spec": {"match": matching, "actions": ["notify"]},
            });
            Arc::new(Playbook::from_value("p", document).unwrap_or_else(|errors| panic!("{errors}")))
        };
        all.into_iter().enumerate().map(read).collect()
    })
}

/// A string as some encoder might write it: escapes that needn't be there change nothing.
fn quoted(text: &str, escaped: bool) -> String {
    if escaped {
        let units: String = text.encode_utf16().map(|unit| format!("\\u{unit:04x}")).collect();
        return format!("\"{units}\"");
    }
    json!(text).to_string()
}

/// A message: mostly an event, with keys in any order, some twice, some missing, some of a wrong type.
fn message() -> impl Strategy<Value = String> {
    let text = |texts: &'static [&'static str]| {
        (select(texts), prop::bool::weighted(0.1))
            .prop_map(|(text, escaped)| quoted(text, escaped))
            .boxed()
    };
    let fields = vec((select(&KEYS), select(&WORDS[..])), 0..4).prop_map(|fields| {
        let fields: serde_json::Map<String, Value> =
            fields.into_iter().map(|(key, value)| (key.to_owned(), json!(value))).collect();
        json!(fields).to_string()
    });
    let tags = vec(select(&WORDS[..]), 0..3).prop_map(|tags| json!(tags).to_string());
    let odd = select(&["null", "5", "{}", "[\"}\"]", "\"\\\"rule\\\":\"", "tru"][..])
        .prop_map(str::to_owned)
        .boxed();
    let mostly = |usual: BoxedStrategy<String>| prop_oneof![30 => usual, 1 => odd.clone()];
    let entries = (
        mostly(text(&["text", "a \"rule\":\"a\" b", "{[", "\\"])),
        mostly(text(&PRIORITIES)),
        mostly(text(&RULES)),
        mostly(Just("\"2026-11-21T05:24:10.5Z\"".to_owned()).boxed()),
        mostly(text(&SOURCES)),
        mostly(fields.boxed()),
        mostly(tags.boxed()),
        odd.clone(),
    );
    let order = Just((0..9).collect::<Vec<usize>>()).prop_shuffle();
    (
        entries,
        order,
        prop::bool::weighted(0.1),
        any::<Index>(),
        prop::bool::weighted(0.1),
        select(&["", " ", "\n\t"][..]),
    )
        .prop_map(
            |(
                (output, priority, rule, time, source, fields, tags, odd),
                order,
                lossy,
                at,
                key_escaped,
                space,
            )| {
                let mut entries = vec![
                    ("output", output),
                    ("priority", priority.clone()),
                    ("rule", rule.clone()),
                    ("time", time),
                    ("source", source),
                    ("output_fields", fields),
                    ("tags", tags),
                    ("unknown", odd),
                ];
                entries.push(if lossy { ("rule", rule) } else { ("other", priority) });
                let mut entries: Vec<_> = order.into_iter().map(|at| entries[at].clone()).collect();
                if lossy {
                    entries.remove(at.index(9));
                }
                let entries = entries.into_iter().enumerate().map(|(position, (key, value))| {
                    format!(
                        "{space}{}{space}:{space}{value}{space}",
                        quoted(key, key_escaped && position == at.index(9))
                    )
                });
                format!("{{{}}}", entries.collect::<Vec<_>>().join(","))
            },
        )
}

/// A sample line with some bytes changed, put in or taken out.
fn torn() -> impl Strategy<Value = Vec<u8>> {
    let lines: Vec<&str> = SAMPLES.lines().collect();
    let bytes = prop_oneof![select(&b"\"\\{}[],:u0 \xff\xc3"[..]), any::<u8>()];
    (select(lines), vec((any::<Index>(), 0..3u8, bytes), 0..6)).prop_map(|(line, changes)| {
        let mut text = line.as_bytes().to_vec();
        for (at, change, byte) in changes {
            let at = at.index(text.len());
            match change {
                0 => text[at] = byte,
                1 => text.insert(at, byte),
                _ => text.truncate(at.max(1)),
            }
        }
        text
    })
}

/// Every string of a claim has the syntax it should have.
fn sound(claim: &Claim) -> bool {
    let name = |text: &String| {
        !text.is_empty()
            && text != "host"
            && text
                .bytes()
                .all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b"-.".contains(&b))
    };
    let id = |text: &String| text.len() >= 12 && text.bytes().all(|b| b.is_ascii_hexdigit());
    claim.pod.iter().chain(&claim.namespace).chain(&claim.node).all(name)
        && claim.container_id.iter().all(id)
}

/// What must hold for any bytes that are handed over.
fn consistent(matcher: &Matcher, payload: &[u8]) -> Result<(), TestCaseError> {
    let wanted = matcher.wants(payload);
    let Ok(event) = Event::decode(payload) else { return Ok(()) };
    if let Ok(claim) = event.claim() {
        prop_assert!(sound(&claim), "{claim:?}");
        prop_assert!(event.id(None).is_ok());
    }
    if let Ok(found) = matcher.candidates(&event) {
        prop_assert!(wanted || found.is_empty(), "the filter would have skipped it");
    }
    Ok(())
}

fn everything() -> Matcher {
    let all = "apiVersion: stoop.dev/v1alpha1\nkind: Playbook\nmetadata: {name: p}\nspec: {match: {rules: '*'}, actions: [delete]}";
    Matcher::new(read_text("p", all).unwrap_or_else(|errors| panic!("{errors}")))
}

proptest! {
    #[test]
    fn any_bytes_are_decoded_or_refused(bytes in vec(any::<u8>(), 0..200)) {
        consistent(&everything(), &bytes)?;
    }

    #[test]
    fn a_torn_event_is_decoded_or_refused(bytes in torn()) {
        consistent(&everything(), &bytes)?;
    }

    #[test]
    fn the_filter_never_skips_what_a_playbook_is_for(playbooks in playbooks(), message in message()) {
        consistent(&Matcher::new(playbooks), message.as_bytes())?;
    }

    #[test]
    fn the_index_finds_what_asking_each_playbook_finds(playbooks in playbooks(), messages in vec(message(), 1..8)) {
        let matcher = Matcher::new(playbooks);
        for message in messages {
            let Ok(event) = Event::decode(message.as_bytes()) else { continue };
            let Ok(found) = matcher.candidates(&event) else { continue };
            for (position, playbook) in matcher.playbooks().iter().enumerate() {
                let found = found.iter().find(|found| found.position == position);
                let expected = match Holds::all(&playbook.explain(&event)) {
                    Holds::Yes => Some(false),
                    Holds::Errs => Some(true),
                    Holds::No => None,
                };
                prop_assert_eq!(found.map(|found| found.when_error.is_some()), expected, "{:?} {}", playbook.selector, message);
            }
        }
    }

    #[test]
    fn any_text_is_a_playbook_or_refused_with_a_place(text in "[ -~\n]{0,200}") {
        placed(&text)?;
    }

    #[test]
    fn a_torn_playbook_is_read_or_refused_with_a_place(
        changes in vec((any::<Index>(), select(vec!["", "\n", "  ", ":", "- ", "'", "[", "}", "&a ", "*a", "!!int ", "5", "<<: "])), 1..5),
    ) {
        let mut text = include_str!("data/playbook.yaml").to_owned();
        for (at, with) in changes {
            let at = at.index(text.len());
            text.replace_range(at..at + 1, with);
        }
        placed(&text)?;
    }
}

/// A refusal points into the text.
fn placed(text: &str) -> Result<(), TestCaseError> {
    if let Err(errors) = read_text("p.yaml", text) {
        for error in errors.iter() {
            let place = error.place();
            prop_assert!(
                place.is_none_or(|place| place.line >= 1 && place.line <= text.lines().count() + 1),
                "{error}"
            );
        }
    }
    Ok(())
}
