//! What is refused, where it says so, and what it says to do.

use super::*;

fn refused(text: &str) -> String {
    parse("stoop.yaml", text, []).unwrap_err().to_string()
}

#[test]
fn an_empty_file_is_a_worker_with_every_default() {
    let config = parse("stoop.yaml", "", []).unwrap();
    assert_eq!(config.limits.concurrency, 256);
    assert!(config.subscriptions.is_empty());
}

#[test]
fn an_unknown_key_is_refused_with_its_place_and_the_fix() {
    let error = refused("limits:\n  memroy: 64MiB\n");
    assert!(error.starts_with("stoop.yaml:2:3: limits"), "{error}");
    assert!(error.contains("did you mean `memory`?"), "{error}");
}

#[test]
fn a_wrong_type_is_refused_at_its_value() {
    let error = refused("limits: {concurrency: many}\n");
    assert!(error.starts_with("stoop.yaml:1:23:"), "{error}");
}

#[test]
fn every_configuration_of_the_pages_is_one() {
    let pages = [
        ("configuration", include_str!("../../../docs/configuration.md")),
        ("notifiers", include_str!("../../../docs/notifiers.md")),
        ("forward", include_str!("../../../docs/actions/forward.md")),
        ("call", include_str!("../../../docs/actions/call.md")),
        ("page", include_str!("../../../docs/page.md")),
    ];
    for (page, text) in pages {
        let blocks = text.split("```yaml\n").skip(1).filter_map(|rest| rest.split("```").next());
        let configurations: Vec<_> =
            blocks.filter(|block| !block.contains("kind: Playbook")).collect();
        assert!(!configurations.is_empty(), "{page}");
        for text in configurations {
            if let Err(error) = parse(page, text, []) {
                panic!("{error}");
            }
        }
    }
}

