//! Secrets taken out of what is kept: evidence is read by more people than the pod's own.
//!
//! By place: values of environment variables, headers of probes, the annotation that repeats a whole manifest. By name: what is
//! called a password, a token or a key, in documents, command lines and logs. By shape: tokens that are known by how they
//! look. It is a net and no wall: what a program calls `x` and prints stays.

use std::{borrow::Cow, sync::LazyLock};

use regex::{Captures, Regex};
use serde_json::Value;

const REDACTED: &str = "[redacted]";

/// `kubectl apply` repeats the whole object there, environment included.
const REPEATED: &str = "kubectl.kubernetes.io/last-applied-configuration";

/// What secrets are called.
const NAMES: &str = "pass(?:word|wd|phrase)|secret|token|credential|api[-_]?key|access[-_]?key|private[-_]?key|client[-_]?key|auth[-_]?key";

/// A pattern, and how much of it stays in front of the mark.
static PATTERNS: LazyLock<Vec<Regex>> = LazyLock::new(|| {
    let patterns = [
        // -----BEGIN … PRIVATE KEY-----
        r"(?s)(-----BEGIN [A-Z ]*PRIVATE KEY(?: BLOCK)?-----).*?(?:-----END [A-Z ]*PRIVATE KEY(?: BLOCK)?-----|\z)".to_owned(),
        // Authorization: Bearer abc, and the scheme alone.
        r#"(?i)(authorization["']?\s*[:=]\s*["']?(?:(?:bearer|basic|token|digest)\s+)?)[^\s"',;]+"#.to_owned(),
        r"(?i)\b(bearer\s+)[a-z0-9._~+/=-]{8,}".to_owned(),
        // --password x, -token x
        format!(r#"(?i)(\B--?[a-z0-9-]*(?:{NAMES})[a-z0-9-]*\s+["']?)[^\s"'-][^\s"']*"#),
        // DB_PASSWORD=x, "apiKey": "x"
        format!(r#"(?i)([a-z0-9_.-]*(?:{NAMES})[a-z0-9_.-]*["']?\s*[=:]\s*["']?)[^\s"',;&]+"#),
        // https://user:x@host
        r"(?i)\b([a-z][a-z0-9+.-]*://[^\s/:@]*:)[^\s/@]+(?:@)".to_owned(),
        // AWS, JSON web tokens, GitHub, GitLab, Slack
        r"()\b(?:AKIA|ASIA)[0-9A-Z]{16}\b".to_owned(),
        r"()\beyJ[A-Za-z0-9_-]{5,}\.[A-Za-z0-9_-]{5,}\.[A-Za-z0-9_-]*".to_owned(),
        r"()\b(?:gh[pousr]_[A-Za-z0-9]{20,}|glpat-[A-Za-z0-9_-]{20,}|xox[abeprs]-[A-Za-z0-9-]{10,})".to_owned(),
    ];
    // They are constants; the tests would show one that is none.
    patterns.iter().filter_map(|pattern| Regex::new(pattern).ok()).collect()
});

/// Where a private key begins or ends.
static KEY: LazyLock<Option<Regex>> =
    LazyLock::new(|| Regex::new("-----(BEGIN|END) [A-Z ]*PRIVATE KEY(?: BLOCK)?-----").ok());

/// Longer than any private key, were each of its lines behind a time: one that ends further on has begun in the text.
const LONGEST_KEY: usize = 32 << 10;

/// A text's first lines, three or more, that are such as a key's are, and the shorter one that ends them. A log's lines
/// have the time before them.
static KEYS_LINES: LazyLock<Option<Regex>> = LazyLock::new(|| {
    let time = r"(?:[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9:.]+(?:Z|[+-][0-9:]+) )?";
    let line = format!(r"{time}[A-Za-z0-9+/]{{60,76}}={{0,2}}\r?");
    let last = format!(r"{time}[A-Za-z0-9+/]{{1,76}}={{0,2}}\r?");
    Regex::new(&format!(r"(?m)\A{line}(?:\n{line}){{2,}}(?:\n{last})?$")).ok()
});

static NAME: LazyLock<Option<Regex>> =
    LazyLock::new(|| Regex::new(&format!("(?i)(?:{NAMES})")).ok());

/// A text without its secrets.
pub(super) fn text(text: &str) -> Cow<'_, str> {
    PATTERNS.iter().fold(without_rest_of_key(text), |text, pattern| {
        let replaced = pattern.replace_all(&text, |found: &Captures<'_>| {
            let at =
                if found.get(0).is_some_and(|all| all.as_str().ends_with('@')) { "@" } else { "" };
            format!("{}{REDACTED}{at}", found.get(1).map_or("", |kept| kept.as_str()))
        });
        match replaced {
            Cow::Borrowed(_) => text,
            Cow::Owned(replaced) => Cow::Owned(replaced),
        }
    })
}

