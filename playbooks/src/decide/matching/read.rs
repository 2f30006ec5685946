//! From `match` as it is written to a [`Match`].

use super::Match;
use super::object::ObjectMatch;
use super::pattern::Patterns;
use super::selector::FieldMatch;
use super::when::When;
use crate::decide::format::{MatchDoc, OneOrMany, Scalar};
use crate::decide::yaml::{Error, Located, Path};
use crate::decide::{Priorities, normal_source};
use std::borrow::Cow;
use std::collections::BTreeMap;

/// Reads the `match` at `path`; faults are added to `errors`, and then it is `None`.
pub(in crate::decide) fn read(
    document: &Located,
    path: &Path,
    errors: &mut Vec<Error>,
) -> Option<Match> {
    let written: MatchDoc = match document.deserialize_at(path) {
        Ok(written) => written,
        Err(error) => {
            errors.push(error);
            return None;
        }
    };
    let before = errors.len();
    let mut reader = Reader { document, errors };
    if written.is_empty() {
        let help = "to answer every event say so: `match: {rules: [\"*\"]}`";
        reader.refuse(path, "an empty match would answer every event", help);
    }
    let namespaces = written.namespaces.unwrap_or_default().0;
    // A plain list has no `include` of its own in the document.
    let include = match document.get(&path.key("namespaces")) {
        Some(serde_json::Value::Array(_)) => path.key("namespaces"),
        _ => path.key("namespaces").key("include"),
    };
    let target = written.target.unwrap_or_default();
    let at = path.key("target");
    let object = ObjectMatch {
        namespaces: reader.patterns(&include, namespaces.include),
        not_namespaces: reader.patterns(&path.key("namespaces").key("exclude"), namespaces.exclude),
        pod_labels: reader.keyed(&at.key("podLabels"), target.pod_labels),
        namespace_labels: reader.keyed(&at.key("namespaceLabels"), target.namespace_labels),
        owners: reader.patterns(&at.key("owners"), target.owners),
        images: reader.patterns(&at.key("images"), target.images),
    };
    let fields = reader.keyed(&path.key("fields"), written.fields);
    let read = Match {
        rules: reader.patterns(&path.key("rules"), written.rules),
        subjects: reader.patterns(&path.key("subjects"), written.subjects),
        priorities: reader.priorities(&path.key("priority"), written.priority),
        sources: reader.names(&path.key("sources"), written.sources).map(|sources| {
            sources
                .into_iter()
                .map(|source| normal_source(Cow::Owned(source)).into_owned())
                .collect()
        }),
        tags: reader.names(&path.key("tags"), written.tags),
        fields: fields.into_iter().map(|(key, values)| FieldMatch { key, values }).collect(),
        when: reader.when(&path.key("when"), written.when),
        object,
    };
    (errors.len() == before).then_some(read)
}

impl MatchDoc {
    fn is_empty(&self) -> bool {
        self.rules.is_none()
            && self.subjects.is_none()
            && self.priority.is_none()
            && self.sources.is_none()
            && self.tags.is_none()
            && self.fields.as_ref().is_none_or(BTreeMap::is_empty)
            && self.when.is_none()
            && self.namespaces.is_none()
            && self.target.is_none()
    }
}

struct Reader<'a> {
    document: &'a Located,
    errors: &'a mut Vec<Error>,
}

impl Reader<'_> {
    fn refuse(&mut self, path: &Path, message: impl Into<String>, help: impl Into<String>) {
        self.errors.push(self.document.error_at(path, message, help));
    }

    /// Where one of several values is; a single one may be written without a list.
    fn item(&self, path: &Path, at: usize) -> Path {
        match self.document.get(path) {
            Some(serde_json::Value::Array(_)) => path.index(at),
            _ => path.clone(),
        }
    }

    fn names(&mut self, path: &Path, written: Option<OneOrMany<String>>) -> Option<Vec<String>> {
        let names = written?.0;
        if names.is_empty() {
            self.refuse(
                path,
                "an empty list matches nothing",
                "name at least one, or take the key away",
            );
        }
        Some(names)
    }

    fn patterns(&mut self, path: &Path, written: Option<OneOrMany<String>>) -> Option<Patterns> {
        let texts = self.names(path, written)?;
        Some(self.compile(path, &texts))
    }

    fn keyed(
        &mut self,
        path: &Path,
        written: Option<BTreeMap<String, OneOrMany<Scalar>>>,
    ) -> Vec<(String, Patterns)> {
        let entries = written.unwrap_or_default().into_iter();
        entries
            .map(|(key, values)| {
                let path = path.key(&key);
                let texts: Vec<String> = values.0.into_iter().map(|scalar| scalar.0).collect();
                if texts.is_empty() {
                    self.refuse(&path, "an empty list matches nothing", "name at least one value");
                }
                let patterns = self.compile(&path, &texts);
                (key, patterns)
            })
            .collect()
    }

    fn compile(&mut self, path: &Path, texts: &[String]) -> Patterns {
        let mut patterns = Patterns::default();
        for (at, text) in texts.iter().enumerate() {
            if let Err(why) = patterns.add(text) {
                let help = "put a backslash before `*`, `?`, `[` or `{` that is meant as it stands";
                self.refuse(&self.item(path, at), format!("`{text}` is not a glob: {why}"), help);
            }
        }
        patterns
    }

    fn priorities(&mut self, path: &Path, written: Option<OneOrMany<String>>) -> Priorities {
        let Some(texts) = self.names(path, written) else { return Priorities::ALL };
        let mut set = Priorities::NONE;
        for (at, text) in texts.iter().enumerate() {
            match Priorities::parse(text) {
                Ok(priorities) => set = set.or(priorities),
                Err((message, help)) => self.refuse(&self.item(path, at), message, help),
            }
        }
        set
    }

    fn when(&mut self, path: &Path, written: Option<String>) -> Option<When> {
        match When::compile(&written?) {
            Ok(when) => Some(when),
            Err(refused) => {
                self.refuse(path, refused.message, refused.help);
                None
            }
        }
    }
}
