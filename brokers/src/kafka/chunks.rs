//! A dead letter that its topic can't take in one record: cut into several that lose nothing.
//!
//! Every chunk carries `stoop-chunk-set` (the same for all chunks of one attempt to write the letter),
//! `stoop-chunk-index` (from 0), `stoop-chunk-count`, and `stoop-chunk-bytes` (the length of the whole body). Chunk 0
//! carries the letter's headers besides, and the original key as `stoop-original-key`. Who puts them together takes a
//! set of which all are there; an incomplete one was given up and written again as another set.

use bytes::Bytes;

use crate::message::Message;

pub(super) struct Chunks<'a> {
    set: String,
    message: &'a Message,
    headers: &'a [(String, Bytes)],
    size: usize,
    next: usize,
}

impl<'a> Chunks<'a> {
    pub(super) fn of(message: &'a Message, headers: &'a [(String, Bytes)], size: usize) -> Self {
        let set = format!("{}-{:016x}", message.id, fastrand::u64(..));
        Self { set, message, headers, size: size.max(1), next: 0 }
    }

    /// The name of the set, fit as the key of its records.
    pub(super) fn set(&self) -> &str {
        &self.set
    }

    fn pieces(&self) -> usize {
        self.message.payload.len().div_ceil(self.size).max(1)
    }

    fn headers_of(&self, index: usize) -> Vec<(String, Bytes)> {
        let mut headers = Vec::new();
        if index == 0 {
            headers.extend_from_slice(self.headers);
            headers
                .extend(self.message.key.clone().map(|key| ("stoop-original-key".to_owned(), key)));
        }
        let mut add = |name: &str, value: String| {
            headers.push((format!("stoop-chunk-{name}"), Bytes::from(value)));
        };
        add("set", self.set.clone());
        add("index", index.to_string());
        add("count", self.pieces().to_string());
        add("bytes", self.message.payload.len().to_string());
        headers
    }
}

impl<'a> Iterator for Chunks<'a> {
    type Item = (Vec<(String, Bytes)>, &'a [u8]);

    fn next(&mut self) -> Option<Self::Item> {
        let index = self.next;
        if index >= self.pieces() {
            return None;
        }
        self.next += 1;
        let body = &self.message.payload;
        let from = index * self.size;
        let piece = body.get(from..(from + self.size).min(body.len())).unwrap_or_default();
        Some((self.headers_of(index), piece))
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use proptest::prelude::*;

    use super::*;
    use crate::message::{Attempt, MessageId};

    fn message(payload: Vec<u8>) -> Message {
        Message {
            id: MessageId::in_partition(Arc::from("t"), 1, 7),
            payload: payload.into(),
            key: Some(Bytes::from_static(b"k")),
            headers: Vec::new(),
            published: None,
            attempt: Attempt::Unknown,
        }
    }

    proptest! {
        #[test]
        fn put_together_they_are_the_body(body in proptest::collection::vec(any::<u8>(), 0..300), size in 1..80usize) {
            let message = message(body.clone());
            let chunks: Vec<_> = Chunks::of(&message, &[], size).collect();
            prop_assert!(chunks.iter().all(|(_, piece)| piece.len() <= size));
            let count = Bytes::from(chunks.len().to_string());
            for (n, (headers, _)) in chunks.iter().enumerate() {
                let index = Bytes::from(n.to_string());
                prop_assert!(headers.contains(&("stoop-chunk-index".to_owned(), index)));
                prop_assert!(headers.contains(&("stoop-chunk-count".to_owned(), count.clone())));
            }
            let whole: Vec<u8> = chunks.iter().flat_map(|(_, piece)| piece.to_vec()).collect();
            prop_assert_eq!(whole, body);
        }
    }

    #[test]
    fn the_first_carries_the_letters_headers_and_the_key() {
        let message = message(vec![0; 10]);
        let headers = [("stoop-reason".to_owned(), Bytes::from_static(b"failed"))];
        let chunks: Vec<_> = Chunks::of(&message, &headers, 4).collect();
        let has = |n: usize, name: &str| chunks[n].0.iter().any(|(header, _)| header == name);
        assert!(has(0, "stoop-reason") && has(0, "stoop-original-key"));
        assert!(
            !has(1, "stoop-reason") && has(1, "stoop-chunk-set") && has(2, "stoop-chunk-bytes")
        );
    }
}