/// A text without the private key that it begins in the middle of, where the end of a log is kept or the kubelet has begun a
/// new file: up to the key's last line, and where that is missing as far as the lines are such as a key's.
///
/// Only at the beginning of the text: an attacker who writes such lines takes no more away than a key is long.
fn without_rest_of_key(text: &str) -> Cow<'_, str> {
    let (start, _) = text.split_at(text.floor_char_boundary(LONGEST_KEY));
    let first = KEY.as_ref().and_then(|key| key.captures(start));
    let is_end = |found: &Captures<'_>| found.get(1).is_some_and(|word| word.as_str() == "END");
    let ends = first.filter(is_end).and_then(|found| found.get(0));
    let lines = || KEYS_LINES.as_ref().and_then(|lines| lines.find(start));
    match ends.or_else(lines) {
        Some(key) => Cow::Owned(format!("{REDACTED}{}", text.get(key.end()..).unwrap_or_default())),
        None => Cow::Borrowed(text),
    }
}

/// A document of Kubernetes' or Falco's without its secrets.
pub(super) fn document(value: &mut Value) {
    match value {
        Value::Object(map) => {
            map.remove("managedFields");
            for (key, value) in map.iter_mut() {
                match value {
                    _ if key == REPEATED || is_environment(key) => hide(value),
                    Value::Array(items) if key == "env" || key == "httpHeaders" => {
                        items.iter_mut().for_each(hide_value);
                    }
                    Value::String(_) if is_secret(key) => hide(value),
                    value => document(value),
                }
            }
        }
        Value::Array(items) => {
            // `--password`, and the password behind it.
            let mut is_next = false;
            for item in items {
                let flag = item.as_str().is_some_and(is_flag);
                match item {
                    Value::String(_) if is_next && !flag => hide(item),
                    item => document(item),
                }
                is_next = flag;
            }
        }
        Value::String(string) => {
            let redacted = match text(string) {
                Cow::Owned(redacted) => Some(redacted),
                Cow::Borrowed(_) => None,
            };
            if let Some(redacted) = redacted {
                *string = redacted;
            }
        }
        Value::Null | Value::Bool(_) | Value::Number(_) => {}
    }
}

/// The value of a variable or header; its name stays, and where the value comes from.
fn hide_value(item: &mut Value) {
    match item.get_mut("value") {
        Some(value) => hide(value),
        None => document(item),
    }
}

fn hide(value: &mut Value) {
    *value = Value::String(REDACTED.to_owned());
}

/// Falco's fields that hold a whole environment.
fn is_environment(key: &str) -> bool {
    ["proc.env", "proc.aenv", "proc.penv"].iter().any(|field| key.starts_with(field))
}

/// Names of Secrets are no secrets.
fn is_secret(key: &str) -> bool {
    !key.ends_with("Name") && NAME.as_ref().is_some_and(|name| name.is_match(key))
}

