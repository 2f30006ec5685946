//! All objects of a kind as they come, page by page: what there is no room for is let go of meanwhile.

use super::{
    object::PlaybookObject,
    room::{AT_ONCE, Place, places},
};

/// Those that came so far.
#[derive(Default)]
pub(super) struct Gathered {
    all: Vec<PlaybookObject>,
    /// How many of them are bounded, and how much text they hold.
    bounded: (usize, usize),
}

impl Gathered {
    pub(super) fn add(&mut self, object: PlaybookObject) {
        self.count(&object);
        self.all.push(object);
        if self.bounded.0 > AT_ONCE.0 || self.bounded.1 > AT_ONCE.1 {
            self.cut();
        }
    }

    /// All of them, the oldest first, and those without their text for which there is no room.
    pub(super) fn take(&mut self) -> Vec<PlaybookObject> {
        self.cut();
        std::mem::take(self).all
    }

    fn count(&mut self, object: &PlaybookObject) {
        if object.key.namespace.is_some() {
            self.bounded.0 += 1;
            self.bounded.1 += object.held();
        }
    }

    fn cut(&mut self) {
        let mut all = std::mem::take(self).all;
        all.sort_by(|one, other| one.age().cmp(&other.age()));
        let places = places(all.iter().map(|object| (&object.key, object.cost())));
        for (mut object, place) in all.into_iter().zip(places) {
            match place {
                Place::Forgotten => continue,
                Place::Known(why) => object.has_no_room(why),
                Place::Read => {}
            }
            self.count(&object);
            self.all.push(object);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::act::objects::kind::PlaybookKind;

    /// One that was written in this second, with a text of about so many bytes.
    fn object(namespace: &str, second: usize, bytes: usize) -> PlaybookObject {
        let object = serde_json::json!({
            "metadata": {
                "name": second.to_string(), "namespace": namespace, "uid": "u", "generation": 1, "resourceVersion": "1",
                "creationTimestamp": jiff::Timestamp::from_second(i64::try_from(second).expect("small")).expect("a time"),
            },
            "spec": {"text": "x".repeat(bytes)},
        });
        let object = serde_json::from_value(object).expect("an object");
        PlaybookObject::of(PlaybookKind::Playbook, object).expect("stored")
    }

    #[test]
    fn however_many_come_and_in_whatever_order_the_oldest_have_their_text_and_no_more_is_held() {
        let mut gathered = Gathered::default();
        // The youngest first.
        for second in (0..3000).rev() {
            gathered.add(object("hostile", second, 8 << 10));
            assert!(gathered.bounded.1 <= AT_ONCE.1, "{:?}", gathered.bounded);
        }
        gathered.add(object("shop", 5000, 100));
        let all = gathered.take();
        let texts = |namespace: &str| {
            let of = all.iter().filter(|it| it.key.namespace.as_deref() == Some(namespace));
            of.map(|it| it.held() > 0).collect::<Vec<_>>()
        };
        assert_eq!(texts("shop"), [true]);
        let hostile = texts("hostile");
        let read = hostile.iter().take_while(|has_text| **has_text).count();
        assert!((10..20).contains(&read), "{read}");
        assert!(!hostile[read..].contains(&true));
        assert_eq!(hostile.len(), 1000, "of more it is not even known that there are");
        let why = all[read].read().unwrap_err().to_string();
        assert!(
            why.contains(
                "there is no room for it: a worker has 4 MiB for the Playbooks of a namespace"
            ),
            "{why}"
        );
    }
}
