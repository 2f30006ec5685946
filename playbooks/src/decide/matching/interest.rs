//! What the playbooks want of one rule.

use super::anchors::{Anchor, Anchors};
use crate::decide::{Playbook, Priority};
use std::sync::Arc;

/// Which events of one rule are wanted: enough to skip an event on its rule, priority and source alone.
#[derive(Debug, Default)]
pub(super) struct Interest {
    /// Priorities that some playbook wants whatever the source.
    any_source: u8,
    /// Priorities that playbooks want of one source.
    sourced: Vec<(String, u8)>,
    /// The playbooks that ask for this rule.
    pub(super) anchors: Anchors,
}

impl Interest {
    /// Builds the interest of the playbooks that ask for a rule, added to that of those that don't name rules.
    pub(super) fn new(
        playbooks: &[Arc<Playbook>],
        asking: &[Anchor],
        others: &Interest,
    ) -> Interest {
        let mut interest = Interest {
            any_source: others.any_source,
            sourced: others.sourced.clone(),
            anchors: Anchors::default(),
        };
        for anchor in asking {
            match playbooks
                .get(anchor.playbook)
                .and_then(|playbook| playbook.selector.sources.as_deref())
            {
                None => interest.any_source |= anchor.priorities,
                Some(sources) => {
                    sources.iter().for_each(|source| interest.want(source, anchor.priorities))
                }
            }
        }
        interest.anchors = Anchors::new(playbooks, asking);
        interest
    }

    fn want(&mut self, source: &str, priorities: u8) {
        match self.sourced.iter_mut().find(|(known, _)| known == source) {
            Some((_, known)) => *known |= priorities,
            None => self.sourced.push((source.to_owned(), priorities)),
        }
    }

    /// The same interest, with the playbooks themselves kept elsewhere.
    pub(super) fn without_anchors(self) -> Interest {
        Interest { anchors: Anchors::default(), ..self }
    }

    /// Whether no event of the rule is wanted.
    pub(super) fn is_empty(&self) -> bool {
        self.any_source == 0 && self.sourced.is_empty()
    }

    /// What can be said without the source.
    pub(super) fn at(&self, priority: Priority) -> Wanted {
        if self.any_source & priority.bit() != 0 {
            Wanted::Yes
        } else if self.sourced.iter().any(|(_, priorities)| priorities & priority.bit() != 0) {
            Wanted::FromSomeSources
        } else {
            Wanted::No
        }
    }

    /// Whether an event of `priority` from `source`, in its normal form, is wanted.
    pub(super) fn from(&self, priority: Priority, source: &str) -> bool {
        let bit = priority.bit();
        self.any_source & bit != 0
            || self.sourced.iter().any(|(wanted, set)| set & bit != 0 && wanted == source)
    }
}

/// What an [`Interest`] says of a priority.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Wanted {
    No,
    FromSomeSources,
    Yes,
}
