//! A playbook to be: its parts, and what is remarked beside each.

use std::sync::Arc;

use playbooks::{
    act::{Registry, Resources},
    decide::{Mode, Playbook, read_text, yaml},
};
use serde_json::{Map, Value, json};

use super::{Needs, Remark, source::Node};

/// What one rule became.
#[derive(Clone, Debug)]
pub struct Draft {
    pub(super) name: String,
    /// Where the rule is, and what it is called there.
    pub(super) from: String,
    pub(super) description: Option<String>,
    pub(super) mode: Mode,
    pub(super) matching: Map<String, Value>,
    pub(super) items: Vec<Item>,
    /// About the rule as a whole.
    pub(super) remarks: Vec<Remark>,
    pub(super) needs: Needs,
}

/// One action of the rule: the steps that it became, if any.
#[derive(Clone, Debug, Default)]
pub(super) struct Item {
    pub(super) remarks: Vec<Remark>,
    pub(super) steps: Vec<Step>,
}

/// One step of the playbook.
#[derive(Clone, Debug)]
pub(super) struct Step {
    pub(super) action: &'static str,
    pub(super) config: Value,
    /// `stop` or `continue`, where it is not the action's own default.
    pub(super) on_failure: Option<&'static str>,
}

impl Step {
    pub(super) fn new(action: &'static str, config: Value) -> Step {
        Step { action, config, on_failure: None }
    }

    /// True where it acts on a pod or its node, so that the pod is verified.
    pub(super) fn has_target(&self) -> bool {
        !matches!(self.action, "call" | "notify")
    }

    pub(super) fn written(&self) -> Value {
        let mut step = json!({self.action: self.config});
        if let (Some(what), Value::Object(step)) = (self.on_failure, &mut step) {
            step.insert("onFailure".to_owned(), what.into());
        }
        step
    }

    /// Why the action would refuse it, with the fix. What depends on a worker's configuration is left to `stoop check`.
    pub(super) fn refusal(&self) -> Option<(String, String)> {
        if matches!(self.action, "call" | "capture" | "notify") {
            return None;
        }
        let probe = json!({
            "apiVersion": "stoop.dev/v1alpha1", "kind": "ClusterPlaybook", "metadata": {"name": "probe"},
            "spec": {"match": {"rules": ["*"]}, "actions": [self.written()]},
        });
        let bound = Playbook::from_value("probe", probe).and_then(|playbook| {
            Registry::standard().bind(&Arc::new(playbook), &Resources::default()).map(drop)
        });
        let error = bound.err()?.into_iter().next()?;
        Some((error.message().to_owned(), error.help().to_owned()))
    }
}

impl Draft {
    /// `metadata.name`.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// True where a playbook came of it.
    pub fn is_playbook(&self) -> bool {
        self.steps().next().is_some()
    }

    /// What it wants of `stoop.yaml`.
    pub fn needs(&self) -> &Needs {
        &self.needs
    }

    pub(super) fn steps(&self) -> impl Iterator<Item = &Step> {
        self.items.iter().flat_map(|item| &item.steps)
    }

    pub(super) fn remarks(&self) -> impl Iterator<Item = &Remark> {
        self.remarks.iter().chain(self.items.iter().flat_map(|item| &item.remarks))
    }

    /// Without the steps that can't stand as they are, and without any where the whole can't.
    pub(super) fn checked(mut self, at: &Node) -> Draft {
        for item in &mut self.items {
            let (remarks, steps) = (&mut item.remarks, &mut item.steps);
            steps.retain(|step| match step.refusal() {
                None => true,
                Some((why, help)) => {
                    remarks.push(Remark::lost(at, format!("{}: {why}", step.action), help));
                    false
                }
            });
        }
        if let (true, Err((why, help))) = (self.is_playbook(), self.read_again()) {
            self.give_up(Remark::lost(at, why, help));
        }
        self
    }

    /// Whether the text is a playbook that says what the draft says.
    fn read_again(&self) -> Result<(), (String, String)> {
        let text = self.text();
        let said = |error: &yaml::Error| (error.message().to_owned(), error.help().to_owned());
        let read = yaml::parse(&self.name, &text).map_err(|error| said(&error))?;
        let steps: Vec<_> = self.steps().map(Step::written).collect();
        let spec = json!({"mode": self.mode.as_str(), "match": self.matching, "actions": steps});
        if read.value.get("spec") != Some(&spec) {
            return Err(("it can't be written as YAML".to_owned(), String::new()));
        }
        let playbooks = read_text(&self.name, &text);
        let fault = playbooks.err().and_then(|all| all.into_iter().next());
        fault.map_or(Ok(()), |fault| Err(said(&fault)))
    }

    /// Leaves no step: the rule as a whole can't be kept.
    pub(super) fn give_up(&mut self, why: Remark) {
        self.remarks.push(why);
        self.items.iter_mut().for_each(|item| item.steps.clear());
        self.needs = Needs::default();
    }
}
