//! A job's last words: its pod's termination message, which the kubelet puts into the pod's status.

use k8s_openapi::api::core::v1::{ContainerStateTerminated, Pod};
use serde::Deserialize;

use crate::act::{evidence::Missing, text::clean};

/// As many things can be missing as files can be named.
const MOST_MISSING: usize = 64;

/// As much as it says of what is cut: four files.
const CUT: usize = 1000;

/// As much as the runtime says of how it ended.
const ENDED: usize = 200;

/// What the job says. It is compared with what is stored, never believed.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase", untagged)]
pub(super) enum Report {
    Captured {
        size: u64,
        sha256: String,
        #[serde(default)]
        cut: Option<String>,
        #[serde(default)]
        missing: Vec<Missing>,
        /// How many more are missing than it had room to name.
        #[serde(default)]
        more: u64,
    },
    Failed {
        error: String,
    },
}

impl Report {
    pub(super) fn of(pod: &Pod) -> Option<Report> {
        let statuses = pod.status.as_ref()?.container_statuses.as_ref()?;
        let ended =
            statuses.iter().find_map(|status| status.state.as_ref()?.terminated.as_ref())?;
        ended.message.as_deref().and_then(Report::read).or_else(|| Report::without_words(ended))
    }

    /// Of a container that failed before it could say anything: it was never started, or killed. The runtime's word is all
    /// there is then, and the job's own condition only says that it has failed.
    fn without_words(ended: &ContainerStateTerminated) -> Option<Report> {
        let why = [&ended.reason, &ended.message].into_iter().flatten();
        let why: Vec<_> = why.map(|text| clean(text, ENDED)).collect();
        let error = format!("its container ended with {}: {}", ended.exit_code, why.join(": "));
        (ended.exit_code != 0).then_some(Report::Failed { error })
    }

    fn read(message: &str) -> Option<Report> {
        Some(match serde_json::from_str(message).ok()? {
            Report::Captured { size, sha256, cut, missing, more } => {
                let over = missing.len().saturating_sub(MOST_MISSING) as u64;
                let named = missing.into_iter().take(MOST_MISSING).map(harmless).collect();
                let more = more.saturating_add(over);
                Report::Captured {
                    size,
                    sha256,
                    cut: cut.map(|cut| clean(&cut, CUT)),
                    missing: named,
                    more,
                }
            }
            failed @ Report::Failed { .. } => failed,
        })
    }

    pub(super) fn error(self) -> Option<String> {
        match self {
            Report::Captured { .. } => None,
            Report::Failed { error } => Some(error),
        }
    }
}

fn harmless(Missing { what, why }: Missing) -> Missing {
    Missing { what: clean(&what, 200), why: clean(&why, 200) }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn last_words_are_read_strictly_and_made_harmless() {
        let captured = Report::read(
            r#"{"size": 3, "sha256": "ab", "missing": [{"what": "/tmp/a\u001b[31m\nb", "why": "gone"}]}"#,
        );
        let missing = vec![Missing { what: "/tmp/a b".into(), why: "gone".into() }];
        assert_eq!(
            captured,
            Some(Report::Captured { size: 3, sha256: "ab".into(), cut: None, missing, more: 0 })
        );
        let failed = Report::read(r#"{"error": "no such process"}"#).and_then(Report::error);
        assert_eq!(failed.as_deref(), Some("no such process"));
        for other in ["", "[]", "Killed", r#"{"size": -1, "sha256": "ab"}"#, r#"{"sha256": "ab"}"#]
        {
            assert_eq!(Report::read(other), None, "{other}");
        }
    }

    #[test]
    fn a_container_that_said_nothing_is_told_of_by_how_it_ended() {
        let of = |terminated: serde_json::Value| {
            let pod = json!({"status": {"containerStatuses": [{
                "name": "capture", "image": "", "imageID": "", "ready": false, "restartCount": 0,
                "state": {"terminated": terminated}
            }]}});
            Report::of(&serde_json::from_value(pod).unwrap())
        };
        let error = |terminated| of(terminated).and_then(Report::error);
        let never_started = json!({
            "exitCode": 128, "reason": "StartError", "message": "failed to create task: unable to apply\ncaps"
        });
        assert_eq!(
            error(never_started).as_deref(),
            Some(
                "its container ended with 128: StartError: failed to create task: unable to apply caps"
            )
        );
        assert_eq!(
            error(json!({"exitCode": 137, "reason": "OOMKilled"})).as_deref(),
            Some("its container ended with 137: OOMKilled")
        );
        let said = json!({"exitCode": 1, "reason": "Error", "message": "{\"error\": \"no file\"}"});
        assert_eq!(error(said).as_deref(), Some("no file"));
        assert_eq!(of(json!({"exitCode": 0, "reason": "Completed"})), None);
    }

    #[test]
    fn what_is_missing_beyond_what_is_named_is_counted() {
        let missing = vec![json!({"what": "/a", "why": "gone"}); MOST_MISSING + 3];
        let said = json!({"size": 3, "sha256": "ab", "missing": missing, "more": 2}).to_string();
        let Some(Report::Captured { missing, more, .. }) = Report::read(&said) else {
            panic!("unread")
        };
        assert_eq!((missing.len(), more), (MOST_MISSING, 5));
    }
}
