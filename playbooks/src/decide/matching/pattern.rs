//! Texts to compare with: exact, or a shell-style glob.

use globset::{Glob, GlobBuilder, GlobMatcher};
use std::fmt;

/// A list of texts and globs, one of which must match.
///
/// A text with `*`, `?`, `[` or `{` is a glob; a backslash takes away their meaning. `*` crosses every
/// character, dots and slashes too.
#[derive(Clone, Default)]
pub(super) struct Patterns {
    exact: Vec<String>,
    globs: Vec<Wildcard>,
    written: Vec<String>,
}

#[derive(Clone)]
struct Wildcard {
    glob: Glob,
    matcher: GlobMatcher,
}

/// Compiles one glob.
fn wildcard(text: &str) -> Result<Wildcard, String> {
    let glob = GlobBuilder::new(text)
        .literal_separator(false)
        .backslash_escape(true)
        .build()
        .map_err(|error| error.kind().to_string())?;
    let matcher = glob.compile_matcher();
    Ok(Wildcard { glob, matcher })
}

impl Patterns {
    /// Texts that are no globs whatever is in them.
    pub(super) fn exactly<'t>(texts: impl IntoIterator<Item = &'t str>) -> Patterns {
        let exact: Vec<String> = texts.into_iter().map(str::to_owned).collect();
        Patterns { written: exact.clone(), exact, globs: Vec::new() }
    }

    /// Adds a text as it was written.
    ///
    /// # Errors
    ///
    /// Why it is no glob.
    pub(super) fn add(&mut self, text: &str) -> Result<(), String> {
        match text.contains(['*', '?', '[', '{']) {
            true => self.globs.push(wildcard(text)?),
            false => self.exact.push(text.to_owned()),
        }
        self.written.push(text.to_owned());
        Ok(())
    }

    /// Whether one of them matches.
    pub(super) fn match_text(&self, text: &str) -> bool {
        self.exact.iter().any(|exact| exact == text)
            || self.globs.iter().any(|glob| glob.matcher.is_match(text))
    }

    /// Whether they match every text.
    pub(super) fn match_all(&self) -> bool {
        self.written.iter().any(|text| text == "*")
    }

    /// The texts that are no globs.
    pub(super) fn exact(&self) -> &[String] {
        &self.exact
    }

    /// The globs.
    pub(super) fn globs(&self) -> impl Iterator<Item = &Glob> {
        self.globs.iter().map(|glob| &glob.glob)
    }

    /// Whether there are globs among them.
    pub(super) fn has_globs(&self) -> bool {
        !self.globs.is_empty()
    }
}

impl fmt::Debug for Patterns {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.written.fmt(f)
    }
}

impl fmt::Display for Patterns {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.written.as_slice() {
            [one] => write!(f, "`{one}`"),
            many => write!(f, "one of {many:?}"),
        }
    }
}
