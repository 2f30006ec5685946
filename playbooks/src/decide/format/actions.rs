//! The ordered list of actions.

use super::{OnFailure, PlaybookError, Step};
use crate::decide::yaml::{Located, Path};
use serde_json::{Map, Value};

const ON_FAILURE: &str = "onFailure";

/// Reads the steps at `path`; faults are added to `errors` and the step is left out.
pub(super) fn read(document: &Located, path: &Path, errors: &mut Vec<PlaybookError>) -> Vec<Step> {
    let steps = match document.get(path) {
        Some(Value::Array(steps)) if !steps.is_empty() => steps,
        Some(Value::Array(_)) => {
            errors.push(document.error_at(
                path,
                "no actions",
                "name at least one, such as `- notify: {to: [log]}`",
            ));
            return Vec::new();
        }
        _ => {
            errors.push(document.error_at(
                path,
                "expected a list of actions",
                "write `- delete: {}` on a line of its own",
            ));
            return Vec::new();
        }
    };
    let mut read = Vec::with_capacity(steps.len());
    for (at, written) in steps.iter().enumerate() {
        match step(document, path.index(at), written, errors) {
            Ok(step) => read.push(step),
            Err(error) => errors.push(error),
        }
    }
    read
}

fn step(
    document: &Located,
    path: Path,
    written: &Value,
    errors: &mut Vec<PlaybookError>,
) -> Result<Step, PlaybookError> {
    let shape = "write one action, such as `- delete: {gracePeriod: 5s}`, with `onFailure` beside it if you need it";
    let mapping = match written {
        Value::String(action) => {
            let on_failure = default_for(action);
            return Ok(Step {
                action: action.clone(),
                config: Value::Object(Map::new()),
                on_failure,
                path,
            });
        }
        Value::Object(mapping) => mapping,
        _ => return Err(document.error_at(&path, "expected an action", shape)),
    };
    let mut named = mapping.iter().filter(|(key, _)| *key != ON_FAILURE);
    let (action, config) =
        named.next().ok_or_else(|| document.error_at(&path, "no action in this step", shape))?;
    if let Some((second, _)) = named.next() {
        let help = "give each action its own `-` line, or indent what belongs to the first";
        return Err(document.error_at_key(
            &path.key(second),
            format!("`{second}` is a second action in one step"),
            help,
        ));
    }
    let config = match config {
        Value::Null => Value::Object(Map::new()),
        Value::Object(_) => config.clone(),
        _ => {
            return Err(document.error_at(
                &path.key(action),
                "expected a mapping",
                format!("write `{action}: {{}}`"),
            ));
        }
    };
    let on_failure = match mapping.get(ON_FAILURE) {
        None => default_for(action),
        Some(written) => on_failure(document, &path.key(ON_FAILURE), written, errors)?,
    };
    Ok(Step { action: action.clone(), config, on_failure, path })
}

fn on_failure(
    document: &Located,
    path: &Path,
    written: &Value,
    errors: &mut Vec<PlaybookError>,
) -> Result<OnFailure, PlaybookError> {
    match written {
        Value::String(text) if text == "stop" => Ok(OnFailure::Stop),
        Value::String(text) if text == "continue" => Ok(OnFailure::Continue),
        Value::Array(_) => Ok(OnFailure::Run(read(document, path, errors))),
        other => {
            let message = format!("expected stop, continue or a list of actions, found {other}");
            Err(document.error_at(
                path,
                message,
                "write `onFailure: continue`, or `onFailure: [{notify: {…}}]`",
            ))
        }
    }
}

/// A notification that can't be sent, or evidence that can't be had, must not hold back what contains the attack.
fn default_for(action: &str) -> OnFailure {
    match action {
        "capture" | "notify" => OnFailure::Continue,
        _ => OnFailure::Stop,
    }
}
