//! An error that shows where, what and how to mend it.

use super::Path;
use std::fmt;

/// A place in a text, both counted from 1; the column counts characters.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Place {
    /// The line.
    pub line: usize,
    /// The column.
    pub column: usize,
}

/// One fault in a document.
///
/// [`Display`](fmt::Display) writes `file:line:column: path: message`, the line itself with a mark, and the fix.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Error(Box<Inner>);

#[derive(Debug, Clone, PartialEq, Eq)]
struct Inner {
    name: String,
    place: Option<Place>,
    path: Path,
    message: String,
    help: String,
    line: Option<String>,
}

impl Error {
    pub(super) fn new(
        name: &str,
        place: Option<Place>,
        path: Path,
        message: String,
        help: String,
        line: Option<String>,
    ) -> Error {
        Error(Box::new(Inner { name: name.to_owned(), place, path, message, help, line }))
    }

    /// A fault of the file as a whole.
    pub(crate) fn of_file(
        name: &str,
        message: impl Into<String>,
        help: impl Into<String>,
    ) -> Error {
        Error::new(name, None, Path::root(), message.into(), help.into(), None)
    }

    /// The file's name, or whatever else names the document.
    pub fn name(&self) -> &str {
        &self.0.name
    }

    /// Where it is; `None` for what was not read from text.
    pub fn place(&self) -> Option<Place> {
        self.0.place
    }

    /// What it is about.
    pub fn path(&self) -> &Path {
        &self.0.path
    }

    /// What is wrong.
    pub fn message(&self) -> &str {
        &self.0.message
    }

    /// How to mend it; can be empty.
    pub fn help(&self) -> &str {
        &self.0.help
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Inner { name, place, path, message, help, line } = &*self.0;
        f.write_str(name)?;
        if let Some(Place { line, column }) = place {
            write!(f, ":{line}:{column}")?;
        }
        if !path.segments().is_empty() {
            write!(f, ": {path}")?;
        }
        write!(f, ": {message}")?;
        if let (Some(Place { line: number, column }), Some(line)) = (place, line) {
            let (shown, before) = window(line, *column);
            let gutter = number.to_string().len();
            write!(f, "\n{number} | {shown}\n{:gutter$} | {:before$}^", "", "")?;
        }
        if !help.is_empty() {
            write!(f, "\n  fix: {help}")?;
        }
        Ok(())
    }
}

impl std::error::Error for Error {}

/// How much of a long line is shown.
const WIDTH: usize = 100;

/// The part of a line around a column, and how many characters of it stand before the mark.
fn window(line: &str, column: usize) -> (String, usize) {
    let before = column.saturating_sub(1);
    let skipped = if before >= WIDTH { before - WIDTH / 2 } else { 0 };
    let clean = |c: char| if c.is_control() { ' ' } else { c };
    (line.chars().skip(skipped).take(WIDTH).map(clean).collect(), before - skipped)
}
