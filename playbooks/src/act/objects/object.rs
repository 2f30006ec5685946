//! One object as it was seen.

use kube::api::DynamicObject;
use serde_json::{Value, json};

use super::{
    kind::{Key, PlaybookKind},
    status::PlaybookStatus,
};
use crate::{
    act::object::Uid,
    decide::{OnFailure, Playbook, PlaybookError, PlaybookErrors, Step},
};

/// A playbook as the cluster keeps it, not read yet.
#[derive(Debug, Clone, PartialEq)]
pub struct PlaybookObject {
    /// Which.
    pub key: Key,
    /// `metadata.uid`: another object of the same name is another playbook.
    pub uid: Uid,
    /// Counts what was written into it, but for the status.
    pub generation: i64,
    /// Which version of it was seen; each write makes another, of the status too.
    pub version: String,
    /// What workers have told of it.
    pub status: Option<PlaybookStatus>,
    /// All but status and metadata, as it was written.
    said: Value,
}

impl PlaybookObject {
    /// `None` for what is being deleted, and where that is missing which every stored object has.
    pub fn of(kind: PlaybookKind, object: DynamicObject) -> Option<PlaybookObject> {
        let (meta, mut said) = (object.metadata, object.data);
        if meta.deletion_timestamp.is_some() {
            return None;
        }
        let status = said.as_object_mut().and_then(|said| said.remove("status"));
        Some(PlaybookObject {
            key: Key { kind, namespace: meta.namespace, name: meta.name? },
            uid: Uid::new(meta.uid?),
            generation: meta.generation?,
            version: meta.resource_version?,
            // One that can't be read is told anew.
            status: status.and_then(|status| serde_json::from_value(status).ok()),
            said,
        })
    }

    /// Reads it as strictly as a file, and may name none; one of the kind with namespaces is bound to its own.
    ///
    /// # Errors
    ///
    /// Every fault in it, by path.
    pub fn read(&self) -> Result<Playbook, PlaybookErrors> {
        let Key { kind, namespace, name } = &self.key;
        let mut document = self.said.clone();
        let header = json!({
            "apiVersion": format!("{}/{}", kind.resource().group, kind.resource().version),
            "kind": kind.as_str(),
            "metadata": {"name": name, "namespace": namespace},
        });
        if let (Some(document), Value::Object(header)) = (document.as_object_mut(), header) {
            document.extend(header);
        }
        let playbook = Playbook::from_value(&self.key.to_string(), document)?;
        let mut errors = Vec::new();
        refuse_files(&playbook, &playbook.actions, &mut errors);
        PlaybookErrors::check(errors).map(|()| playbook)
    }
}

/// Which key of which action names a file of the worker's: whoever writes an object has no say over those.
const NAMES_FILE: [(&str, &str); 1] = [("run", "templateFile")];

fn refuse_files(playbook: &Playbook, steps: &[Step], errors: &mut Vec<PlaybookError>) {
    for step in steps {
        for (action, key) in NAMES_FILE {
            if step.action == action && step.config.get(key).is_some() {
                let why = "an object may not name a file: it would be each worker's own";
                let help = "write what is in it here, or make it a file's playbook";
                errors.push(playbook.error_at(&step.config_path().key(key), why, help));
            }
        }
        if let OnFailure::Run(steps) = &step.on_failure {
            refuse_files(playbook, steps, errors);
        }
    }
}
