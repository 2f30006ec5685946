//! The text of a draft: a playbook, with what is remarked as comments where it belongs.

use std::fmt::Write;

use playbooks::decide::yaml;
use serde_json::{Value, json};

use super::{Draft, draft::Item, names::one_line};

/// How long a comment's line is.
const WIDTH: usize = 110;

impl Draft {
    /// A YAML document that `stoop check` reads; nothing but comments where no playbook came of the rule.
    pub fn text(&self) -> String {
        let mut out = String::new();
        comment(&mut out, 0, &self.from);
        if let Some(description) = &self.description {
            comment(&mut out, 0, description);
        }
        for remark in &self.remarks {
            comment(&mut out, 0, &remark.comment());
        }
        if !self.is_playbook() {
            for item in &self.items {
                remarks(&mut out, 0, item);
            }
            return out;
        }
        let needs = self.needs.text();
        if !needs.is_empty() {
            comment(&mut out, 0, "stoop.yaml has to have:");
            for line in needs.lines() {
                out.push_str(format!("#   {line}").trim_end());
                out.push('\n');
            }
        }
        let head = format!(
            "apiVersion: stoop.dev/v1alpha1\nkind: Playbook\nmetadata:\n  name: {}\nspec:\n  mode: {}\n",
            self.name,
            self.mode.as_str()
        );
        out.push_str(&head);
        block(&mut out, 2, &json!({"match": self.matching}));
        out.push_str("  actions:\n");
        for item in &self.items {
            remarks(&mut out, 4, item);
            for step in &item.steps {
                block(&mut out, 4, &json!([step.written()]));
            }
        }
        out
    }
}

fn remarks(out: &mut String, indent: usize, item: &Item) {
    for remark in &item.remarks {
        comment(out, indent, &remark.comment());
    }
}

/// A comment, on as many lines as it takes.
fn comment(out: &mut String, indent: usize, text: &str) {
    let text = one_line(text);
    let mut line = String::new();
    let mut prefix = "# ";
    for word in text.split_whitespace() {
        if !line.is_empty() && indent + prefix.len() + line.chars().count() + word.len() > WIDTH {
            let _ = writeln!(out, "{:indent$}{prefix}{line}", "");
            line.clear();
            prefix = "#   ";
        }
        if !line.is_empty() {
            line.push(' ');
        }
        line.push_str(word);
    }
    let _ = writeln!(out, "{:indent$}{prefix}{line}", "");
}

/// A value as YAML, moved to the right.
fn block(out: &mut String, indent: usize, value: &Value) {
    // What serde_json holds can be written; what could not be read again is found by `Draft::checked`.
    let text = yaml::print(value).unwrap_or_default();
    for line in text.trim_end_matches('\n').split('\n') {
        let indent = if line.is_empty() { 0 } else { indent };
        let _ = writeln!(out, "{:indent$}{line}", "");
    }
}