fn is_flag(text: &str) -> bool {
    text.starts_with('-') && !text.contains(['=', ' ']) && is_secret(text)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::json;

    use super::*;

    #[test]
    fn every_pattern_is_one() {
        assert_eq!(PATTERNS.len(), 9);
        assert!(NAME.is_some() && KEY.is_some() && KEYS_LINES.is_some());
    }

    #[test]
    fn what_looks_like_a_secret_is_taken_out_of_text() {
        let table = [
            ("mysql -u root --password hunter2 db", "mysql -u root --password [redacted] db"),
            ("mysql --password=hunter2 db", "mysql --password=[redacted] db"),
            ("DB_PASSWORD=hunter2 ./run", "DB_PASSWORD=[redacted] ./run"),
            (r#"{"apiKey": "hunter2", "a": 1}"#, r#"{"apiKey": "[redacted]", "a": 1}"#),
            (
                "curl -H 'Authorization: Bearer abc.def' x",
                "curl -H 'Authorization: Bearer [redacted]' x",
            ),
            ("Authorization: Basic aHVudGVyMg==", "Authorization: Basic [redacted]"),
            (
                "git clone https://me:hunter2@git.example/x",
                "git clone https://me:[redacted]@git.example/x",
            ),
            ("?access_key=hunter2&page=2", "?access_key=[redacted]&page=2"),
            ("key AKIAIOSFODNN7EXAMPLE.", "key [redacted]."),
            ("jwt eyJhbGciOi.eyJzdWIiOi.abc-_", "jwt [redacted]"),
            ("ghp_abcdefghijklmnopqrst", "[redacted]"),
            (
                "-----BEGIN RSA PRIVATE KEY-----\nMIIE\n-----END RSA PRIVATE KEY-----\nrest",
                "-----BEGIN RSA PRIVATE KEY-----[redacted]\nrest",
            ),
            ("-----BEGIN PRIVATE KEY-----\nMIIE", "-----BEGIN PRIVATE KEY-----[redacted]"),
        ];
        for (raw, kept) in table {
            assert_eq!(text(raw), kept, "{raw}");
        }
    }

    #[test]
    fn a_private_key_that_was_cut_in_front_is_taken_out() {
        let line = "Ab+/".repeat(16);
        let time = "2026-11-21T12:00:00.123456789Z ";
        let end = "-----END RSA PRIVATE KEY-----";
        let lines = |time: &str, count: usize| format!("{time}{line}\n").repeat(count);
        let far = format!("{}{end}\nrest", "served\n".repeat(LONGEST_KEY / 7 + 1));
        let table = [
            (format!("{line}\nAb==\n{end}\nrest"), "[redacted]\nrest".to_owned()),
            (format!("Ab==\n{end}\nrest"), "[redacted]\nrest".to_owned()),
            (format!("{end}\nrest"), "[redacted]\nrest".to_owned()),
            (
                format!("{}{time}Ab==\n{time}{end}\n{time}rest", lines(time, 20)),
                format!("[redacted]\n{time}rest"),
            ),
            (
                "Ab==\n-----END PGP PRIVATE KEY BLOCK-----\nrest".to_owned(),
                "[redacted]\nrest".to_owned(),
            ),
            // No end: it was cut there as well.
            (format!("{}the rest", lines("", 3)), "[redacted]\nthe rest".to_owned()),
            (format!("{}{time}Ab=", lines(time, 9)), "[redacted]".to_owned()),
            (lines("", 3).replace('\n', "\r\n"), "[redacted]\n".to_owned()),
            (format!("{}x y", lines("", 2)), format!("{}x y", lines("", 2))),
            (format!("a line\n{}", lines("", 5)), format!("a line\n{}", lines("", 5))),
            // Nothing that fell off the front ends so far on.
            (far.clone(), far),
            (
                format!(
                    "a line\n-----BEGIN PRIVATE KEY-----\n{line}\n-----END PRIVATE KEY-----\nrest"
                ),
                "a line\n-----BEGIN PRIVATE KEY-----[redacted]\nrest".to_owned(),
            ),
        ];
        for (raw, kept) in table {
            assert_eq!(text(&raw), kept, "{raw}");
        }
    }

    #[test]
    fn plain_text_stays_as_it_is() {
        for plain in
            ["sh -c uptime", "GET /index.html 200", "the keyboard", "https://host:8080/a", "a=b"]
        {
            assert!(matches!(text(plain), Cow::Borrowed(_)), "{plain}");
        }
    }

    #[test]
    fn secrets_are_taken_out_of_documents_by_place_and_by_name() {
        let mut pod = json!({
            "metadata": {
                "managedFields": [1],
                "annotations": {REPEATED: "{\"env\": 1}", "acme/api-key": "hunter2", "team": "shop"}
            },
            "spec": {
                "containers": [{
                    "env": [
                        {"name": "GREETING", "value": "hello"},
                        {"name": "KEY", "valueFrom": {"secretKeyRef": {"name": "s", "key": "k"}}}
                    ],
                    "command": ["run", "--token", "hunter2", "--verbose", "yes"],
                    "args": ["--db-password=hunter2"],
                    "livenessProbe": {"httpGet": {"httpHeaders": [{"name": "X-Auth", "value": "hunter2"}]}}
                }],
                "initContainers": [{"env": [{"name": "A", "value": "hunter2"}]}],
                "volumes": [{"secret": {"secretName": "web-tls"}}],
                "automountServiceAccountToken": false
            }
        });
        document(&mut pod);
        let text = pod.to_string();
        assert!(!text.contains("hunter2") && !text.contains("hello"), "{text}");
        let container = &pod["spec"]["containers"][0];
        assert_eq!(container["env"][0], json!({"name": "GREETING", "value": REDACTED}));
        assert_eq!(container["env"][1]["valueFrom"]["secretKeyRef"]["name"], "s");
        assert_eq!(container["command"], json!(["run", "--token", REDACTED, "--verbose", "yes"]));
        assert_eq!(pod["spec"]["volumes"][0]["secret"]["secretName"], "web-tls");
        assert_eq!(
            pod["metadata"],
            json!({"annotations": {REPEATED: REDACTED, "acme/api-key": REDACTED, "team": "shop"}})
        );
        assert_eq!(pod["spec"]["automountServiceAccountToken"], false);
    }

    #[test]
    fn an_events_environment_is_taken_out() {
        let mut event = json!({"output_fields": {
            "proc.env": "A=hunter2", "proc.aenv[1]": "A=hunter2",
            "proc.cmdline": "curl --token hunter2", "proc.name": "curl"
        }});
        document(&mut event);
        assert!(!event.to_string().contains("hunter2"), "{event}");
        assert_eq!(event["output_fields"]["proc.name"], "curl");
    }

    proptest! {
        #[test]
        fn no_text_makes_it_fail(raw in any::<String>()) {
            let once = text(&raw).into_owned();
            prop_assert!(once.len() <= raw.len() * 12 + 12);
        }
    }
}
