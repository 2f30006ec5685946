//! How many Playbooks of namespaces there is room for in a worker's memory, and for which: a pure decision.
//!
//! Whoever may write them may write any number, of any size. The oldest stand, so that nobody takes another's room by
//! coming after, and no namespace takes more than its share. A ClusterPlaybook is the operator's, and takes none.

use std::{collections::BTreeMap, fmt};

use super::kind::{Key, PlaybookKind};

/// What a playbook takes in memory, in bytes: for itself, for each byte of its text, and for each text in it that may be a
/// glob, which is compiled. As measured of texts that were made to take much, and rounded up.
const EACH: usize = 8 << 10;
const BYTE: usize = 40;
const GLOB: usize = 16 << 10;

/// How much room those of a namespace have, and those of all.
#[derive(Clone, Copy, Debug)]
struct Room {
    namespace: usize,
    all: usize,
}

/// In bytes of memory: what is read, and may be in force.
const READ: Room = Room { namespace: 4 << 20, all: 128 << 20 };

/// In number: what is known of at all, so that its status says that there is no room.
const KNOWN: Room = Room { namespace: 1000, all: 20_000 };

/// Why there is no room for one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NoRoom {
    /// Its namespace has had its share.
    Namespace,
    /// All namespaces together have had theirs.
    All,
}

/// What becomes of one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Place {
    /// It may be read.
    Read,
    /// It is known of, and not read.
    Known(NoRoom),
    /// There are too many even for that.
    Forgotten,
}

impl fmt::Display for NoRoom {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (whose, room, fix) = match self {
            Self::Namespace => {
                ("a namespace", READ.namespace, "delete or shorten older ones of its namespace")
            }
            Self::All => ("all namespaces", READ.all, "delete older ones that nobody needs"),
        };
        write!(
            f,
            "there is no room for it: a worker has {} MiB for the Playbooks of {whose}, the oldest first, and reckons {} KiB \
             for each, {BYTE} bytes for each of its text, and {} KiB for each glob; {fix}, or make it a ClusterPlaybook",
            room >> 20,
            EACH >> 10,
            GLOB >> 10
        )
    }
}

/// What one of this text takes in memory, in bytes, more or less.
pub(super) fn cost(text: &str) -> usize {
    let (mut globs, mut is_text, mut is_glob, mut is_escaped) = (0_usize, false, false, false);
    for byte in text.bytes() {
        match byte {
            _ if is_escaped => is_escaped = false,
            b'\\' if is_text => is_escaped = true,
            b'"' => {
                globs += usize::from(is_glob);
                (is_text, is_glob) = (!is_text, false);
            }
            b'*' | b'?' | b'[' | b'{' if is_text => is_glob = true,
            _ => {}
        }
    }
    EACH + BYTE * text.len() + GLOB * globs
}

/// What becomes of each, by what it takes in memory: from the oldest on, as [`PlaybookObject::age`] says.
///
/// More of them, or larger ones, make room for none: whoever has read a part of them may let go of what has no room there.
///
/// [`PlaybookObject::age`]: super::PlaybookObject::age
pub fn places<'a>(oldest_first: impl IntoIterator<Item = (&'a Key, usize)>) -> Vec<Place> {
    let (mut read, mut known) = (Taken::of(READ), Taken::of(KNOWN));
    let place = |(key, cost): (&'a Key, usize)| {
        let namespace = match (key.kind, &key.namespace) {
            (PlaybookKind::Playbook, Some(namespace)) => namespace.as_str(),
            _ => return Place::Read,
        };
        let is_read = read.take(namespace, cost);
        match (is_read, known.take(namespace, 1)) {
            (Ok(()), _) => Place::Read,
            (Err(why), Ok(())) => Place::Known(why),
            (Err(_), Err(_)) => Place::Forgotten,
        }
    };
    oldest_first.into_iter().map(place).collect()
}

/// Whether there is room for this one, whatever others there are.
pub(super) fn could_be_read(kind: PlaybookKind, cost: usize) -> bool {
    kind == PlaybookKind::ClusterPlaybook || cost <= READ.namespace
}

/// How many objects, and bytes of their texts, may be held before what has no room has to go.
pub(super) const AT_ONCE: (usize, usize) = (2 * KNOWN.all, 2 * READ.all / BYTE);

/// What the older ones have taken of some room.
struct Taken<'a> {
    room: Room,
    of: BTreeMap<&'a str, usize>,
    of_all: usize,
}

impl<'a> Taken<'a> {
    fn of(room: Room) -> Self {
        Self { room, of: BTreeMap::new(), of_all: 0 }
    }

