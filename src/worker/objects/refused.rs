//! How many objects are not in force as they are written now, and which to look at first.

use std::{collections::BTreeMap, fmt};

use playbooks::act::{Key, PlaybookKind};

/// How many are called by name: their status says why, and it lists them all.
const NAMED: usize = 3;

/// Why an object is not in force as it is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Reason {
    /// It can't be used.
    Refused,
    /// A file's playbook has its name.
    NameTaken,
    /// There is no room for it.
    NoRoom,
}

impl Reason {
    /// Every reason.
    pub const ALL: [Reason; 3] = [Reason::Refused, Reason::NameTaken, Reason::NoRoom];

    /// The metric's label.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Refused => "refused",
            Self::NameTaken => "name-taken",
            Self::NoRoom => "no-room",
        }
    }
}

/// Those that are not in force as they are written.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
pub struct Refused {
    counts: BTreeMap<(PlaybookKind, Reason), usize>,
    first: Vec<Key>,
}

impl Refused {
    /// Counts one more.
    pub fn add(&mut self, object: &Key, reason: Reason) {
        *self.counts.entry((object.kind, reason)).or_default() += 1;
        if self.first.len() < NAMED {
            self.first.push(object.clone());
        }
    }

    /// How many of this kind for this reason.
    pub fn count(&self, kind: PlaybookKind, reason: Reason) -> usize {
        self.counts.get(&(kind, reason)).copied().unwrap_or_default()
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.counts.is_empty()
    }
}

impl fmt::Display for Refused {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let count: usize = self.counts.values().sum();
        let names: Vec<_> = self.first.iter().map(ToString::to_string).collect();
        write!(f, "{}", names.join(", "))?;
        match count - self.first.len() {
            0 => Ok(()),
            more => write!(f, " and {more} more"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn however_many_there_are_only_the_first_are_called_by_name() {
        let key = |name: usize| Key {
            kind: PlaybookKind::Playbook,
            namespace: Some("shop".to_owned()),
            name: name.to_string(),
        };
        let mut refused = Refused::default();
        assert!(refused.is_empty());
        (0..3).for_each(|name| refused.add(&key(name), Reason::Refused));
        assert_eq!(refused.to_string(), "Playbook shop/0, Playbook shop/1, Playbook shop/2");
        (3..1000).for_each(|name| refused.add(&key(name), Reason::NameTaken));
        assert!(refused.to_string().ends_with("shop/2 and 997 more"), "{refused}");
        let count = |reason| refused.count(PlaybookKind::Playbook, reason);
        assert_eq!((count(Reason::Refused), count(Reason::NameTaken)), (3, 997));
        assert_eq!(refused.count(PlaybookKind::ClusterPlaybook, Reason::Refused), 0);
    }
}
