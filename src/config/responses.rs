//! The keys of `responses` and `approvals`.

use std::net::SocketAddr;

use playbooks::act::{ConfigError, Links, Retention};
use schemars::JsonSchema;
use serde::Deserialize;
use settings::{Secret, Span};

/// What becomes of the Response objects once they have ended.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "camelCase", default)]
pub struct Responses {
    /// How long they are kept.
    pub keep: Span,
    /// How many are kept; the oldest go first.
    pub most: usize,
}

impl Default for Responses {
    fn default() -> Self {
        Self { keep: Span::from_secs(7 * 24 * 60 * 60), most: 1000 }
    }
}

impl Responses {
    /// For the sweeper.
    pub fn retention(&self) -> Retention {
        Retention { keep: self.keep.0, most: self.most }
    }
}

/// How people are asked, where a playbook says `approval: required`.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "camelCase", default)]
pub struct Approvals {
    /// Where the pages behind the links listen; without, there are no links.
    pub listen: Option<SocketAddr>,
    /// How people reach that, as `https://stoop.example`.
    pub url: Option<String>,
    /// What the links are signed with, the same for all workers; at least 32 bytes.
    pub key: Option<Secret>,
    /// How long they have to answer.
    pub expire_after: Span,
}

impl Default for Approvals {
    fn default() -> Self {
        Self { listen: None, url: None, key: None, expire_after: Span::from_secs(24 * 60 * 60) }
    }
}

impl Approvals {
    /// What makes the links, where they are configured.
    ///
    /// # Errors
    /// The key can't be read, or could be guessed.
    pub fn links(&self) -> Result<Option<Links>, ConfigError> {
        let (Some(url), Some(key)) = (&self.url, &self.key) else { return Ok(None) };
        let key = key.read().map_err(|error| ConfigError::from(error).at("key"))?;
        let links = Links::new(url, &key);
        links.map(Some).map_err(|error| ConfigError::new(error.to_string()).at("key"))
    }
}
