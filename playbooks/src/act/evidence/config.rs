//! Where evidence is kept, as it is configured.

use std::{
    net::{Ipv4Addr, SocketAddr},
    sync::{Arc, Once},
    time::Duration,
};

use object_store::{
    BackoffConfig, ObjectStore, RetryConfig, aws::AmazonS3Builder, azure::MicrosoftAzureBuilder,
    gcp::GoogleCloudStorageBuilder, local::LocalFileSystem, path::Path,
};
use reqwest::Url;
use schemars::JsonSchema;
use serde::Deserialize;
use settings::Secret;

use super::{
    desk::Desk,
    link::{Link, Signed},
    store::Evidence,
};
use crate::act::config::ConfigError;

/// Where evidence is kept.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub struct EvidenceConfig {
    /// `s3://bucket/prefix`, `gs://bucket/prefix`, `az://container/prefix`, or `file:///folder` on a disk of the worker's.
    /// Credentials, region and endpoint come from the environment, as the clouds' own tools take them.
    pub url: String,
    /// How capture jobs bring what they have to a `file:///` folder or to Azure, which signs no URL that could not overwrite
    /// what is there; S3 and GCS need none.
    pub uploads: Option<UploadsConfig>,
}

/// A port of the worker's that takes what a capture job has captured: once for each job, bounded, and not for long.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub struct UploadsConfig {
    /// Where it listens.
    #[serde(default = "everywhere")]
    pub listen: SocketAddr,
    /// How capture jobs reach it: `http://stoop-uploads.stoop:2809`.
    pub url: String,
    /// What upload links are signed with. All workers of a fleet need the same.
    pub secret: Secret,
}

fn everywhere() -> SocketAddr {
    SocketAddr::from((Ipv4Addr::UNSPECIFIED, 2809))
}

/// The store answers in time or the step is tried again: an action may not take long.
const RETRIES: usize = 2;

impl Evidence {
    /// Opens the store that is configured; asks nothing of it yet.
    ///
    /// # Errors
    ///
    /// Where the URL, the folder or the credentials can't be used.
    pub fn open(config: &EvidenceConfig) -> Result<Evidence, ConfigError> {
        let parsed = Url::parse(&config.url).map_err(|error| {
            ConfigError::new(format!("the URL can't be read: {error}")).help(HELP).at("url")
        })?;
        let desk = config.uploads.as_ref().map(Desk::new).transpose();
        let desk = desk.map_err(|error| error.at("uploads"))?;
        let (store, root, signed) = connect(&parsed).map_err(|error| error.at("url"))?;
        let link = match (signed, desk) {
            (Some(_), Some(_)) => {
                let why = "capture jobs upload there by signed URLs";
                return Err(ConfigError::new(why).help("leave `uploads` out").at("uploads"));
            }
            (Some(signed), None) => Link::Signed(signed),
            (None, Some(desk)) => Link::Desk(desk),
            (None, None) => Link::None,
        };
        let place = config.url.trim_end_matches('/').to_owned();
        Ok(Evidence::new(store, root, place, link))
    }
}

const HELP: &str =
    "write s3://bucket/prefix, gs://bucket/prefix, az://container/prefix or file:///folder";

/// The store, the prefix in it, and what signs links to it, where that can be.
type Connected = (Arc<dyn ObjectStore>, Path, Option<Signed>);

fn connect(url: &Url) -> Result<Connected, ConfigError> {
    install_provider();
    let text = url.as_str();
    let (store, signed): (Arc<dyn ObjectStore>, Option<Signed>) = match url.scheme() {
        "s3" => {
            let builder = AmazonS3Builder::from_env().with_url(text).with_retry(retry());
            let store = Arc::new(builder.build().map_err(unusable)?);
            (store.clone(), Some(Signed::s3(store)))
        }
        "gs" => {
            let builder = GoogleCloudStorageBuilder::from_env().with_url(text).with_retry(retry());
            let store = Arc::new(builder.build().map_err(unusable)?);
            (store.clone(), Some(Signed::gcs(store)))
        }
        "az" => {
            let builder = MicrosoftAzureBuilder::from_env().with_url(text).with_retry(retry());
            (Arc::new(builder.build().map_err(unusable)?), None)
        }
        "file" => return Ok((folder(url)?, Path::default(), None)),
        scheme => {
            return Err(ConfigError::new(format!("there is no store `{scheme}://`")).help(HELP));
        }
    };
    let root = Path::from_url_path(url.path())
        .map_err(|error| ConfigError::new(format!("the prefix can't be used: {error}")))?;
    Ok((store, root, signed))
}

fn folder(url: &Url) -> Result<Arc<dyn ObjectStore>, ConfigError> {
    let folder = url.to_file_path().map_err(|()| {
        ConfigError::new("no folder of this machine").help("write `file:///` and the whole path")
    })?;
    let store = LocalFileSystem::new_with_prefix(&folder).map_err(|error| {
        ConfigError::new(format!("the folder can't be used: {error}"))
            .help(format!("make {} and let the worker write to it", folder.display()))
    })?;
    // A manifest is only there once its data is on the disk.
    Ok(Arc::new(store.with_fsync(true)))
}

fn unusable(error: object_store::Error) -> ConfigError {
    ConfigError::new(format!("the store can't be used as it is configured: {error}"))
        .help("region, account and endpoint come from the environment: AWS_*, GOOGLE_*, AZURE_*")
}

pub(super) fn retry() -> RetryConfig {
    RetryConfig {
        backoff: BackoffConfig { max_backoff: Duration::from_secs(1), ..BackoffConfig::default() },
        max_retries: RETRIES,
        retry_timeout: Duration::from_secs(10),
    }
}

/// The HTTP client takes the process's provider of TLS, and panics where there is none.
pub(super) fn install_provider() {
    static PROVIDER: Once = Once::new();
    // Whoever was first wins; which provider it is doesn't matter here.
    PROVIDER.call_once(|| drop(rustls::crypto::ring::default_provider().install_default()));
}

#[cfg(test)]
mod tests {
    use super::*;

    fn config(url: &str) -> EvidenceConfig {
        EvidenceConfig { url: url.to_owned(), uploads: None }
    }

    #[test]
    fn a_place_that_is_none_is_refused_with_the_fix() {
        let table = [
            ("evidence", "url", "s3://bucket"),
            ("ftp://host/x", "url", "s3://bucket"),
            ("file:///no/such/folder", "url", "make /no/such/folder"),
            ("file://host/x", "url", "file:///"),
        ];
        for (url, path, words) in table {
            let error = Evidence::open(&config(url)).err().expect(url);
            assert_eq!(error.path.to_string(), path, "{url}");
            let text = format!("{} {}", error.message, error.help);
            assert!(text.contains(words), "{url}: {text}");
        }
    }

    #[test]
    fn a_bucket_that_signs_links_takes_no_uploads_of_the_workers_own() {
        let uploads = UploadsConfig {
            listen: everywhere(),
            url: "http://stoop:2809".into(),
            secret: Secret::literal("s".repeat(32)),
        };
        let both = EvidenceConfig { uploads: Some(uploads), ..config("s3://bucket") };
        assert_eq!(
            Evidence::open(&both).err().map(|error| error.path.to_string()),
            Some("uploads".into())
        );
    }
}
