//! `match`: which events.
//!
//! A condition that can't be kept takes the rule along: without it the playbook would answer more than the rule did.

use playbooks::decide::Priority;
use serde_json::{Map, Value, json};

use super::document::Matching;
use crate::import::{Remark, names::literal, source::Text};

/// The field that says which namespace. What it says is a claim: where the pod is verified, its namespace is asked.
const NAMESPACE: &str = "k8s.ns.name";

/// One comparison of `output_fields`.
#[derive(Debug, Clone)]
pub(super) struct Comparison {
    key: String,
    equal: bool,
    value: String,
}

impl Comparison {
    /// True where Talon finds at most one of both true of an event.
    pub(super) fn contradicts(&self, other: &Comparison) -> bool {
        // Talon passes over some of these, and then they are true of everything.
        let is_read = |it: &Comparison| !it.value.contains(['=', '!']);
        let contradict = match (self.equal, other.equal) {
            (true, true) => self.value != other.value,
            (false, false) => false,
            _ => self.value == other.value,
        };
        self.key == other.key && contradict && is_read(self) && is_read(other)
    }
}

/// What is written below `match`, and what there is to say about it.
pub(super) type Kept = (Map<String, Value>, Vec<Remark>);

/// What is written below `match`, and remarks on it; only remarks where it can't be kept.
pub(super) fn read(written: &Matching, has_target: bool) -> Result<Kept, Vec<Remark>> {
    let (mut out, mut remarks, mut lost) = (Map::new(), Vec::new(), Vec::new());
    let mut when = Vec::new();
    if !written.rules.is_empty() {
        let names = written.rules.iter().map(|rule| literal(&rule.text));
        out.insert("rules".to_owned(), names.collect());
    }
    if let Some(written) = &written.priority {
        match priority(&written.text) {
            Some(text) => drop(out.insert("priority".to_owned(), text.into())),
            None => {
                let why = "this is no comparison with a priority, and Talon refuses the file";
                lost.push(Remark::lost(&written.node, why, "write `>=Warning`"));
            }
        }
    }
    if let Some(source) = &written.source {
        out.insert("sources".to_owned(), json!([source.text]));
    }
    tags(&written.tags, &mut out, &mut when);
    match groups(&written.fields, &mut remarks) {
        Ok(groups) => fields(groups, has_target, &mut out, &mut when),
        Err(remark) => lost.push(remark),
    }
    if !when.is_empty() {
        out.insert("when".to_owned(), when.join(" && ").into());
    }
    if out.is_empty() {
        out.insert("rules".to_owned(), json!(["*"]));
    }
    if lost.is_empty() { Ok((out, remarks)) } else { Err(lost) }
}

/// `>=Warning` as it is written here.
fn priority(text: &str) -> Option<String> {
    let name = text.trim_start_matches(['<', '>', '=']);
    let operator = text.strip_suffix(name)?;
    let priority: Priority = name.parse().ok()?;
    match operator {
        "" | "=" => Some(priority.as_str().to_owned()),
        "<" | "<=" | ">" | ">=" => Some(format!("{operator} {}", priority.as_str())),
        _ => None,
    }
}

/// One item is enough, and of an item all of its tags.
fn tags(written: &[Text], out: &mut Map<String, Value>, when: &mut Vec<String>) {
    let split = |text: &Text| {
        let text = text.text.replace(' ', "");
        text.split(',').map(str::to_owned).collect::<Vec<_>>()
    };
    let groups: Vec<_> = written.iter().map(split).collect();
    if groups.is_empty() {
        return;
    }
    if groups.iter().all(|group| group.len() == 1) {
        out.insert("tags".to_owned(), groups.concat().into());
        return;
    }
    let all = |group: &Vec<String>| {
        let each = group.iter().map(|tag| format!("{} in tags", quoted(tag)));
        each.collect::<Vec<_>>().join(" && ")
    };
    when.push(any(groups.iter().map(all).collect()));
}

pub(super) fn groups(
    written: &[Text],
    remarks: &mut Vec<Remark>,
) -> Result<Vec<Vec<Comparison>>, Remark> {
    let group = |item: &Text| {
        let text = item.text.replace(", ", ",");
        text.split(',').map(|text| comparison(item, text, remarks)).collect()
    };
    written.iter().map(group).collect()
}

/// As Talon reads it, which trims nothing.
fn comparison(item: &Text, text: &str, remarks: &mut Vec<Remark>) -> Result<Comparison, Remark> {
    let lost = |why: String, help: &str| Remark::lost(&item.node, why, help);
    let help = "write `field=value` or `field!=value`";
    let is_key =
        |key: &str| key.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '.' | '[' | ']'));
    let (key, equal, value) = text
        .split_once('=')
        .map(|(left, value)| match left.strip_suffix('!') {
            Some(key) => (key, false, value),
            None => (left, true, value),
        })
        .filter(|(key, ..)| is_key(key))
        .ok_or_else(|| {
            lost(format!("`{text}` is no comparison, and Talon refuses the file"), help)
        })?;
    if key.is_empty() {
        return Err(lost("a comparison without a field, which Talon refuses".to_owned(), help));
    }
    // Talon keeps `!=` as `!`, in a value too.
    let value = value.replace("!=", "!").replace('"', "");
    let is_split = value.contains(if equal { '=' } else { '!' });
    match (equal, value.contains('=')) {
        (false, true) => {
            let why =
                "Talon takes what is before the second `=` for a field, so that this is never true";
            return Err(lost(why.to_owned(), "compare with a value without `=`"));
        }
        _ if is_split => {
            let how = "Talon does not understand this value, and passes over the comparison";
            remarks.push(Remark::differs(&item.node, how, "here it holds as it is written"));
        }
        _ => {}
    }
    if equal && is_missing(&value) {
        let why = format!("`{text}` asks for a field that is sent without a value");
        let help =
            "here that is as good as no field: `when: fields[\"NAME\"] == null` asks for both";
        return Err(lost(why, help));
    }
    if !equal && (value.starts_with('[') || value.starts_with("map[")) {
        let why = format!("`{text}` excludes a list by Go's text of it");
        return Err(lost(why, "exclude it in `when`, as a list"));
    }
    if value.trim() != value {
        let how = format!("`{text}` has spaces around its value, which count, in Talon as here");
        remarks.push(Remark::differs(&item.node, how, "take them out where they aren't meant"));
    }
    Ok(Comparison { key: key.to_owned(), equal, value })
}

