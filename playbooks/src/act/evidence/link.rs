//! How a capture job, which has no credentials, brings what it captured: a URL for one object, for a while.

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use jiff::{SignedDuration, Timestamp};
use object_store::{
    path::Path,
    signer::{HeaderName, HeaderValue, Method, SignedUrlOptions, Signer},
};

use super::{desk::Desk, folder::Draft, problem::failure, store::Evidence};
use crate::act::outcome::Failure;

/// Where a job may put one object, once.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::act) struct Slot {
    /// The object's key below the capture's folder.
    pub(in crate::act) key: String,
    /// What to PUT to. Whoever has it can put one object of this key, until it ends.
    pub(in crate::act) url: String,
    /// What has to be sent along.
    pub(in crate::act) headers: BTreeMap<String, String>,
}

/// The way, by kind of store.
#[derive(Clone)]
pub(super) enum Link {
    /// The store itself takes a signed URL.
    Signed(Signed),
    /// The worker takes it and puts it away.
    Desk(Desk),
    /// There is none.
    None,
}

/// A store that signs URLs together with the header that makes it create and never overwrite.
///
/// Azure is none: its signatures hold no headers. One with the permission to create and not to write would do, but
/// object_store signs them with the permission to write, which overwrites.
#[derive(Clone)]
pub(super) struct Signed {
    signer: Arc<dyn Signer>,
    /// Part of the signature: without it the URL is worth nothing.
    header: (&'static str, &'static str),
}

impl Signed {
    /// <https://docs.aws.amazon.com/AmazonS3/latest/userguide/conditional-writes.html>
    pub(super) fn s3(signer: Arc<dyn Signer>) -> Signed {
        Signed { signer, header: ("if-none-match", "*") }
    }

    /// <https://cloud.google.com/storage/docs/xml-api/reference-headers#xgoogifgenerationmatch>
    pub(super) fn gcs(signer: Arc<dyn Signer>) -> Signed {
        Signed { signer, header: ("x-goog-if-generation-match", "0") }
    }

    async fn sign(&self, path: &Path, valid: Duration) -> Result<String, object_store::Error> {
        let (name, value) = self.header;
        let (name, value) = (HeaderName::from_static(name), HeaderValue::from_static(value));
        let options = SignedUrlOptions::new().with_signed_header(name, value);
        let url = self.signer.signed_url_opts(Method::PUT, path, valid, &options).await?;
        Ok(url.into())
    }

    fn headers(&self) -> BTreeMap<String, String> {
        let (name, value) = self.header;
        BTreeMap::from([(name.to_owned(), value.to_owned())])
    }
}

impl Evidence {
    /// A place for one object of at most `most` bytes, for as long as `valid`.
    ///
    /// A bucket's URL bounds no size: what it got is measured before it is sealed.
    pub(in crate::act) async fn slot(
        &self,
        draft: &Draft,
        name: &str,
        most: u64,
        valid: Duration,
    ) -> Result<Slot, Failure> {
        let key = draft.key(name);
        match &self.link {
            Link::Signed(signed) => {
                let path = draft.folder.below(&self.root, &key);
                let url = signed.sign(&path, valid).await;
                let url = url.map_err(|error| failure("no upload URL can be signed", &error))?;
                Ok(Slot { key, url, headers: signed.headers() })
            }
            Link::Desk(desk) => {
                let valid = SignedDuration::try_from(valid).unwrap_or(SignedDuration::MAX);
                let until = Timestamp::now().saturating_add(valid).unwrap_or(Timestamp::MAX);
                let url = desk.url(&format!("{}/{key}", draft.folder), until, most);
                Ok(Slot { key, url, headers: BTreeMap::new() })
            }
            Link::None => Err(Failure::permanent(
                "capture jobs have no way to the evidence: set `evidence.uploads`, or keep it in S3 or GCS",
            )),
        }
    }
}

#[cfg(test)]
mod tests {
    use async_trait::async_trait;
    use object_store::{memory::InMemory, signer::Url};

    use super::*;
    use crate::act::evidence::Folder;

    /// Shows in the URL what it was told to sign.
    #[derive(Debug)]
    struct Shows;

    #[async_trait]
    impl Signer for Shows {
        async fn signed_url(
            &self,
            _: Method,
            _: &Path,
            _: Duration,
        ) -> Result<Url, object_store::Error> {
            panic!("signed without a condition")
        }

        async fn signed_url_opts(
            &self,
            method: Method,
            path: &Path,
            valid: Duration,
            options: &SignedUrlOptions,
        ) -> Result<Url, object_store::Error> {
            let signed: Vec<_> = options
                .signed_headers
                .iter()
                .map(|(name, value)| format!("{name}={}", value.to_str().unwrap()))
                .collect();
            let (seconds, signed) = (valid.as_secs(), signed.join("&"));
            Ok(Url::parse(&format!("https://{method}/{path}?{seconds}&{signed}")).unwrap())
        }
    }

    #[tokio::test]
    async fn the_condition_that_nothing_is_there_is_part_of_every_signature() {
        let table = [
            (Signed::s3(Arc::new(Shows)), "if-none-match", "*"),
            (Signed::gcs(Arc::new(Shows)), "x-goog-if-generation-match", "0"),
        ];
        for (signed, name, value) in table {
            let link = Link::Signed(signed);
            let store = Arc::new(InMemory::new());
            let evidence = Evidence::new(store, Path::from("p"), "memory".into(), link);
            let folder = Folder::new("2026-11-21T12:00:00Z".parse().unwrap(), "cap-1");
            let draft = Draft::begin(&folder).unwrap();
            let slot = evidence.slot(&draft, "a", 1, Duration::from_secs(60)).await.unwrap();
            let path = format!("https://put/p/{folder}/{}", slot.key);
            assert_eq!(slot.url, format!("{path}?60&{name}={value}"));
            assert_eq!(slot.headers, BTreeMap::from([(name.to_owned(), value.to_owned())]));
        }
    }
}
