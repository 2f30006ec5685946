//! Partitions by number: small, and found without a hash for every message.

use std::{fmt, sync::Arc};

/// A partition of one of the subscription's topics, by the order in which they first became ours.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::kafka) struct Place(usize);

impl Place {
    pub(in crate::kafka) fn index(self) -> usize {
        self.0
    }
}

/// What a partition is called on the brokers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::kafka) struct Name {
    pub(in crate::kafka) topic: Arc<str>,
    pub(in crate::kafka) partition: i32,
}

impl fmt::Display for Name {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.topic, self.partition)
    }
}

/// All partitions that ever were ours. A place is never given to another one.
#[derive(Clone, Debug, Default)]
pub(in crate::kafka) struct Places {
    names: Vec<Name>,
    topics: Vec<Topic>,
}

#[derive(Clone, Debug)]
struct Topic {
    name: Arc<str>,
    places: Vec<Option<Place>>,
}

impl Places {
    /// The place of a partition, a new one if it has none.
    pub(super) fn enter(&mut self, topic: &str, partition: i32) -> Option<Place> {
        let slot = usize::try_from(partition).ok()?;
        let known = self.topics.iter().position(|known| &*known.name == topic);
        let at = known.unwrap_or_else(|| {
            self.topics.push(Topic { name: Arc::from(topic), places: Vec::new() });
            self.topics.len() - 1
        });
        let topic = self.topics.get_mut(at)?;
        if topic.places.len() <= slot {
            topic.places.resize(slot + 1, None);
        }
        let place = topic.places.get_mut(slot)?;
        if place.is_none() {
            *place = Some(Place(self.names.len()));
            self.names.push(Name { topic: topic.name.clone(), partition });
        }
        *place
    }

    /// The place of a partition that was ours. `topic` is asked for only where there are several.
    #[inline]
    pub(in crate::kafka) fn find<'a>(
        &self,
        topic: impl FnOnce() -> &'a str,
        partition: i32,
    ) -> Option<Place> {
        let topic = match self.topics.as_slice() {
            [only] => only,
            several => {
                let name = topic();
                several.iter().find(|known| &*known.name == name)?
            }
        };
        *topic.places.get(usize::try_from(partition).ok()?)?
    }

    /// What a partition is called.
    pub(in crate::kafka) fn name(&self, place: Place) -> Option<&Name> {
        self.names.get(place.0)
    }

    /// Every place there is.
    pub(super) fn all(&self) -> impl Iterator<Item = Place> + use<> {
        (0..self.names.len()).map(Place)
    }
}