/// Values that Falco sends for none, and Go's text of `null`: here they are `null`.
fn is_missing(value: &str) -> bool {
    matches!(value, "" | "<NA>" | "<no value>" | "<nil>")
}

/// One group is enough, and of a group all comparisons.
fn fields(
    groups: Vec<Vec<Comparison>>,
    has_target: bool,
    out: &mut Map<String, Value>,
    when: &mut Vec<String>,
) {
    let mut groups = groups;
    let [group] = groups.as_mut_slice() else {
        if groups.is_empty() {
            return;
        }
        match same_key(&groups) {
            Some((key, values)) => place(key, values, has_target, out),
            None => when.push(any(groups.iter().map(|group| all(group)).collect())),
        }
        return;
    };
    let equal = |group: &[Comparison], key: &str| {
        group.iter().filter(|it| it.equal && it.key == key).count()
    };
    let (simple, mut rest): (Vec<_>, Vec<_>) =
        std::mem::take(group).into_iter().partition(|it| it.equal);
    for comparison in &simple {
        match equal(&simple, &comparison.key) {
            1 => place(&comparison.key, vec![comparison.value.clone()], has_target, out),
            // Two values at once hold for no event: that is for `when` to say.
            _ => rest.push(comparison.clone()),
        }
    }
    if has_target {
        let (excluded, others) = rest
            .into_iter()
            .partition(|it| !it.equal && it.key == NAMESPACE && !is_missing(&it.value));
        rest = others;
        exclude(excluded, out);
    }
    if !rest.is_empty() {
        when.push(all(&rest));
    }
}

/// The one field that every group compares with one value, and the values.
fn same_key(groups: &[Vec<Comparison>]) -> Option<(&str, Vec<String>)> {
    let key = &groups.first()?.first()?.key;
    let value = |group: &Vec<Comparison>| match group.as_slice() {
        [only] if only.equal && only.key == *key => Some(only.value.clone()),
        _ => None,
    };
    Some((key, groups.iter().map(value).collect::<Option<_>>()?))
}

fn place(key: &str, values: Vec<String>, has_target: bool, out: &mut Map<String, Value>) {
    let values: Vec<_> = values.iter().map(|value| literal(value)).collect();
    let (outer, inner) = match has_target && key == NAMESPACE {
        true => ("namespaces", "include"),
        false => ("fields", key),
    };
    if let Value::Object(map) = out.entry(outer).or_insert_with(|| json!({})) {
        map.insert(inner.to_owned(), values.into());
    }
}

fn exclude(excluded: Vec<Comparison>, out: &mut Map<String, Value>) {
    let names: Vec<_> = excluded.iter().map(|it| literal(&it.value)).collect();
    if !names.is_empty()
        && let Value::Object(map) = out.entry("namespaces").or_insert_with(|| json!({}))
    {
        map.insert("exclude".to_owned(), names.into());
    }
}

/// In CEL. A field that isn't there is `null`, which equals nothing, as in Talon.
fn all(group: &[Comparison]) -> String {
    let each = group.iter().map(|Comparison { key, equal, value }| {
        let field = format!("fields[{}]", quoted(key));
        let (operator, joint) = if *equal { ("==", " || ") } else { ("!=", " && ") };
        let forms = if *equal { equal_forms(value) } else { excluded_forms(value) };
        let each: Vec<_> = forms.iter().map(|form| format!("{field} {operator} {form}")).collect();
        match each.len() > 1 && *equal {
            true => format!("({})", each.join(joint)),
            false => each.join(joint),
        }
    });
    each.collect::<Vec<_>>().join(" && ")
}

fn any(groups: Vec<String>) -> String {
    match groups.as_slice() {
        [one] => one.clone(),
        many => format!("({})", many.join(" || ")),
    }
}

/// Falco sends some fields as numbers and some as flags; Talon compares their texts.
fn equal_forms(value: &str) -> Vec<String> {
    let mut forms = vec![quoted(value)];
    let is_literal = value == "true"
        || value == "false"
        || value.parse::<i64>().is_ok_and(|number| number.to_string() == value);
    if is_literal {
        forms.push(value.to_owned());
    }
    forms
}

/// Whatever Talon could read that text from: what is excluded there is never answered here.
fn excluded_forms(value: &str) -> Vec<String> {
    let mut forms = equal_forms(value);
    if is_missing(value) {
        forms.push("null".to_owned());
    }
    let number = value.parse::<f64>().ok().filter(|number| number.is_finite());
    if let (1, Some(number)) = (forms.len(), number) {
        forms.push(format!("{number:?}"));
    }
    forms
}

/// A text in CEL, whose escapes are JSON's.
fn quoted(text: &str) -> String {
    Value::from(text).to_string()
}
