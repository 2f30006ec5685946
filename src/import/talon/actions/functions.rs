//! What is called.

use serde_json::json;

use super::Item;
use crate::import::{Needs, names::slug, talon::document::Action};

pub(super) const LAMBDA: [&str; 3] =
    ["aws_lambda_alias_or_version", "aws_lambda_invocation_type", "aws_lambda_name"];
pub(super) const GOOGLE: [&str; 3] =
    ["gcp_function_location", "gcp_function_name", "gcp_function_timeout"];

pub(super) fn lambda(action: &Action, mut item: Item, needs: &mut Needs) -> Item {
    let kind = action.params.text("aws_lambda_invocation_type").unwrap_or_default();
    match kind.as_str() {
        "DryRun" => {
            let why = "an invocation that only looks whether it would be allowed";
            return item.lost(action, why, "`stoop check` looks before anything runs");
        }
        "Event" => {
            let how = "Talon doesn't wait for the function";
            item = item.differs(
                action,
                how,
                "here the event is acknowledged once it has answered with 2xx",
            );
        }
        _ => {}
    }
    let how = "Talon invokes a Lambda by the AWS API, with the worker's role";
    let what = "here it is posted to: give it a function URL, and a token of your own in `headers`, which it has to check";
    call(action, item.differs(action, how, what), "aws_lambda_name", None, needs)
}

pub(super) fn google(action: &Action, item: Item, needs: &mut Needs) -> Item {
    let how = "Talon finds the function by name and location";
    let what = "here it is posted to its URL, with a token: `functions` of stoop.yaml";
    let timeout = action.params.number("gcp_function_timeout").filter(|seconds| *seconds > 0);
    call(action, item.differs(action, how, what), "gcp_function_name", timeout, needs)
}

fn call(
    action: &Action,
    mut item: Item,
    name: &str,
    timeout: Option<u64>,
    needs: &mut Needs,
) -> Item {
    let Some(function) = action.params.text(name).filter(|name| !name.is_empty()) else {
        let why = format!("`{name}` is missing, and Talon refuses the file");
        return item.lost(action, &why, "name the function");
    };
    if !action.contexts.is_empty() {
        let how = "the event is not enriched with contexts";
        item = item.differs(action, how, "the function gets it as Falco sent it");
    }
    let function = slug(&function);
    needs.function(&function, timeout);
    item.step("call", json!({"function": function}))
}
