//! From files, texts and objects to playbooks, with all faults at once.

use super::document::{Kind, LimitsDoc, Metadata, PlaybookDoc, SpecParts};
use super::playbook::Source;
use super::{Approval, Limits, Mode, Playbook, PlaybookError, PlaybookErrors, Reach, actions};
use crate::decide::event::is_subdomain;
use crate::decide::matching;
use crate::decide::yaml::{self, Located, Path};
use serde_json::Value;
use std::collections::BTreeMap;
use std::fs;
use std::path;
use std::sync::Arc;

/// Reads one file, or all `.yaml` and `.yml` files of a folder and the folders in it.
///
/// # Errors
///
/// Every fault of every file, and names that are used twice: either all playbooks are good or none is given.
pub fn read_path(path: &path::Path) -> Result<Vec<Arc<Playbook>>, PlaybookErrors> {
    read_paths(&[path])
}

/// As [`read_path`], over several: names must differ among all of them.
///
/// # Errors
///
/// As [`read_path`].
pub fn read_paths<P: AsRef<path::Path>>(paths: &[P]) -> Result<Vec<Arc<Playbook>>, PlaybookErrors> {
    Texts::of(paths).read()
}

/// What files say of playbooks at one time. Two that are equal say the same.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Texts {
    /// By the file's name.
    texts: Vec<(String, String)>,
    /// What can't be read.
    errors: Vec<PlaybookError>,
}

impl Texts {
    /// Of files and folders, as [`read_path`] takes them. Blocks.
    pub fn of<P: AsRef<path::Path>>(paths: &[P]) -> Texts {
        let mut texts = Texts { texts: Vec::new(), errors: Vec::new() };
        for path in paths {
            for file in files(path.as_ref(), &mut texts.errors) {
                let name = file.display().to_string();
                match fs::read_to_string(&file) {
                    Ok(text) => texts.texts.push((name, text)),
                    Err(error) => {
                        let message = format!("can't be read: {error}");
                        texts.errors.push(yaml::Error::of_file(&name, message, ""));
                    }
                }
            }
        }
        texts
    }

    /// The playbooks in them.
    ///
    /// # Errors
    ///
    /// As [`read_path`].
    pub fn read(&self) -> Result<Vec<Arc<Playbook>>, PlaybookErrors> {
        self.read_as(Form::File)
    }

    /// The playbooks in them, as they will be once they are objects: each `Playbook` is bound to its namespace.
    ///
    /// # Errors
    ///
    /// As [`read_path`], and a `Playbook` that names no namespace.
    pub fn read_objects(&self) -> Result<Vec<Arc<Playbook>>, PlaybookErrors> {
        self.read_as(Form::Object)
    }

    fn read_as(&self, form: Form) -> Result<Vec<Arc<Playbook>>, PlaybookErrors> {
        let (mut playbooks, mut errors) = (Vec::new(), self.errors.clone());
        for (name, text) in &self.texts {
            documents(name, text, form, &mut playbooks, &mut errors);
        }
        finish(playbooks, errors)
    }
}

/// What a document is read as: it decides how far a `Playbook` reaches.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Form {
    File,
    Object,
}

/// Reads the playbooks of one text. `name` is shown in errors.
///
/// # Errors
///
/// Every fault in it.
pub fn read_text(name: &str, text: &str) -> Result<Vec<Arc<Playbook>>, PlaybookErrors> {
    let (mut playbooks, mut errors) = (Vec::new(), Vec::new());
    documents(name, text, Form::File, &mut playbooks, &mut errors);
    finish(playbooks, errors)
}

impl Playbook {
    /// Reads a Kubernetes object; one of the kind `Playbook` is bound to its namespace. `name` is shown in errors, such as
    /// `playbook shop/shell-in-container`.
    ///
    /// # Errors
    ///
    /// Every fault in it, by path: an object has no lines.
    pub fn from_value(name: &str, value: Value) -> Result<Playbook, PlaybookErrors> {
        let mut errors = Vec::new();
        match playbook(Located::from_value(name, value), Form::Object, &mut errors) {
            Some(playbook) => PlaybookErrors::check(errors).map(|()| playbook),
            None => Err(PlaybookErrors::check(errors)
                .err()
                .unwrap_or_else(|| yaml::Error::of_file(name, "not a playbook", "").into())),
        }
    }
}

/// The files below `path`, in order of name.
fn files(path: &path::Path, errors: &mut Vec<PlaybookError>) -> Vec<path::PathBuf> {
    let failed = |error: std::io::Error| {
        yaml::Error::of_file(
            &path.display().to_string(),
            format!("can't be read: {error}"),
            "name a file or a folder that exists",
        )
    };
    if !path.is_dir() {
        return match fs::metadata(path) {
            Ok(_) => vec![path.to_owned()],
            Err(error) => {
                errors.push(failed(error));
                Vec::new()
            }
        };
    }
    let mut entries: Vec<path::PathBuf> = match fs::read_dir(path)
        .and_then(|entries| entries.map(|entry| entry.map(|entry| entry.path())).collect())
    {
        Ok(entries) => entries,
        Err(error) => {
            errors.push(failed(error));
            return Vec::new();
        }
    };
    entries.sort();
    // A mounted ConfigMap holds its files once more in `..data`.
    let hidden = |path: &path::Path| {
        path.file_name().is_some_and(|name| name.to_string_lossy().starts_with('.'))
    };
    let yaml = |path: &path::Path| {
        path.extension().is_some_and(|extension| extension == "yaml" || extension == "yml")
    };
    entries.retain(|path| !hidden(path) && (path.is_dir() || yaml(path)));
    entries
        .into_iter()
        .flat_map(|entry| if entry.is_dir() { files(&entry, errors) } else { vec![entry] })
        .collect()
}

