//! Each of Talon's actions, and the steps that come closest to it.

mod captures;
mod functions;
mod network;
mod nodes;
mod pods;

use serde_json::Value;

use super::document::Action;
use crate::import::{
    Needs, Remark,
    draft::{Item, Step},
};

impl Item {
    fn step(mut self, action: &'static str, config: Value) -> Item {
        self.steps.push(Step::new(action, config));
        self
    }

    fn lost(mut self, action: &Action, why: &str, instead: &str) -> Item {
        self.remarks.push(Remark::lost(&action.name.node, why, instead));
        self
    }

    fn differs(mut self, action: &Action, how: &str, what: &str) -> Item {
        self.remarks.push(Remark::differs(&action.name.node, how, what));
        self
    }
}

/// What one action became.
pub(super) fn item(action: &Action, needs: &mut Needs) -> Item {
    let Some(actionner) = &action.actionner else {
        let why = "no actionner, here or in a template of this name, and Talon refuses the file";
        return Item::default().lost(action, why, "write `actionner: kubernetes:terminate`");
    };
    let of = |known: &[&str]| Item { remarks: action.params.unknown(known), steps: Vec::new() };
    match actionner.text.as_str() {
        "kubernetes:terminate" => pods::terminate(action, of(&pods::TERMINATE)),
        "kubernetes:label" => pods::mark(action, "label", "labels", of(&["labels", "level"])),
        "kubernetes:annotation" => {
            pods::mark(action, "annotate", "annotations", of(&["annotations", "level"]))
        }
        "kubernetes:delete" => pods::delete(action, of(&[])),
        "kubernetes:networkpolicy" => network::kubernetes(action, of(&network::KUBERNETES)),
        "calico:networkpolicy" => network::one_address(action, of(&network::CALICO)),
        "cilium:networkpolicy" => network::one_address(action, of(&network::KUBERNETES)),
        "kubernetes:cordon" => nodes::cordon(action, of(&[])),
        "kubernetes:drain" => nodes::drain(action, of(&nodes::DRAIN)),
        "kubernetes:log" => captures::log(action, of(&["tail_lines"]), needs),
        "kubernetes:download" => captures::download(action, of(&["file"]), needs),
        "kubernetes:tcpdump" => captures::tcpdump(action, of(&captures::TCPDUMP), needs),
        "kubernetes:sysdig" => captures::sysdig(action, of(&captures::SYSDIG), needs),
        "kubernetes:exec" | "kubernetes:script" => of(&["command", "script", "file", "shell"]).lost(
            action,
            "stoop runs nothing in a container that may be the attacker's, and never holds pods/exec",
            "`capture` keeps files, packets and system calls; `run` starts a Job of yours with the pod's name",
        ),
        "aws:lambda" => functions::lambda(action, of(&functions::LAMBDA), needs),
        "gcp:function" => functions::google(action, of(&functions::GOOGLE), needs),
        other => {
            let why = format!("falco-talon has no actionner `{other}` that is known here");
            Item::default().lost(action, &why, "a function of yours can do it: `call`")
        }
    }
}
