//! Where in a document something is.

use std::fmt;

/// The way from a document's root to one of its parts; displayed as `spec.match.rules[0]`.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Path(Vec<Segment>);

/// One step of a [`Path`].
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Segment {
    /// Into a mapping.
    Key(String),
    /// Into a list.
    Index(usize),
}

impl Path {
    /// The document itself.
    pub const fn root() -> Path {
        Path(Vec::new())
    }

    /// The part under `key`.
    #[must_use]
    pub fn key(&self, key: &str) -> Path {
        self.then(Segment::Key(key.to_owned()))
    }

    /// The item at `index`.
    #[must_use]
    pub fn index(&self, index: usize) -> Path {
        self.then(Segment::Index(index))
    }

    /// The steps, outermost first.
    pub fn segments(&self) -> &[Segment] {
        &self.0
    }

    fn then(&self, segment: Segment) -> Path {
        let mut segments = self.0.clone();
        segments.push(segment);
        Path(segments)
    }

    /// This path and a path that serde noted below it, as far as that is known.
    pub(super) fn join(&self, below: &serde_path_to_error::Path) -> Path {
        let mut path = self.clone();
        for segment in below {
            match segment {
                serde_path_to_error::Segment::Seq { index } => path.0.push(Segment::Index(*index)),
                serde_path_to_error::Segment::Map { key } => path.0.push(Segment::Key(key.clone())),
                serde_path_to_error::Segment::Enum { variant } => {
                    path.0.push(Segment::Key(variant.clone()))
                }
                serde_path_to_error::Segment::Unknown => break,
            }
        }
        path
    }

    /// This path, then what it lies in, up to the root.
    pub(super) fn ancestors(&self) -> impl Iterator<Item = Path> {
        (0..=self.0.len()).rev().map(|length| Path(self.0.iter().take(length).cloned().collect()))
    }
}

impl fmt::Display for Path {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (at, segment) in self.0.iter().enumerate() {
            match segment {
                Segment::Index(index) => write!(f, "[{index}]")?,
                Segment::Key(key) if key.contains(['.', '[']) => write!(f, "[{key:?}]")?,
                Segment::Key(key) if at == 0 => f.write_str(key)?,
                Segment::Key(key) => write!(f, ".{key}")?,
            }
        }
        Ok(())
    }
}
