//! One object as it was seen.

use jiff::Timestamp;
use serde_json::{Value, json};

use super::{
    kind::{Key, PlaybookKind},
    listed::Listed,
    room::{NoRoom, cost, could_be_read},
    status::PlaybookStatus,
};
use crate::{
    act::object::Uid,
    decide::{OnFailure, Playbook, PlaybookError, PlaybookErrors, Step, yaml},
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
    /// When it was created.
    created: Timestamp,
    cost: usize,
    said: Said,
}

/// The longest status that is read, in bytes; one of ours is shorter, and a longer one is told anew.
const LONGEST_STATUS: usize = 32 << 10;

/// All but status and metadata, as it was written.
#[derive(Debug, Clone, PartialEq)]
enum Said {
    Text(Box<str>),
    /// It was read, and is not held any longer.
    LetGo,
    NoRoom(NoRoom),
}

impl PlaybookObject {
    /// `None` for what is being deleted, and where that is missing which every stored object has.
    pub fn of(kind: PlaybookKind, object: Listed) -> Option<PlaybookObject> {
        let (meta, status, said) = object.into_parts();
        let cost = cost(&said);
        if meta.deletion_timestamp.is_some() {
            return None;
        }
        let status = status.filter(|status| status.get().len() <= LONGEST_STATUS);
        Some(PlaybookObject {
            key: Key { kind, namespace: meta.namespace, name: meta.name? },
            uid: Uid::new(meta.uid?),
            generation: meta.generation?,
            version: meta.resource_version?,
            // One that can't be read is told anew.
            status: status.and_then(|status| serde_json::from_str(status.get()).ok()),
            created: meta.creation_timestamp.map_or(Timestamp::UNIX_EPOCH, |time| time.0),
            cost,
            said: match could_be_read(kind, cost) {
                true => Said::Text(said),
                false => Said::NoRoom(NoRoom::Namespace),
            },
        })
    }

    /// Orders them by when they were made.
    pub fn age(&self) -> (Timestamp, &Key) {
        (self.created, &self.key)
    }

    /// What it takes in a worker's memory as it is written, in bytes, more or less.
    pub fn cost(&self) -> usize {
        self.cost
    }

    /// Whether it can be read: what was written into it is still here.
    pub fn has_text(&self) -> bool {
        matches!(self.said, Said::Text(_))
    }

    /// Lets go of what was written into it, once that was read.
    pub fn let_go(&mut self) {
        self.said = Said::LetGo;
    }

    /// The same, unread, since there is no room for it.
    pub(super) fn has_no_room(&mut self, why: NoRoom) {
        self.said = Said::NoRoom(why);
    }

    /// How many bytes of it are here.
    pub(super) fn held(&self) -> usize {
        match &self.said {
            Said::Text(text) => text.len(),
            Said::LetGo | Said::NoRoom(_) => 0,
        }
    }

    /// Reads it as strictly as a file, and may name none; one of the kind with namespaces is bound to its own.
    ///
    /// # Errors
    ///
    /// Every fault in it, by path; or there is no room for it, or it was let go of.
    pub fn read(&self) -> Result<Playbook, PlaybookErrors> {
        let Key { kind, namespace, name } = &self.key;
        let refuse = |why: String| yaml::Error::of_file(&self.key.to_string(), why, "");
        let mut document: Value = match &self.said {
            // Whoever nests it deeper than that has only this one refused.
            Said::Text(text) => {
                serde_json::from_str(text).map_err(|error| refuse(error.to_string()))?
            }
            Said::NoRoom(why) => return Err(refuse(why.to_string()).into()),
            Said::LetGo => return Err(refuse("what was written is not here".to_owned()).into()),
        };
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