    /// One for which there is none counts all the same, so that none comes to have room by what became of an older one.
    fn take(&mut self, namespace: &'a str, size: usize) -> Result<(), NoRoom> {
        let Room { namespace: share, all } = self.room;
        let before = self.of.entry(namespace).or_default();
        let after = before.saturating_add(size);
        let found = match () {
            () if after > share => Err(NoRoom::Namespace),
            () if self.of_all.saturating_add(size) > all => Err(NoRoom::All),
            () => Ok(()),
        };
        self.of_all += after.min(share) - (*before).min(share);
        *before = after;
        found
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn key(namespace: &str, name: usize) -> Key {
        let (kind, namespace) = match namespace {
            "" => (PlaybookKind::ClusterPlaybook, None),
            namespace => (PlaybookKind::Playbook, Some(namespace.to_owned())),
        };
        Key { kind, namespace, name: format!("{name:06}") }
    }

    fn judged(all: &[(Key, usize)]) -> Vec<Place> {
        places(all.iter().map(|(key, bytes)| (key, *bytes)))
    }

    fn read(all: &[(Key, usize)]) -> usize {
        let judged = judged(all).into_iter().zip(all);
        let read = judged.filter(|(place, (key, _))| {
            *place == Place::Read && key.kind == PlaybookKind::Playbook
        });
        read.map(|(_, (_, cost))| cost).sum()
    }

    #[test]
    fn a_namespace_takes_its_share_whatever_it_writes_and_keeps_nobody_else_out() {
        let mut all: Vec<_> = (0..5000).map(|name| (key("hostile", name), 50 << 10)).collect();
        all.extend([(key("shop", 0), 2 << 10), (key("", 0), 1 << 20)]);
        let places = judged(&all);
        assert_eq!(places[all.len() - 2..], [Place::Read, Place::Read]);
        let count = |place| places.iter().filter(|it| **it == place).count();
        let of_hostile = READ.namespace / (50 << 10);
        assert_eq!(count(Place::Read), of_hostile + 2);
        assert_eq!(count(Place::Known(NoRoom::Namespace)), KNOWN.namespace - of_hostile);
        assert_eq!(count(Place::Forgotten), 5000 - KNOWN.namespace);
    }

    #[test]
    fn all_namespaces_together_have_an_end_too_and_cluster_playbooks_have_none() {
        let many: Vec<_> = (0..100).map(|it| format!("tenant-{it:03}")).collect();
        let mut all: Vec<_> = many.iter().map(|it| (key(it, 0), READ.namespace)).collect();
        all.extend([(key("late", 0), EACH), (key("", 0), READ.all)]);
        let places = judged(&all);
        let fit = READ.all / READ.namespace;
        assert!(places[..fit].iter().all(|it| *it == Place::Read));
        assert!(places[fit..101].iter().all(|it| *it == Place::Known(NoRoom::All)));
        assert_eq!(places[101], Place::Read);
        assert!(read(&all) <= READ.all);
    }

    #[test]
    fn one_that_is_too_large_for_itself_is_told_to_be() {
        assert_eq!(judged(&[(key("shop", 0), usize::MAX)]), [Place::Known(NoRoom::Namespace)]);
        assert!(!could_be_read(PlaybookKind::Playbook, usize::MAX));
        assert!(could_be_read(PlaybookKind::Playbook, READ.namespace));
    }

    #[test]
    fn a_glob_costs_more_than_its_length_wherever_it_stands_in_a_text() {
        let words = |texts: &[&str]| cost(&serde_json::json!(texts).to_string());
        let plain = words(&["shell", "a\\\"b"]);
        assert_eq!(plain, EACH + BYTE * r#"["shell","a\\\"b"]"#.len());
        for glob in ["*", "sh?ll", "[ab]", "{a,b}", "\"*\\"] {
            assert!(words(&[glob, "b"]) > GLOB + EACH, "{glob}");
            assert!(words(&[glob, "b"]) < 2 * GLOB + EACH, "{glob}");
            assert!(words(&[glob, "b", glob]) > 2 * GLOB + EACH, "{glob}");
        }
    }

    fn many() -> impl Strategy<Value = Vec<(Key, usize)>> {
        let one = (0..40_usize, prop_oneof![EACH..2 * EACH, EACH..READ.namespace]);
        prop::collection::vec(one, 0..200).prop_map(|all| {
            let key = |at, of: usize| key(&format!("n{of}"), at);
            all.into_iter().enumerate().map(|(at, (of, bytes))| (key(at, of), bytes)).collect()
        })
    }

    proptest! {
        #[test]
        fn what_is_read_is_bounded_and_more_of_them_make_room_for_none(
            all in many(),
            left in prop::collection::vec(any::<bool>(), 200),
        ) {
            prop_assert!(read(&all) <= READ.all);
            let part: Vec<_> = all.iter().zip(&left).filter(|(_, left)| **left).map(|(it, _)| it.clone()).collect();
            let of_part: BTreeMap<_, _> = part.iter().map(|(key, _)| key).zip(judged(&part)).collect();
            for ((key, _), place) in all.iter().zip(judged(&all)) {
                if place == Place::Read && let Some(of_part) = of_part.get(key) {
                    prop_assert_eq!(*of_part, Place::Read, "{}", key);
                }
            }
        }
    }
}