/// What is wrong, the path that is named, and a word of what is said.
const REFUSED: &[(&str, &str, &str)] = &[
    ("destinations: {a: {}}", "destinations.a", "kafka, nats, pubsub"),
    ("destinations: {a: {kafka: {brokers: [], topic: t}}}", "destinations.a.kafka", "host:port"),
    (
        "destinations: {a: {nats: {servers: ['nats://a'], stream: S, subject: 's.>'}}}",
        "destinations.a.nats",
        "without wildcards",
    ),
    ("destinations: {a: {pubsub: {project: p, topic: 'a b'}}}", "destinations.a.pubsub", "topic"),
    (
        "{subscriptions: {f: {kafka: {brokers: [x:1, b:1], topicPattern: 'f.*', group: g, deadLetters: d}}}, destinations: {a: {kafka: {brokers: [b:1], topic: f2}}}}",
        "destinations.a.kafka",
        "another topic",
    ),
    (
        "{subscriptions: {f: {nats: {servers: ['nats://a'], stream: S, consumer: c, deadLetters: d}}}, destinations: {a: {nats: {servers: ['nats://a'], stream: S, subject: x}}}}",
        "destinations.a.nats",
        "another topic or stream",
    ),
    (
        "{subscriptions: {f: {pubsub: {project: acme, subscription: stoop, topic: falco, deadLetters: dead}}}, destinations: {a: {pubsub: {project: acme, topic: falco}}}}",
        "destinations.a.pubsub",
        "another topic",
    ),
    ("subscriptions: {a: {concurrency: 3}}", "subscriptions.a", "kafka, nats, pubsub"),
    (
        "subscriptions: {a: {kafka: {brokers: [b:1], topic: t, group: g}}}",
        "subscriptions.a.kafka.deadLetters",
        "deadLetters: t.dead",
    ),
    (
        "subscriptions: {a: {kafka: {brokers: [b:1], topic: t, group: g, deadLetters: ''}}}",
        "subscriptions.a.kafka.deadLetters",
        "stoop setup",
    ),
    (
        "subscriptions: {a: {kafka: {brokers: [], topic: t, group: g, deadLetters: d}}}",
        "subscriptions.a.kafka",
        "host:port",
    ),
    (
        "subscriptions: {a: {journal: {}, concurrency: 0}}",
        "subscriptions.a.concurrency",
        "at least 1",
    ),
    (
        "subscriptions: {a: {journal: {}, concurrency: 18446744073709551615}}",
        "subscriptions.a.concurrency",
        "at most 100000",
    ),
    (
        "subscriptions: {a: {journal: {}}, b: {journal: {listen: '127.0.0.1:1'}}}",
        "subscriptions.b.journal.path",
        "folder of its own",
    ),
    (
        "subscriptions: {a: {journal: {path: a}}, b: {journal: {path: ./b}}}",
        "subscriptions.b.journal.listen",
        "another port",
    ),
    (
        "subscriptions: {a: {journal: {path: a, listen: '127.0.0.1:1'}}, b: {journal: {path: ./a/}}}",
        "subscriptions.b.journal.path",
        "folder of its own",
    ),
    (
        "subscriptions: {a: {journal: {listen: '127.0.0.1:2806'}}}",
        "subscriptions.a.journal.listen",
        "health.listen",
    ),
    ("control: {listen: '0.0.0.0:2807'}", "control.listen", "control.token"),
    // TLS alone says who the worker is, and lets everybody in.
    (
        "control: {listen: '0.0.0.0:2807', tls: {certificate: c, key: k}}",
        "control.listen",
        "control.tls.clientCa",
    ),
    ("control: {client: {certificate: c}}", "control.client.key", "PEM file"),
    ("control: {client: {key: k}}", "control.client.certificate", "PEM file"),
    ("control: {listen: '127.0.0.1:2806'}", "control.listen", "another port"),
    ("cluster: {require: true}", "cluster.require", "cluster.name"),
    ("cluster: {name: ''}", "cluster.name", "leave it out"),
    ("cluster: {field: ''}", "cluster.field", "static.cluster"),
    ("namespace: stoop.dev", "namespace", "lower case"),
    ("namespace: ''", "namespace", "lower case"),
    ("killSwitch: {configMap: ns/x}", "killSwitch.configMap", "in the namespace stoop"),
    ("killSwitch: {file: ''}", "killSwitch.file", "empty path"),
    ("defaultNotifiers: [slak]", "defaultNotifiers[0]", "no notifier is called `slak`"),
    ("protect: {namespaces: [ok, '[a']}", "protect.namespaces[1]", "a name or a glob"),
    ("protect: {namespaces: ['']}", "protect.namespaces[0]", "empty name"),
    ("limits: {concurrency: 0}", "limits.concurrency", "at least 1"),
    ("limits: {concurrency: 100001}", "limits.concurrency", "at most 100000"),
    ("limits: {memory: 1KiB}", "limits.memory", "at least 1MiB"),
    ("limits: {drain: 0s}", "limits.drain", "such as 20s"),
    ("limits: {actionTimeout: 0s}", "limits.actionTimeout", "such as 20s"),
    ("limits: {actionTimeout: 10years}", "limits.actionTimeout", "at most 24h"),
    ("responses: {keep: 0s}", "responses.keep", "such as `7d`"),
    ("responses: {most: 0}", "responses.most", "such as `1000`"),
    ("approvals: {expireAfter: 0s}", "approvals.expireAfter", "such as `24h`"),
    ("approvals: {listen: '127.0.0.1:1'}", "approvals.url", "set it as well"),
    ("approvals: {listen: '127.0.0.1:1', url: 'https://a'}", "approvals.key", "set it as well"),
    ("approvals: {listen: '127.0.0.1:1', url: a, key: k}", "approvals.url", "in a browser"),
    (
        "approvals: {listen: '127.0.0.1:2806', url: 'https://a', key: k}",
        "approvals.listen",
        "another port",
    ),
];

#[test]
fn what_cannot_work_is_refused_at_its_place_with_the_fix() {
    for (text, path, says) in REFUSED {
        let error = refused(text);
        let at_its_place =
            error.starts_with("stoop.yaml:1:") && error.contains(&format!(": {path}: "));
        assert!(at_its_place && error.contains(says), "{text}\n{error}");
    }
}

#[test]
fn journals_that_share_neither_port_nor_folder_go_together() {
    let text = "subscriptions: {a: {journal: {path: a, listen: '127.0.0.1:0'}}, b: {journal: {path: b, listen: '127.0.0.1:0'}}}";
    assert_eq!(parse("stoop.yaml", text, []).unwrap().subscriptions.len(), 2);
}

