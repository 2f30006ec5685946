//! A part of a rules file that knows where it was written.

use std::sync::Arc;

use playbooks::decide::yaml::{Error, Located, Path};
use serde_json::Value;

/// A value and its place.
#[derive(Clone, Debug)]
pub(super) struct Node {
    document: Arc<Located>,
    path: Path,
}

impl Node {
    pub(super) fn root(document: Located) -> Node {
        Node { document: Arc::new(document), path: Path::root() }
    }

    /// A part of something that was never a file, such as flags.
    pub(super) fn named(name: &str) -> Node {
        Node::root(Located::from_value(name, Value::Null))
    }

    pub(super) fn value(&self) -> &Value {
        self.document.get(&self.path).unwrap_or(&Value::Null)
    }

    /// What is under `key`; `None` where nothing is, or `null`.
    pub(super) fn key(&self, key: &str) -> Option<Node> {
        let below = Node { document: Arc::clone(&self.document), path: self.path.key(key) };
        (!below.value().is_null()).then_some(below)
    }

    /// The items of a list; a text alone is no list here.
    pub(super) fn items(&self) -> Result<Vec<Node>, Error> {
        let Value::Array(items) = self.value() else {
            return Err(self.fault("expected a list", "write each item on a `-` line of its own"));
        };
        let item = |at| Node { document: Arc::clone(&self.document), path: self.path.index(at) };
        Ok((0..items.len()).map(item).collect())
    }

    /// The keys of a mapping.
    pub(super) fn keys(&self) -> Result<Vec<String>, Error> {
        match self.value() {
            Value::Object(entries) => Ok(entries.keys().cloned().collect()),
            _ => Err(self.fault("expected a mapping", "")),
        }
    }

    /// The text of a scalar, as Go's YAML reads any scalar into a string.
    pub(super) fn text(&self) -> Result<String, Error> {
        text(self.value()).ok_or_else(|| self.fault("expected a text", ""))
    }

    /// The texts of a list.
    pub(super) fn texts(&self) -> Result<Vec<Text>, Error> {
        let each = |node: Node| Ok(Text { text: node.text()?, node });
        self.items()?.into_iter().map(each).collect()
    }

    /// File and line, for a comment.
    pub(super) fn place(&self) -> String {
        match self.fault("", "").place() {
            Some(place) => format!("{}:{}", self.document.name(), place.line),
            None => self.document.name().to_owned(),
        }
    }

    /// A fault at its place.
    pub(super) fn fault(&self, message: impl Into<String>, help: impl Into<String>) -> Error {
        self.document.error_at(&self.path, message, help)
    }
}

/// A text and its place.
#[derive(Clone, Debug)]
pub(super) struct Text {
    pub(super) text: String,
    pub(super) node: Node,
}

/// The text of a scalar.
pub(super) fn text(value: &Value) -> Option<String> {
    match value {
        Value::String(text) => Some(text.clone()),
        Value::Number(number) => Some(number.to_string()),
        Value::Bool(flag) => Some(flag.to_string()),
        _ => None,
    }
}
