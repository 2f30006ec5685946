//! Headers between the client's form and ours. NATS knows text only, and no order of names.

use async_nats::{HeaderMap, header::HeaderName};
use bytes::Bytes;

/// What the server acts on when it stands in a published message's header: never copied from one message to another.
const SERVERS: &str = "nats-";

/// As the worker owns them, sorted by name.
pub(super) fn owned(headers: Option<&HeaderMap>) -> Vec<(String, Bytes)> {
    let Some(headers) = headers else { return Vec::new() };
    let mut owned: Vec<(String, Bytes)> = headers
        .iter()
        .flat_map(|(name, values)| values.iter().map(move |value| (name, value)))
        .map(|(name, value)| (name.to_string(), Bytes::copy_from_slice(value.as_str().as_bytes())))
        .collect();
    owned.sort_by(|(a, _), (b, _)| a.cmp(b));
    owned
}

/// As they are published; a value that is no text loses what isn't, and what would break a line. `Nats-` headers are left
/// out: a copied id would have the server take the message for one that it has, and drop it.
pub(super) fn published(headers: &[(String, Bytes)]) -> HeaderMap {
    let mut map = HeaderMap::new();
    for (name, value) in headers {
        let ours =
            name.get(..SERVERS.len()).is_none_or(|start| !start.eq_ignore_ascii_case(SERVERS));
        let name: Result<HeaderName, _> = name.parse();
        if let (true, Ok(name)) = (ours, name) {
            let value = String::from_utf8_lossy(value).replace(['\r', '\n'], " ");
            map.append(name, value.as_str());
        }
    }
    map
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn what_is_read_can_be_published_again() {
        let mut map = HeaderMap::new();
        map.append("traceparent", "00-1");
        map.append("twice", "a");
        map.append("twice", "b");
        let read = owned(Some(&map));
        assert_eq!(read.len(), 3);
        assert_eq!(owned(Some(&published(&read))), read);
    }

    #[test]
    fn what_the_server_acts_on_is_not_copied() {
        let mut map = HeaderMap::new();
        map.append("Nats-Msg-Id", "1");
        map.append("nats-rollup", "all");
        map.append("x", "y");
        assert_eq!(published(&owned(Some(&map))).len(), 1);
    }

    proptest! {
        #[test]
        fn no_header_panics(name in "\\PC{0,20}", value in prop::collection::vec(any::<u8>(), 0..40)) {
            published(&[(name, Bytes::from(value))]);
        }
    }
}