/// Each names something that isn't there.
const UNUSABLE: &[(&str, &str, &str)] = &[
    ("playbooks: [./nope]", "playbooks[0]", "./nope can't be read"),
    (
        "notifiers: {s: {slack: {url: {env: STOOP_NO_SUCH}}}}",
        "notifiers.s.slack.url",
        "STOOP_NO_SUCH",
    ),
    ("notifiers: {s: {slack: {url: 'nonsense'}}}", "notifiers.s.slack.url", "https://"),
    (
        "notifiers: {w: {webhook: {url: 'http://a', secret: {file: /nope}}}}",
        "notifiers.w.webhook.secret",
        "/nope",
    ),
    (
        "notifiers: {w: {webhook: {url: 'http://a', headers: {X-A: {file: /nope}}}}}",
        "notifiers.w.webhook.headers.X-A",
        "/nope",
    ),
    (
        "subscriptions: {a: {journal: {token: {env: STOOP_NO_SUCH}}}}",
        "subscriptions.a.journal.token",
        "STOOP_NO_SUCH",
    ),
    (
        "subscriptions: {a: {journal: {tls: {certificate: /nope, key: /nope}}}}",
        "subscriptions.a.journal.tls.certificate",
        "PEM",
    ),
    (
        "subscriptions: {a: {kafka: {brokers: [b:1], topic: t, group: g, deadLetters: d, tls: {ca: /nope}}}}",
        "subscriptions.a.kafka.tls.ca",
        "PEM",
    ),
    (
        "subscriptions: {a: {kafka: {brokers: [b:1], topic: t, group: g, deadLetters: d, sasl: {mechanism: SCRAM-SHA-256, username: u, password: {file: /nope}}}}}",
        "subscriptions.a.kafka.sasl.password",
        "/nope",
    ),
];

#[test]
fn what_is_named_and_not_there_is_refused_where_a_worker_would_start() {
    for (text, path, says) in UNUSABLE {
        parse("stoop.yaml", text, []).expect("a command that needs none of it can go on");
        let error = Written::read("stoop.yaml", text, []).and_then(|written| written.usable());
        let error = error.unwrap_err().to_string();
        let at_its_place =
            error.starts_with("stoop.yaml:1:") && error.contains(&format!(": {path}: "));
        assert!(at_its_place && error.contains(says), "{text}\n{error}");
    }
}

#[test]
fn what_a_variable_set_is_refused_by_its_name() {
    let kafka = "subscriptions: {a: {kafka: {brokers: [b:1], topic: t, group: g, deadLetters: d}}}";
    for (text, name, value, says) in [
        ("", "STOOP_LIMITS__CONCURRENCY", "many", "limits.concurrency: "),
        ("limits: {drain: 5s}", "STOOP_LIMITS__DRAIN", "0s", "fix: such as 20s"),
        ("", "STOOP_LIMITS__MEMROY", "1MiB", "did you mean `memory`?"),
        ("", "STOOP_SUBSCRIPTIONS__A__KAFKA__TOPIC", "t", "subscriptions.a.kafka: missing"),
        (kafka, "STOOP_SUBSCRIPTIONS__A__CONCURRENCY", "0", "at least 1"),
    ] {
        let variables = [(name.to_owned(), value.to_owned())];
        let error = parse("stoop.yaml", text, variables).unwrap_err().to_string();
        assert!(error.starts_with(&format!("{name}: ")) && error.contains(says), "{error}");
        assert!(!error.contains("stoop.yaml"), "{error}");
    }
}

#[test]
fn a_contradiction_of_file_and_variable_names_both() {
    let text = "subscriptions: {a: {kafka: {brokers: [b:1], topic: t, group: g, deadLetters: d}}}";
    let variables = [("STOOP_SUBSCRIPTIONS__A__KAFKA__TOPIC".to_owned(), "d".to_owned())];
    let error = parse("stoop.yaml", text, variables).unwrap_err().to_string();
    assert!(error.starts_with("stoop.yaml:1:"), "{error}");
    assert!(error.ends_with("overrides: STOOP_SUBSCRIPTIONS__A__KAFKA__TOPIC"), "{error}");
}
