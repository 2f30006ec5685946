//! What imported playbooks want of `stoop.yaml`.

use playbooks::decide::yaml;
use serde_json::{Map, Value, json};

use super::{names::variable, source::Node};
use crate::import::Remark;

/// Keys of the configuration. The addresses and tokens in them are left to the environment.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Needs(Map<String, Value>);

impl Needs {
    /// As YAML; empty where nothing is needed.
    pub fn text(&self) -> String {
        match self.0.is_empty() {
            true => String::new(),
            // Keys, names and places are texts: that they can be written is what the tests are for.
            false => yaml::print(&Value::Object(self.0.clone())).unwrap_or_default(),
        }
    }

    /// True where nothing is needed.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Adds what another one wants; where both have a key, the first one's stays.
    pub(super) fn add(&mut self, other: &Needs) {
        merge(&mut self.0, &other.0);
    }

    pub(super) fn notifier(&mut self, name: &str, config: Value) {
        self.add(&Needs::of(json!({"notifiers": {name: config}})));
    }

    /// A function whose address is in the environment.
    pub(super) fn function(&mut self, name: &str, timeout: Option<u64>) {
        let mut config = json!({"url": {"env": format!("{}_URL", variable(name))}});
        if let (Some(seconds), Value::Object(config)) = (timeout, &mut config) {
            config.insert("timeout".to_owned(), format!("{seconds}s").into());
        }
        self.add(&Needs::of(json!({"functions": {name: config}})));
    }

    /// Somewhere to keep what is captured.
    pub(super) fn evidence(&mut self, url: &str, at: &Node) -> Option<Remark> {
        if let Some(first) = self.evidence_url().filter(|first| *first != url) {
            let how = format!("a worker keeps all evidence in one place, and that is {first}");
            return Some(Remark::differs(at, how, "let the store copy it on"));
        }
        self.keep_at(url);
        None
    }

    /// Where evidence is kept, where the other wants it elsewhere.
    pub(super) fn other_evidence(&self, other: &Needs) -> Option<String> {
        let ours = self.evidence_url()?;
        other.evidence_url().filter(|theirs| *theirs != ours).map(|_| ours.to_owned())
    }

    /// Evidence goes there, wherever it was to go.
    pub(super) fn keep_at(&mut self, url: &str) {
        self.0.insert("evidence".to_owned(), json!({"url": url}));
    }

    /// Jobs that keep what they capture in a folder hand it to the worker.
    pub(super) fn complete(mut self) -> Needs {
        let in_folder = self.evidence_url().is_some_and(|url| url.starts_with("file:"));
        if in_folder && self.0.contains_key("captureImage") {
            let uploads = json!({
                "url": "http://stoop-uploads.stoop:2809", "secret": {"env": "UPLOADS_SECRET"},
            });
            self.add(&Needs::of(json!({"evidence": {"uploads": uploads}})));
        }
        self
    }

    fn evidence_url(&self) -> Option<&str> {
        self.0.get("evidence")?.get("url")?.as_str()
    }

    /// A namespace and an image for capture jobs.
    pub(super) fn jobs(&mut self) {
        self.add(&Needs::of(json!({
            "captureNamespace": "stoop-captures",
            "captureImage": format!("registry.example/stoop-capture@sha256:{}", "0".repeat(64)),
        })));
    }

    fn of(value: Value) -> Needs {
        match value {
            Value::Object(keys) => Needs(keys),
            _ => Needs::default(),
        }
    }
}

fn merge(into: &mut Map<String, Value>, from: &Map<String, Value>) {
    for (key, value) in from {
        match (into.get_mut(key), value) {
            (Some(Value::Object(into)), Value::Object(from)) => merge(into, from),
            (Some(_), _) => {}
            (None, value) => {
                into.insert(key.clone(), value.clone());
            }
        }
    }
}
