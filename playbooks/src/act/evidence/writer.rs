//! A stream of bytes into one object, a part at a time.

use bytes::Bytes;
use object_store::{
    Error, MultipartUpload, ObjectStore, ObjectStoreExt as _, PutPayload, PutPayloadMut, path::Path,
};

/// The least that S3 takes for a part, and so what is held.
const PART: usize = 5 << 20;

/// Writes one object. What is small goes in one request.
pub(super) struct Writer<'a> {
    store: &'a dyn ObjectStore,
    path: Path,
    held: PutPayloadMut,
    parts: Option<Box<dyn MultipartUpload>>,
}

impl<'a> Writer<'a> {
    pub(super) fn new(store: &'a dyn ObjectStore, path: Path) -> Writer<'a> {
        Writer { store, path, held: PutPayloadMut::new(), parts: None }
    }

    pub(super) async fn write(&mut self, chunk: Bytes) -> Result<(), Error> {
        self.held.push(chunk);
        if self.held.content_length() >= PART { self.flush().await } else { Ok(()) }
    }

    /// The object is there from then on.
    pub(super) async fn finish(mut self) -> Result<(), Error> {
        if self.parts.is_none() {
            let held = std::mem::take(&mut self.held).freeze();
            return self.store.put(&self.path, held).await.map(drop);
        }
        if self.held.content_length() > 0 {
            self.flush().await?;
        }
        match self.parts {
            Some(mut parts) => parts.complete().await.map(drop),
            None => Ok(()),
        }
    }

    /// As if nothing had been written; what can't be taken back has no name that anybody knows.
    pub(super) async fn abandon(self) {
        if let Some(mut parts) = self.parts {
            let _ = parts.abort().await;
        }
    }

    async fn flush(&mut self) -> Result<(), Error> {
        let held: PutPayload = std::mem::take(&mut self.held).freeze();
        let parts = match &mut self.parts {
            Some(parts) => parts,
            none => none.insert(self.store.put_multipart(&self.path).await?),
        };
        parts.put_part(held).await
    }
}

#[cfg(test)]
mod tests {
    use object_store::memory::InMemory;

    use super::*;

    #[tokio::test]
    async fn what_is_larger_than_a_part_arrives_whole() {
        let (store, path) = (InMemory::new(), Path::from("a"));
        let mut writer = Writer::new(&store, path.clone());
        let chunk: Bytes = (0..=255).cycle().take(1 << 20).collect::<Vec<u8>>().into();
        for _ in 0..11 {
            writer.write(chunk.clone()).await.unwrap();
        }
        writer.write(Bytes::from_static(b"end")).await.unwrap();
        writer.finish().await.unwrap();
        let stored = store.get(&path).await.unwrap().bytes().await.unwrap();
        assert_eq!(stored.len(), (11 << 20) + 3);
        assert!(stored.starts_with(&chunk) && stored.ends_with(b"end"));
    }
}
