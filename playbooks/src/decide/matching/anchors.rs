//! Playbooks found by the cheapest thing that must hold for them.

use crate::decide::{Event, EventError, FieldValue, Playbook};
use std::collections::HashMap;
use std::sync::Arc;

/// A playbook, by its position, and the priorities it answers here.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Anchor {
    pub(super) playbook: usize,
    pub(super) priorities: u8,
}

/// A set of playbooks, each under one field, one tag, or nothing.
#[derive(Debug, Default)]
pub(super) struct Anchors {
    fields: Vec<FieldAnchors>,
    tags: HashMap<String, Vec<Anchor>>,
    rest: Vec<Anchor>,
}

#[derive(Debug)]
struct FieldAnchors {
    key: String,
    /// The priorities of all of them: at any other the field is not even looked at.
    priorities: u8,
    values: HashMap<String, Vec<Anchor>>,
}

impl Anchors {
    pub(super) fn new(playbooks: &[Arc<Playbook>], of: &[Anchor]) -> Anchors {
        let mut anchors = Anchors::default();
        for anchor in of {
            if let Some(playbook) = playbooks.get(anchor.playbook) {
                anchors.add(playbook, *anchor);
            }
        }
        anchors
    }

    fn add(&mut self, playbook: &Playbook, anchor: Anchor) {
        let selector = &playbook.selector;
        if let Some(field) = selector.needed_field() {
            let at =
                self.fields.iter().position(|known| known.key == field.key).unwrap_or_else(|| {
                    self.fields.push(FieldAnchors {
                        key: field.key.clone(),
                        priorities: 0,
                        values: HashMap::new(),
                    });
                    self.fields.len() - 1
                });
            if let Some(known) = self.fields.get_mut(at) {
                known.priorities |= anchor.priorities;
                for value in field.values.exact() {
                    known.values.entry(value.clone()).or_default().push(anchor);
                }
            }
        } else if let Some(tags) = &selector.tags {
            for tag in tags {
                self.tags.entry(tag.clone()).or_default().push(anchor);
            }
        } else {
            self.rest.push(anchor);
        }
    }

    /// Adds the playbooks that an event of this priority could still be for; some may come twice.
    pub(super) fn find(&self, event: &Event<'_>, found: &mut Vec<usize>) -> Result<(), EventError> {
        let bit = event.priority.bit();
        let mut add = |anchors: &[Anchor]| {
            found.extend(
                anchors
                    .iter()
                    .filter(|anchor| anchor.priorities & bit != 0)
                    .map(|anchor| anchor.playbook),
            );
        };
        add(&self.rest);
        if !self.tags.is_empty() {
            event
                .tags
                .iter()
                .filter_map(|tag| self.tags.get(tag.as_ref()))
                .for_each(|anchors| add(anchors));
        }
        for known in self.fields.iter().filter(|known| known.priorities & bit != 0) {
            if let Some(value) = event.fields()?.get(&known.key) {
                known.look_up(&value, &mut add);
            }
        }
        Ok(())
    }
}

impl FieldAnchors {
    fn look_up(&self, value: &FieldValue<'_>, add: &mut impl FnMut(&[Anchor])) {
        match value {
            FieldValue::List(values) => values.iter().for_each(|value| self.look_up(value, add)),
            value => {
                if let Some(anchors) = value.text().and_then(|text| self.values.get(text.as_ref()))
                {
                    add(anchors);
                }
            }
        }
    }
}
