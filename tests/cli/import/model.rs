//! Whatever a rules file says: it never panics, what comes out can be read, and answers the events that Talon would.

use std::collections::BTreeMap;

use playbooks::decide::{Event, Facts, Holds, Mode, read_text};
use proptest::{collection::vec, option, prelude::*, sample::select};
use serde_json::{Value, json};
use stoop::import::import_talon;

const PRIORITIES: [&str; 8] =
    ["Debug", "Informational", "Notice", "Warning", "Error", "Critical", "Alert", "Emergency"];
const FIELDS: [&str; 4] = ["k8s.ns.name", "proc.name", "fd.rport", "proc.aname[2]"];
const VALUES: [&str; 17] = [
    "shop",
    "b*sh",
    "4444",
    "a b",
    "-1",
    "tr[u]e",
    "true",
    "1.5",
    "1e2",
    " shop",
    "",
    "<NA>",
    "<nil>",
    "<no value>",
    "a=b",
    "a!b",
    "a!=b",
];
const TAGS: [&str; 3] = ["network", "mitre_x", "T1059"];

/// A rule's `match`, as its parts.
#[derive(Debug, Clone)]
struct Matching {
    rules: Vec<String>,
    priority: Option<(&'static str, usize)>,
    source: Option<&'static str>,
    tags: Vec<Vec<&'static str>>,
    /// Field, whether it has to be equal, value.
    fields: Vec<Vec<(&'static str, bool, &'static str)>>,
}

#[derive(Debug, Clone)]
struct Said {
    rule: String,
    priority: usize,
    source: &'static str,
    tags: Vec<&'static str>,
    fields: BTreeMap<&'static str, &'static str>,
}

impl Matching {
    /// As Talon's own code compares.
    fn holds(&self, event: &Said) -> bool {
        let text = |key: &str| event.fields.get(key).copied();
        let group = |group: &Vec<(&str, bool, &str)>| {
            group.iter().all(|(key, equal, value)| {
                let value = value.replace("!=", "!");
                match (*equal, value.contains('='), value.contains('!')) {
                    (true, false, _) => text(key) == Some(&value),
                    (false, false, false) => text(key) != Some(&value),
                    // The key is `key!…`, which no event has.
                    (false, true, _) => false,
                    // Passed over.
                    (true, true, _) | (false, false, true) => true,
                }
            })
        };
        let compared = |(operator, bound): (&str, usize)| match operator {
            ">" => event.priority > bound,
            ">=" => event.priority >= bound,
            "<" => event.priority < bound,
            "<=" => event.priority <= bound,
            _ => event.priority == bound,
        };
        (self.rules.is_empty() || self.rules.contains(&event.rule))
            && self.priority.is_none_or(compared)
            && self.source.is_none_or(|source| source == event.source)
            && (self.tags.is_empty()
                || self.tags.iter().any(|all| all.iter().all(|tag| event.tags.contains(tag))))
            && (self.fields.is_empty() || self.fields.iter().any(group))
    }

    /// True where it can be kept just as it is; all else may answer less.
    fn is_plain(&self) -> bool {
        // Floats are texts alone where it takes CEL, as 1.50 is another text to Talon.
        let strange = |value: &str| {
            value.contains(['=', '!'])
                || matches!(value, "" | "<NA>" | "<nil>" | "<no value>" | "1.5" | "1e2")
        };
        !self.fields.iter().flatten().any(|(_, _, value)| strange(value))
    }

