//! Whether what was started is over, by its status.

use serde_json::Value;

use super::template::Kind;
use crate::act::text::clean;

/// How far it is.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Progress {
    Runs,
    Succeeded,
    Failed(String),
}

/// A Job says it by the conditions `Complete` and `Failed`, a PipelineRun by `Succeeded`, which is `Unknown` while it runs.
///
/// <https://kubernetes.io/docs/concepts/workloads/controllers/job/#terminal-job-conditions>,
/// <https://tekton.dev/docs/pipelines/pipelineruns/#monitoring-execution-status>
pub(super) fn progress(kind: &Kind, object: &Value) -> Progress {
    let conditions = object.pointer("/status/conditions").and_then(Value::as_array);
    let find = |wanted: &str| {
        let is_wanted = |condition: &&Value| condition["type"] == wanted;
        conditions.and_then(|all| all.iter().find(is_wanted))
    };
    let is = |condition: Option<&Value>, status: &str| {
        condition.is_some_and(|condition| condition["status"] == status)
    };
    let (ended_well, ended_ill) = match kind.is_job() {
        true => {
            let failed = find("Failed");
            (is(find("Complete"), "True"), failed.filter(|_| is(failed, "True")))
        }
        false => {
            let succeeded = find("Succeeded");
            (is(succeeded, "True"), succeeded.filter(|_| is(succeeded, "False")))
        }
    };
    match ended_ill {
        Some(condition) => Progress::Failed(why(condition)),
        None if ended_well => Progress::Succeeded,
        None => Progress::Runs,
    }
}

fn why(condition: &Value) -> String {
    let text = |key: &str| condition[key].as_str().unwrap_or_default();
    clean(&format!("{} {}", text("reason"), text("message")), 200)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn an_end_is_told_from_what_goes_on() {
        let of = |kind: &Kind, conditions: Value| {
            progress(kind, &json!({"status": {"conditions": conditions}}))
        };
        let job = |conditions| of(&Kind::JOB, conditions);
        assert_eq!(progress(&Kind::JOB, &json!({})), Progress::Runs);
        assert_eq!(job(json!([{"type": "SuccessCriteriaMet", "status": "True"}])), Progress::Runs);
        assert_eq!(job(json!([{"type": "Complete", "status": "True"}])), Progress::Succeeded);
        assert_eq!(job(json!([{"type": "Complete", "status": "False"}])), Progress::Runs);
        let failed = json!([{"type": "Failed", "status": "True", "reason": "DeadlineExceeded", "message": "too\nlong"}]);
        assert_eq!(job(failed), Progress::Failed("DeadlineExceeded too long".into()));
        let run = |conditions| of(&Kind::PIPELINE_RUN, conditions);
        assert_eq!(run(json!([{"type": "Succeeded", "status": "Unknown"}])), Progress::Runs);
        assert_eq!(run(json!([{"type": "Succeeded", "status": "True"}])), Progress::Succeeded);
        let failed = json!([{"type": "Succeeded", "status": "False", "reason": "Cancelled"}]);
        assert_eq!(run(failed), Progress::Failed("Cancelled ".into()));
    }
}
