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
        r"(?s)(-----BEGIN [A-Z ]*PRIVATE KEY-----).*?(?:-----END [A-Z ]*PRIVATE KEY-----|\z)".to_owned(),
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

static NAME: LazyLock<Option<Regex>> =
    LazyLock::new(|| Regex::new(&format!("(?i)(?:{NAMES})")).ok());

/// A text without its secrets.
pub(super) fn text(text: &str) -> Cow<'_, str> {
    PATTERNS.iter().fold(Cow::Borrowed(text), |text, pattern| {
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
        assert!(NAME.is_some());
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