fn documents(
    name: &str,
    text: &str,
    form: Form,
    playbooks: &mut Vec<Arc<Playbook>>,
    errors: &mut Vec<PlaybookError>,
) {
    match yaml::parse_all(name, text) {
        Ok(documents) => {
            let written = documents.into_iter().filter(|document| !document.value.is_null());
            let read = written.filter_map(|document| playbook(document, form, errors));
            playbooks.extend(read.map(Arc::new));
        }
        Err(error) => errors.push(error),
    }
}

fn finish(
    playbooks: Vec<Arc<Playbook>>,
    mut errors: Vec<PlaybookError>,
) -> Result<Vec<Arc<Playbook>>, PlaybookErrors> {
    let mut first: BTreeMap<&str, &Playbook> = BTreeMap::new();
    for playbook in &playbooks {
        if let Some(other) = first.insert(&playbook.name, playbook) {
            let name = Path::root().key("metadata").key("name");
            let message = format!(
                "`{}` is also the name of a playbook in {}",
                playbook.name,
                other.source.name()
            );
            errors.push(playbook.error_at(&name, message, "give each playbook a name of its own"));
        }
    }
    errors.sort_by(|a, b| (a.name(), a.place()).cmp(&(b.name(), b.place())));
    PlaybookErrors::check(errors).map(|()| playbooks)
}

/// Reads one document. Faults are added to `errors`; `None` means that there was at least one.
fn playbook(document: Located, form: Form, errors: &mut Vec<PlaybookError>) -> Option<Playbook> {
    let before = errors.len();
    let header = keep(document.deserialize::<PlaybookDoc>(), errors)?;
    let Metadata { name, namespace } = header.metadata;
    let is_bound = form == Form::Object && header.kind == Kind::Playbook;
    if is_bound && namespace.is_none() {
        let path = Path::root().key("metadata");
        let help = "write `namespace:` beside the name, or make it a ClusterPlaybook";
        errors.push(document.error_at(&path, "an object of this kind is its namespace's", help));
    }
    if !is_subdomain(&name) {
        let path = Path::root().key("metadata").key("name");
        let help = "use lower case letters, digits, `-` and `.`, such as `shell-in-container`";
        errors.push(document.error_at(
            &path,
            format!("`{name}` can't be the name of a Kubernetes object"),
            help,
        ));
    }
    let spec = Path::root().key("spec");
    let parts: SpecParts = keep(document.deserialize_at(&spec), errors)?;
    let mode = match parts.mode {
        Some(_) => keep(document.deserialize_at(&spec.key("mode")), errors),
        None => Some(Mode::default()),
    };
    let approval = match parts.approval {
        Some(_) => keep(document.deserialize_at(&spec.key("approval")), errors),
        None => Some(Approval::default()),
    };
    let limits = match parts.limits {
        Some(_) => limits(&document, &spec.key("limits"), errors),
        None => Some(Limits::default()),
    };
    let selector = matching::read(&document, &spec.key("match"), errors);
    let actions = actions::read(&document, &spec.key("actions"), errors);
    if errors.len() > before {
        return None;
    }
    let playbook = Playbook {
        name,
        reach: Reach::Cluster,
        mode: mode?,
        selector: selector?,
        actions,
        approval: approval?,
        limits: limits?,
        source: Source(Arc::new(document)),
    };
    Some(match namespace.filter(|_| is_bound) {
        Some(namespace) => playbook.bound_to(&namespace),
        None => playbook,
    })
}

fn limits(document: &Located, path: &Path, errors: &mut Vec<PlaybookError>) -> Option<Limits> {
    let written: LimitsDoc = keep(document.deserialize_at(path), errors)?;
    let default = Limits::default();
    let mut refuse = |key: &str, message: String, help: &str| {
        errors.push(document.error_at(&path.key(key), message, help))
    };
    let budget = match written.budget.as_deref().map(str::parse).transpose() {
        Ok(budget) => budget,
        Err(message) => {
            refuse(
                "budget",
                message,
                "write `10 per 5m`, and `per namespace` after it to count each by itself",
            );
            None
        }
    };
    if written.attempts == Some(0) {
        refuse(
            "attempts",
            "0 attempts would never run it".to_owned(),
            "write 1 or more, or take the playbook away",
        );
    }
    if written.timeout.is_some_and(|timeout| timeout.0.is_zero()) {
        refuse(
            "timeout",
            "a timeout of 0 would never run it".to_owned(),
            "write a duration such as `10m`",
        );
    }
    Some(Limits {
        max_event_age: written.max_event_age.map(|span| span.0),
        budget,
        cooldown: written.cooldown.map_or(default.cooldown, |span| span.0),
        attempts: written.attempts.unwrap_or(default.attempts),
        timeout: written.timeout.map_or(default.timeout, |span| span.0),
    })
}

fn keep<T>(result: Result<T, PlaybookError>, errors: &mut Vec<PlaybookError>) -> Option<T> {
    result.map_err(|error| errors.push(error)).ok()
}