    fn written(&self) -> Value {
        let comparison = |(key, equal, value): &(&str, bool, &str)| {
            format!("{key}{}={value}", if *equal { "" } else { "!" })
        };
        let group = |group: &Vec<_>| group.iter().map(comparison).collect::<Vec<_>>().join(", ");
        json!({
            "rules": self.rules,
            "priority": self.priority.map_or_else(String::new, |(operator, bound)| format!("{operator}{}", PRIORITIES[bound])),
            "source": self.source.unwrap_or_default(),
            "tags": self.tags.iter().map(|all| all.join(",")).collect::<Vec<_>>(),
            "output_fields": self.fields.iter().map(group).collect::<Vec<_>>(),
        })
    }
}

impl Said {
    fn json(&self) -> String {
        let value = |text: &&str| match *text {
            "<nil>" => Value::Null,
            text => match serde_json::from_str(text) {
                Ok(read @ (Value::Number(_) | Value::Bool(_))) => read,
                _ => json!(text),
            },
        };
        let fields: BTreeMap<_, _> =
            self.fields.iter().map(|(key, text)| (key, value(text))).collect();
        json!({
            "rule": self.rule, "priority": PRIORITIES[self.priority], "source": self.source, "tags": self.tags,
            "output": "o", "time": "2026-11-21T05:24:10Z", "output_fields": fields,
        })
        .to_string()
    }
}

fn name() -> impl Strategy<Value = String> {
    select(vec!["Shell", "A [b] {c}*?", r"back\slash", "other: rule"]).prop_map(str::to_owned)
}

/// Mostly one condition at a time: with all of them at once hardly any event would get as far as the last.
fn matching() -> impl Strategy<Value = Matching> {
    let comparison = (select(&FIELDS), any::<bool>(), select(&VALUES));
    let operator = select(vec!["", "=", "<", "<=", ">", ">="]);
    (
        option::weighted(0.25, vec(name(), 1..3)),
        option::weighted(0.25, (operator, 0..PRIORITIES.len())),
        option::weighted(0.25, select(vec!["syscall", "k8s_audit"])),
        option::weighted(0.25, vec(vec(select(&TAGS), 1..3), 1..3)),
        vec(vec(comparison, 1..4), 0..3),
    )
        .prop_map(|(rules, priority, source, tags, fields)| Matching {
            rules: rules.unwrap_or_default(),
            priority,
            source,
            tags: tags.unwrap_or_default(),
            fields,
        })
}

fn said() -> impl Strategy<Value = Said> {
    (
        name(),
        0..PRIORITIES.len(),
        select(vec!["syscall", "k8s_audit"]),
        vec(select(&TAGS), 0..4),
        proptest::collection::btree_map(select(&FIELDS), select(&VALUES), 0..4),
    )
        .prop_map(|(rule, priority, source, tags, fields)| Said {
            rule,
            priority,
            source,
            tags,
            fields,
        })
}

/// Anything in the shape of a rules file, more or less.
fn anything() -> impl Strategy<Value = Value> {
    let keys = select(vec![
        "rule",
        "action",
        "actionner",
        "actions",
        "match",
        "rules",
        "tags",
        "priority",
        "source",
        "output_fields",
        "parameters",
        "labels",
        "annotations",
        "level",
        "notifiers",
        "continue",
        "dry_run",
        "ignore_errors",
        "output",
        "target",
        "bucket",
        "allow_cidr",
        "allow_namespaces",
        "duration",
        "file",
        "min_healthy_replicas",
        "grace_period_seconds",
        "aws_lambda_name",
        "additional_contexts",
    ]);
    let texts = select(vec![
        "kubernetes:terminate",
        "kubernetes:label",
        "kubernetes:networkpolicy",
        "kubernetes:drain",
        "kubernetes:download",
        "kubernetes:tcpdump",
        "aws:lambda",
        "gcp:function",
        "aws:s3",
        ">=Warning",
        "a=b, c!=d",
        "true",
        "false",
        "50%",
        "/etc/passwd",
        "10.0.0.0/8",
        "a",
        "",
        "slack",
    ]);
    let leaf = prop_oneof![
        texts.prop_map(Value::from),
        "\\PC{0,12}".prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        any::<bool>().prop_map(Value::from),
        Just(Value::Null),
    ];
    leaf.prop_recursive(6, 64, 6, move |inner| {
        prop_oneof![
            vec(inner.clone(), 0..4).prop_map(Value::from),
            vec((keys.clone(), inner), 0..6).prop_map(|entries| {
                let entries = entries.into_iter().map(|(key, value)| (key.to_owned(), value));
                Value::Object(entries.collect())
            }),
        ]
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(1024))]

    #[test]
    fn an_imported_rule_answers_the_events_that_talon_answers(matching in matching(), said in said(), echoed: [bool; 8], has_target: bool) {
        // Hardly any event would have just what is asked for, if it weren't told.
        let mut said = said;
        let asked = matching.fields.iter().flatten().zip(echoed).filter(|(_, echoed)| *echoed);
        said.fields.extend(asked.map(|((key, _, value), _)| (*key, *value)));
        let action = match has_target {
            true => json!({"action": "A", "actionner": "kubernetes:terminate"}),
            false => json!({"action": "A", "actionner": "aws:lambda", "parameters": {"aws_lambda_name": "f"}}),
        };
        let rules = json!([{"rule": "R", "match": matching.written(), "actions": [action]}]);
        let imported = import_talon(&[("r".to_owned(), rules.to_string())], Mode::Observe).expect("rules");
        let payload = said.json();
        let event = Event::decode(payload.as_bytes()).expect("an event");
        let text = imported.drafts[0].text();
        let answers = match imported.drafts[0].is_playbook() {
            // A comparison that is true of no priority is no playbook.
            false => false,
            true => {
                let playbook = &read_text("p", &text).expect("a playbook")[0];
                let checks = playbook.explain(&event);
                let holds = Holds::all(&checks);
                prop_assert_ne!(holds, Holds::Errs, "{} {:?}", text, checks);
                // The verified pod's namespace is what the event says, where it says one.
                let namespace = said.fields.get("k8s.ns.name").copied().unwrap_or("elsewhere");
                let facts = Facts { namespace: Some(namespace.to_owned()), ..Facts::default() };
                holds == Holds::Yes && playbook.selects(&facts)
            }
        };
        let expected = matching.holds(&said);
        prop_assert!(expected || !answers, "more than Talon: {}", text);
        prop_assert!(answers || !expected || !matching.is_plain(), "less than Talon: {}", text);
    }
}

proptest! {
    #[test]
    fn no_rules_file_breaks_the_import(value in vec(anything(), 0..4)) {
        let text = Value::from(value).to_string();
        if let Ok(imported) = import_talon(&[("r".to_owned(), text)], Mode::Enforce) {
            for draft in &imported.drafts {
                let text = draft.text();
                let read = read_text(draft.name(), &text).map_err(|errors| errors.to_string());
                prop_assert_eq!(read.map(|playbooks| playbooks.len()), Ok(usize::from(draft.is_playbook())), "{}", text);
            }
        }
    }

    #[test]
    fn no_text_breaks_the_import(text in "(- (rule|action): ?)?\\PC{0,60}\n?( +[a-z]+: ?\\PC{0,20}\n)?") {
        let _ = import_talon(&[("r".to_owned(), text)], Mode::Observe);
    }
}
