//! What a job has come to.

use jiff::{SignedDuration, Timestamp};
use k8s_openapi::api::batch::v1::Job;

/// How much later than its deadline a job may be seen to end: its controller has other things to do.
const GRACE: SignedDuration = SignedDuration::from_secs(60);

/// What a job has come to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum State {
    Running,
    /// It should have ended, and nobody has ended it.
    Overdue,
    Failed(String),
    Done,
}

/// Judges by the job's own conditions and its age: another worker comes to the same.
pub(super) fn judge(job: &Job, now: Timestamp) -> State {
    let conditions = job.status.as_ref().and_then(|status| status.conditions.as_ref());
    let is = |kind: &str| {
        conditions.into_iter().flatten().find(|found| found.type_ == kind && found.status == "True")
    };
    if is("Complete").is_some() {
        return State::Done;
    }
    if let Some(failed) = is("Failed") {
        let why = [&failed.reason, &failed.message].into_iter().flatten();
        return State::Failed(why.map(String::as_str).collect::<Vec<_>>().join(": "));
    }
    let began = job.metadata.creation_timestamp.as_ref().map(|time| time.0);
    let lasts = job.spec.as_ref().and_then(|spec| spec.active_deadline_seconds);
    let (Some(began), Some(lasts)) = (began, lasts) else { return State::Overdue };
    let end = began.saturating_add(SignedDuration::from_secs(lasts) + GRACE);
    if end.is_ok_and(|end| now <= end) { State::Running } else { State::Overdue }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    #[test]
    fn a_job_is_over_by_its_condition_or_by_its_age() {
        let began: Timestamp = "2026-11-21T12:00:00Z".parse().unwrap();
        let job = |conditions: Value| {
            serde_json::from_value(json!({
                "metadata": {"creationTimestamp": began.to_string()},
                "spec": {"activeDeadlineSeconds": 100, "template": {}},
                "status": {"conditions": conditions}
            }))
            .unwrap()
        };
        let condition = |kind: &str, status: &str| json!([{"type": kind, "status": status, "reason": "DeadlineExceeded", "message": "too long"}]);
        let table = [
            (json!([]), 0, State::Running),
            (json!([]), 160, State::Running),
            (json!([]), 161, State::Overdue),
            (condition("Complete", "True"), 500, State::Done),
            (condition("Complete", "False"), 0, State::Running),
            (condition("SuccessCriteriaMet", "True"), 0, State::Running),
            (condition("Failed", "True"), 0, State::Failed("DeadlineExceeded: too long".into())),
        ];
        for (conditions, after, state) in table {
            let now = began + SignedDuration::from_secs(after);
            assert_eq!(judge(&job(conditions.clone()), now), state, "{conditions} {after}");
        }
        assert_eq!(judge(&Job::default(), began), State::Overdue);
    }
}
