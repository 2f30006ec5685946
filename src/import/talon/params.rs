//! Parameters, which templates, rules and files add to each other.

use std::collections::BTreeMap;

use playbooks::decide::yaml::Error;
use serde_json::Value;

use crate::import::{
    Remark,
    source::{Node, text},
};

/// `parameters`, each with the place where it was said last.
#[derive(Debug, Clone, Default)]
pub(super) struct Params(BTreeMap<String, (Value, Node)>);

/// Who is asked first where both say something.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Other {
    /// A later file: it replaces what is there, and its lists come after.
    Later,
    /// The template of a rule's action: what is there stays, and its lists come before.
    Template,
}

impl Params {
    pub(super) fn read(node: &Node) -> Result<Params, Error> {
        let each = |key: String| node.key(&key).map(|below| (key, (below.value().clone(), below)));
        Ok(Params(node.keys()?.into_iter().filter_map(each).collect()))
    }

    /// As Talon merges: lists are joined, mappings take the other's entries, of scalars one wins. What differs in type is
    /// passed over.
    pub(super) fn merge(&mut self, other: &Params, which: Other, remarks: &mut Vec<Remark>) {
        for (key, (value, node)) in &other.0 {
            let Some((ours, place)) = self.0.get_mut(key) else {
                self.0.insert(key.clone(), (value.clone(), node.clone()));
                continue;
            };
            match (ours, value) {
                (Value::Array(ours), Value::Array(theirs)) => {
                    let at = if which == Other::Later { ours.len() } else { 0 };
                    ours.splice(at..at, theirs.iter().cloned());
                }
                (Value::Object(ours), Value::Object(theirs)) => {
                    ours.extend(theirs.iter().map(|(key, value)| (key.clone(), value.clone())));
                }
                (ours, theirs) if kind(ours) != kind(theirs) => {
                    let why =
                        format!("`{key}` is of another type elsewhere, and Talon passes over it");
                    remarks.push(Remark::differs(node, why, "write both alike"));
                }
                (ours, theirs) if which == Other::Later => {
                    *ours = theirs.clone();
                    *place = node.clone();
                }
                _ => {}
            }
        }
    }

    /// What Talon doesn't know, and what no counterpart is for, has to be named here once.
    pub(super) fn unknown(&self, known: &[&str]) -> Vec<Remark> {
        let strange = self.0.iter().filter(|(key, _)| !known.contains(&key.as_str()));
        let remark = |(key, (_, node)): (&String, &(Value, Node))| {
            let why = format!("Talon doesn't know the parameter `{key}` here and passes over it");
            let help = match known {
                [] => "there is none here".to_owned(),
                known => format!("known here: {}", known.join(", ")),
            };
            Remark::differs(node, why, help)
        };
        strange.map(remark).collect()
    }

    pub(super) fn node(&self, key: &str) -> Option<&Node> {
        self.0.get(key).map(|(_, node)| node)
    }

    pub(super) fn text(&self, key: &str) -> Option<String> {
        text(&self.0.get(key)?.0)
    }

    pub(super) fn is_true(&self, key: &str) -> bool {
        self.0.get(key).is_some_and(|(value, _)| *value == Value::Bool(true))
    }

    /// A whole number, not negative.
    pub(super) fn number(&self, key: &str) -> Option<u64> {
        self.0.get(key)?.0.as_u64()
    }

    /// The texts of a list.
    pub(super) fn list(&self, key: &str) -> Vec<String> {
        match self.0.get(key) {
            Some((Value::Array(items), _)) => items.iter().filter_map(text).collect(),
            _ => Vec::new(),
        }
    }

    /// The texts of a mapping.
    pub(super) fn mapping(&self, key: &str) -> Vec<(String, String)> {
        match self.0.get(key) {
            Some((Value::Object(entries), _)) => {
                let entry = |(key, value): (&String, &Value)| Some((key.clone(), text(value)?));
                entries.iter().filter_map(entry).collect()
            }
            _ => Vec::new(),
        }
    }
}

/// As Go tells values apart.
fn kind(value: &Value) -> &'static str {
    match value {
        Value::Null => "null",
        Value::Bool(_) => "bool",
        Value::Number(number) if number.is_f64() => "float",
        Value::Number(_) => "int",
        Value::String(_) => "string",
        Value::Array(_) => "list",
        Value::Object(_) => "mapping",
    }
}
