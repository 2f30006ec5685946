//! What a rules file says, before anything is put together.

use playbooks::decide::yaml::{self, Error};

use super::params::Params;
use crate::import::{
    Remark,
    names::one_line,
    source::{Node, Text},
};

/// What one file's list holds, in its order.
#[derive(Debug)]
pub(super) enum Entry {
    Template(Box<Action>),
    Rule(Box<Rule>),
}

#[derive(Debug, Clone)]
pub(super) struct Action {
    pub(super) name: Text,
    pub(super) description: Option<String>,
    pub(super) actionner: Option<Text>,
    /// `continue`
    pub(super) goes_on: Option<bool>,
    pub(super) ignores_errors: Option<bool>,
    pub(super) contexts: Vec<Text>,
    pub(super) params: Params,
    pub(super) output: Output,
}

#[derive(Debug, Clone, Default)]
pub(super) struct Output {
    pub(super) target: Option<Text>,
    pub(super) params: Params,
}

#[derive(Debug)]
pub(super) struct Rule {
    pub(super) name: Text,
    pub(super) description: Option<String>,
    pub(super) goes_on: Option<bool>,
    pub(super) dry_run: Option<bool>,
    pub(super) actions: Vec<Action>,
    pub(super) notifiers: Vec<Text>,
    pub(super) matching: Matching,
}

/// `match`, as it is written.
#[derive(Debug, Default)]
pub(super) struct Matching {
    pub(super) rules: Vec<Text>,
    pub(super) priority: Option<Text>,
    pub(super) source: Option<Text>,
    pub(super) tags: Vec<Text>,
    pub(super) fields: Vec<Text>,
}

impl Rule {
    /// True where Talon looks at no rule after this one that matches.
    pub(super) fn is_last(&self) -> bool {
        self.goes_on == Some(false)
    }

    pub(super) fn is_dry_run(&self) -> bool {
        self.dry_run == Some(true)
    }
}

/// Reads all files.
///
/// # Errors
///
/// What Talon would refuse to start with, as far as a shape goes.
pub(super) fn read(
    files: &[(String, String)],
    remarks: &mut Vec<Remark>,
) -> Result<Vec<Entry>, Vec<Error>> {
    let (mut entries, mut errors) = (Vec::new(), Vec::new());
    for (name, text) in files {
        let nodes = yaml::parse(&one_line(name), text)
            .map(Node::root)
            .and_then(|root| if root.value().is_null() { Ok(Vec::new()) } else { root.items() });
        match nodes {
            Err(error) => errors.push(error),
            Ok(nodes) => {
                for node in nodes {
                    match entry(&node, remarks) {
                        Ok(read) => entries.extend(read),
                        Err(error) => errors.push(error),
                    }
                }
            }
        }
    }
    if errors.is_empty() { Ok(entries) } else { Err(errors) }
}

/// Talon reads each item both as an action and as a rule, by its name.
fn entry(node: &Node, remarks: &mut Vec<Remark>) -> Result<Vec<Entry>, Error> {
    let keys = node.keys()?;
    let is = |key: &str| keys.iter().any(|is| is == key);
    let mut entries = Vec::new();
    if is("action") {
        entries.extend(action(node, is("rule"), remarks)?.map(Box::new).map(Entry::Template));
    }
    if is("rule") {
        entries.extend(rule(node, is("action"), remarks)?.map(Box::new).map(Entry::Rule));
    }
    if entries.is_empty() {
        let why = "it is called neither a rule nor an action, and Talon passes over it";
        remarks.push(Remark::lost(node, why, "begin with `- rule: NAME` or `- action: NAME`"));
    }
    Ok(entries)
}

const ACTION: [&str; 8] = [
    "action",
    "actionner",
    "additional_contexts",
    "continue",
    "description",
    "ignore_errors",
    "output",
    "parameters",
];
const RULE: [&str; 7] =
    ["rule", "actions", "continue", "description", "dry_run", "match", "notifiers"];
