//! How a capture job, which has no credentials, brings what it captured: a URL for one object, for a while.

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use jiff::{SignedDuration, Timestamp};
use object_store::{
    aws::AmazonS3,
    azure::MicrosoftAzure,
    gcp::GoogleCloudStorage,
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

/// A store that signs URLs, and the headers that make it create and never overwrite.
#[derive(Clone)]
pub(super) struct Signed {
    signer: Arc<dyn Signer>,
    /// Part of the signature: without them the URL is worth nothing.
    signed: &'static [(&'static str, &'static str)],
    /// Azure signs no headers.
    plain: &'static [(&'static str, &'static str)],
}

impl Signed {
    pub(super) fn s3(signer: Arc<AmazonS3>) -> Signed {
        Signed { signer, signed: &[("if-none-match", "*")], plain: &[] }
    }

    pub(super) fn gcs(signer: Arc<GoogleCloudStorage>) -> Signed {
        Signed { signer, signed: &[("x-goog-if-generation-match", "0")], plain: &[] }
    }

    pub(super) fn azure(signer: Arc<MicrosoftAzure>) -> Signed {
        let plain = &[("if-none-match", "*"), ("x-ms-blob-type", "BlockBlob")];
        Signed { signer, signed: &[], plain }
    }

    async fn sign(&self, path: &Path, valid: Duration) -> Result<String, object_store::Error> {
        let options = self.signed.iter().fold(SignedUrlOptions::new(), |options, (name, value)| {
            let (name, value) = (HeaderName::from_static(name), HeaderValue::from_static(value));
            options.with_signed_header(name, value)
        });
        let url = self.signer.signed_url_opts(Method::PUT, path, valid, &options).await?;
        Ok(url.into())
    }

    fn headers(&self) -> BTreeMap<String, String> {
        let all = self.signed.iter().chain(self.plain);
        all.map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect()
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
                "capture jobs have no way to the evidence: set `evidence.uploads`, or keep it in a bucket",
            )),
        }
    }
}
