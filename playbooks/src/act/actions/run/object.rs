//! What marks an object as started for one event, and how it is created.

use serde_json::Value;

use super::template::Kind;

/// Who has made an object, in its managed fields.
const FIELD_MANAGER: &str = "stoop-run";

/// The annotation by which a redelivery knows its own.
pub(super) const RUN: &str = "stoop.dev/run";

/// Which event an object is started for, by which playbook and step.
pub(super) struct Identity {
    pub(super) namespace: String,
    pub(super) event: String,
    pub(super) playbook: String,
    /// A hash of the event, the playbook and the step.
    pub(super) run: String,
}

impl Identity {
    /// The same for every redelivery, and no byte of the event: at most 63 characters, for pods take it on as a label.
    pub(super) fn name(&self) -> String {
        let short: String = self.run.chars().take(40).collect();
        format!("stoop-run-{short}")
    }

    pub(super) fn annotations(&self) -> [(&'static str, &str); 3] {
        [
            (RUN, &self.run),
            ("stoop.dev/event-id", &self.event),
            ("stoop.dev/playbook", &self.playbook),
        ]
    }
}

/// The request that creates it. Unknown fields are refused: a limit with a slip in its name would be none.
pub(super) fn create(
    kind: &Kind,
    namespace: &str,
    object: &Value,
    dry_run: bool,
) -> kube::Result<http::Request<Vec<u8>>> {
    let Kind { group, version, plural, .. } = kind;
    let dry_run = if dry_run { "&dryRun=All" } else { "" };
    let uri = format!(
        "/apis/{group}/{version}/namespaces/{namespace}/{plural}?fieldManager={FIELD_MANAGER}&fieldValidation=Strict{dry_run}"
    );
    let body = serde_json::to_vec(object).map_err(kube::Error::SerdeError)?;
    http::Request::post(uri)
        .header("Content-Type", "application/json")
        .body(body)
        .map_err(kube::Error::HttpError)
}