const MATCH: [&str; 5] = ["output_fields", "priority", "rules", "source", "tags"];

fn action(node: &Node, both: bool, remarks: &mut Vec<Remark>) -> Result<Option<Action>, Error> {
    if !both {
        unknown(node, &ACTION, remarks)?;
    }
    let Some(name) = text(node, "action")? else { return Ok(None) };
    let output = match node.key("output") {
        None => Output::default(),
        Some(output) => {
            unknown(&output, &["parameters", "target"], remarks)?;
            Output { target: text(&output, "target")?, params: params(&output)? }
        }
    };
    Ok(Some(Action {
        name,
        description: text(node, "description")?.map(|description| description.text),
        actionner: text(node, "actionner")?,
        goes_on: flag(node, "continue")?,
        ignores_errors: flag(node, "ignore_errors")?,
        contexts: texts(node, "additional_contexts")?,
        params: params(node)?,
        output,
    }))
}

fn rule(node: &Node, both: bool, remarks: &mut Vec<Remark>) -> Result<Option<Rule>, Error> {
    if !both {
        unknown(node, &RULE, remarks)?;
    }
    let Some(name) = text(node, "rule")? else { return Ok(None) };
    let mut actions = Vec::new();
    for written in node.key("actions").map(|list| list.items()).transpose()?.unwrap_or_default() {
        match action(&written, false, remarks)? {
            Some(action) => actions.push(action),
            None => {
                let help = "write `- action: NAME`";
                return Err(written.fault("an action without a name, which Talon refuses", help));
            }
        }
    }
    let matching = match node.key("match") {
        None => Matching::default(),
        Some(written) => {
            unknown(&written, &MATCH, remarks)?;
            Matching {
                rules: texts(&written, "rules")?,
                priority: text(&written, "priority")?,
                source: text(&written, "source")?,
                tags: texts(&written, "tags")?,
                fields: texts(&written, "output_fields")?,
            }
        }
    };
    Ok(Some(Rule {
        name,
        description: text(node, "description")?.map(|description| description.text),
        goes_on: flag(node, "continue")?,
        dry_run: flag(node, "dry_run")?,
        actions,
        notifiers: texts(node, "notifiers")?,
        matching,
    }))
}

/// An empty text is as good as none.
fn text(node: &Node, key: &str) -> Result<Option<Text>, Error> {
    let Some(node) = node.key(key) else { return Ok(None) };
    let text = node.text()?;
    Ok((!text.is_empty()).then_some(Text { text, node }))
}

fn texts(node: &Node, key: &str) -> Result<Vec<Text>, Error> {
    node.key(key).map(|list| list.texts()).transpose().map(Option::unwrap_or_default)
}

fn flag(node: &Node, key: &str) -> Result<Option<bool>, Error> {
    match text(node, key)? {
        None => Ok(None),
        Some(Text { text, .. }) if text == "true" => Ok(Some(true)),
        Some(Text { text, .. }) if text == "false" => Ok(Some(false)),
        Some(Text { node, .. }) => {
            Err(node.fault("Talon takes true and false here alone", "write `true` or `false`"))
        }
    }
}

fn params(node: &Node) -> Result<Params, Error> {
    node.key("parameters")
        .map(|written| Params::read(&written))
        .transpose()
        .map(Option::unwrap_or_default)
}

/// What Talon passes over in silence was meant for something.
fn unknown(node: &Node, known: &[&str], remarks: &mut Vec<Remark>) -> Result<(), Error> {
    for key in node.keys()? {
        if !known.contains(&key.as_str())
            && let Some(below) = node.key(&key)
        {
            let why = format!("Talon doesn't know the key `{key}` here and passes over it");
            let help = format!("known here: {}", known.join(", "));
            remarks.push(Remark::differs(&below, why, help));
        }
    }
    Ok(())
}
