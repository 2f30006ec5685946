//! A job's last words: its pod's termination message, which the kubelet puts into the pod's status.

use k8s_openapi::api::core::v1::Pod;
use serde::Deserialize;

use crate::act::{evidence::Missing, text::clean};

/// As many things can be missing as files can be named.
const MOST_MISSING: usize = 64;

/// As much as it says of what is cut: four files.
const CUT: usize = 1000;

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
        Report::read(ended.message.as_deref()?)
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
    fn what_is_missing_beyond_what_is_named_is_counted() {
        let missing = vec![json!({"what": "/a", "why": "gone"}); MOST_MISSING + 3];
        let said = json!({"size": 3, "sha256": "ab", "missing": missing, "more": 2}).to_string();
        let Some(Report::Captured { missing, more, .. }) = Report::read(&said) else {
            panic!("unread")
        };
        assert_eq!((missing.len(), more), (MOST_MISSING, 5));
    }
}
