//! Headers as Pub/Sub's attributes, and back. Attributes are texts with limits, and no name comes twice:
//! <https://cloud.google.com/pubsub/quotas#resource_limits>
//!
//! A value too long for one attribute goes on in others, called `NAME~1`, `NAME~2` and so on.

use std::collections::{BTreeMap, HashMap};

use bytes::Bytes;

/// The longest value, in bytes.
const VALUE: usize = 1024;

/// The longest name, in bytes.
const NAME: usize = 256;

/// How many attributes a message can have.
const COUNT: usize = 100;

/// Why headers can't be attributes.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(super) enum Misfit {
    #[error("the header {0} is no text, and attributes of Pub/Sub are")]
    NotText(String),
    #[error(
        "the name of the header {0} is no fit name for an attribute of Pub/Sub: 1 to 256 bytes, not beginning with goog"
    )]
    Name(String),
    #[error("the headers need {0} attributes, and Pub/Sub takes {COUNT} of a message")]
    TooMany(usize),
}

/// The attributes that say what the headers do. Of a name that comes twice the last counts.
pub(super) fn attributes(headers: &[(String, Bytes)]) -> Result<HashMap<String, String>, Misfit> {
    let mut attributes = HashMap::with_capacity(headers.len());
    for (name, value) in headers {
        let value = std::str::from_utf8(value).map_err(|_| Misfit::NotText(name.clone()))?;
        for (n, piece) in pieces(value).enumerate() {
            let name = if n == 0 { name.clone() } else { format!("{name}~{n}") };
            if name.is_empty() || name.len() > NAME || name.starts_with("goog") {
                return Err(Misfit::Name(name));
            }
            attributes.insert(name, piece.to_owned());
        }
    }
    if attributes.len() > COUNT {
        return Err(Misfit::TooMany(attributes.len()));
    }
    Ok(attributes)
}

/// The headers that the attributes say, in order of name.
pub(super) fn headers(attributes: HashMap<String, String>) -> Vec<(String, Bytes)> {
    let mut headers: BTreeMap<String, String> = attributes.into_iter().collect();
    let begun: Vec<String> =
        headers.keys().filter_map(|name| name.strip_suffix("~1")).map(str::to_owned).collect();
    for name in begun {
        let Some(mut value) = headers.remove(&name) else { continue };
        for n in 1.. {
            let Some(piece) = headers.remove(&format!("{name}~{n}")) else { break };
            value.push_str(&piece);
        }
        headers.insert(name, value);
    }
    headers.into_iter().map(|(name, value)| (name, value.into())).collect()
}

/// A value in pieces that fit; an empty one is one piece.
fn pieces(value: &str) -> impl Iterator<Item = &str> {
    let mut rest = Some(value);
    std::iter::from_fn(move || {
        let (piece, more) = rest?.split_at(rest?.floor_char_boundary(VALUE));
        rest = (!more.is_empty()).then_some(more);
        Some(piece)
    })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn what_fits_comes_back_as_it_was(
            values in proptest::collection::btree_map("[a-z-]{1,20}", "\\PC{0,3000}", 0..8),
        ) {
            let given: Vec<(String, Bytes)> = values
                .into_iter()
                .filter(|(name, _)| !name.starts_with("goog"))
                .map(|(name, value)| (name, value.into()))
                .collect();
            let attributes = attributes(&given).unwrap();
            prop_assert!(attributes.values().all(|value| value.len() <= VALUE));
            prop_assert_eq!(headers(attributes), given);
        }
    }

    #[test]
    fn what_does_not_fit_is_named() {
        let one = |name: &str, value: &'static [u8]| {
            attributes(&[(name.to_owned(), Bytes::from_static(value))]).unwrap_err()
        };
        assert_eq!(one("a", b"\xff"), Misfit::NotText("a".into()));
        assert_eq!(one("", b""), Misfit::Name(String::new()));
        assert_eq!(one("googclient", b""), Misfit::Name("googclient".into()));
        let many: Vec<_> = (0..=COUNT).map(|n| (n.to_string(), Bytes::new())).collect();
        assert_eq!(attributes(&many), Err(Misfit::TooMany(COUNT + 1)));
    }

    #[test]
    fn a_strangers_names_that_look_like_ours_are_left_alone() {
        let strange =
            [("a~1", "x"), ("b", "y"), ("b~2", "z")].map(|(n, v)| (n.to_owned(), v.to_owned()));
        let headers = headers(strange.clone().into_iter().collect());
        let given = strange.map(|(name, value)| (name, Bytes::from(value)));
        assert_eq!(headers, given);
    }
}
