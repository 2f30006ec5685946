//! Google's Security Command Center: each message is a finding.
//!
//! [`findings.patch`](https://cloud.google.com/security-command-center/docs/reference/rest/v2/organizations.sources.findings/patch)
//! creates a finding or brings it up to date, and the finding's id is the message's key: a copy changes nothing.

#![allow(
    clippy::indexing_slicing,
    reason = "a `Value` that is indexed by name gives null, or takes it: all of these are objects"
)]

use std::time::Duration;

use async_trait::async_trait;
use google_cloud_auth::credentials::{
    self, CacheableResource, Credentials, external_account, impersonated, service_account,
    user_account,
};
use reqwest::{Client, Url, header::CONTENT_TYPE};
use schemars::JsonSchema;
use secrecy::{ExposeSecret as _, SecretString};
use serde::Deserialize;
use serde_json::{Value, json};
use settings::Secret;
use tokio::sync::OnceCell;

use super::{
    Notification, Pace, Sink, http,
    summary::{self, inert},
};
use crate::act::{
    config::ConfigError,
    outcome::{Dependency, Failure},
    text::clean,
};

/// `securityCommandCenter: {source, credentials, endpoint}`.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct SecurityCommandCenterConfig {
    /// The source of the findings: `organizations/NUMBER/sources/NUMBER`, or a folder's or a project's.
    pub source: String,
    /// The JSON of a credential: a service account's key, or the configuration of a workload identity. Without it they are
    /// found as all of Google's tools find them (application default credentials, the metadata server).
    #[serde(default)]
    pub credentials: Option<Secret>,
    /// Another address of the API, such as a regional one.
    #[serde(default = "endpoint")]
    pub endpoint: String,
}

fn endpoint() -> String {
    "https://securitycenter.googleapis.com".to_owned()
}

#[derive(Debug)]
pub(super) struct SecurityCommandCenter {
    client: Client,
    /// Where findings are, without their ids.
    findings: String,
    credential: Option<SecretString>,
    /// Made when it is first needed: it is kept fresh by a task.
    credentials: OnceCell<Credentials>,
}

impl SecurityCommandCenter {
    pub(super) fn new(
        config: &SecurityCommandCenterConfig,
        timeout: Duration,
    ) -> Result<SecurityCommandCenter, ConfigError> {
        check_source(&config.source)?;
        check_endpoint(&config.endpoint)?;
        let credential = config.credentials.as_ref().map(Secret::read).transpose();
        let credential = credential.map_err(|error| ConfigError::from(error).at("credentials"))?;
        if let Some(credential) = &credential {
            read(credential).map_err(|error| error.at("credentials"))?;
        }
        let endpoint = config.endpoint.trim_end_matches('/');
        Ok(SecurityCommandCenter {
            client: http::client(timeout)?,
            findings: format!("{endpoint}/v2/{}/findings", config.source),
            credential,
            credentials: OnceCell::new(),
        })
    }

    async fn credentials(&self) -> Result<&Credentials, Failure> {
        let make = async || {
            let made = match &self.credential {
                None => credentials::Builder::default().build(),
                Some(text) => build(text)?,
            };
            // Kept out of the text: it may repeat some of a key.
            made.map_err(|_| {
                Failure::permanent(
                    "Google's credentials can't be used: give the pod a service account with workload identity, or set \
                     credentials",
                )
            })
        };
        self.credentials.get_or_try_init(make).await
    }
}

type Built = Result<Credentials, google_cloud_auth::build_errors::Error>;

fn build(text: &SecretString) -> Result<Built, Failure> {
    let (kind, json) = read(text).map_err(|error| Failure::permanent(error.message))?;
    Ok(match kind {
        Kind::ServiceAccount => service_account::Builder::new(json).build(),
        Kind::ExternalAccount => external_account::Builder::new(json).build(),
        Kind::AuthorizedUser => user_account::Builder::new(json).build(),
        Kind::Impersonated => impersonated::Builder::new(json).build(),
    })
}

/// What kind of credential it is.
enum Kind {
    ServiceAccount,
    ExternalAccount,
    AuthorizedUser,
    Impersonated,
}

fn read(text: &SecretString) -> Result<(Kind, Value), ConfigError> {
    let json: Value = serde_json::from_str(text.expose_secret())
        // The parser's own words could repeat some of it.
        .map_err(|_| ConfigError::new("that is no JSON").help("name the file that Google gave"))?;
    let kind = match json["type"].as_str().unwrap_or_default() {
        "service_account" => Kind::ServiceAccount,
        "external_account" => Kind::ExternalAccount,
        "authorized_user" => Kind::AuthorizedUser,
        "impersonated_service_account" => Kind::Impersonated,
        _ => {
            return Err(ConfigError::new("its type is not known")
                .help("the JSON of a service account's key, or of a workload identity"));
        }
    };
    Ok((kind, json))
}

fn check_source(source: &str) -> Result<(), ConfigError> {
    let is_id =
        |id: &str| !id.is_empty() && id.chars().all(|c| c.is_ascii_alphanumeric() || c == '-');
    match source.split('/').collect::<Vec<_>>()[..] {
        ["organizations" | "folders" | "projects", parent, "sources", source]
            if is_id(parent) && is_id(source) =>
        {
            Ok(())
        }
        _ => Err(ConfigError::new("no source of findings")
            .at("source")
            .help("such as `organizations/123/sources/456`")),
    }
}

fn check_endpoint(endpoint: &str) -> Result<(), ConfigError> {
    let is_here = |url: &Url| {
        url.scheme() == "http"
            && matches!(url.host_str(), Some("127.0.0.1" | "[::1]" | "localhost"))
    };
    match Url::parse(endpoint) {
        Ok(url) if url.has_host() && (url.scheme() == "https" || is_here(&url)) => Ok(()),
        _ => Err(ConfigError::new("no address that credentials can be sent to")
            .at("endpoint")
            .help("write https://HOST, or leave it out")),
    }
}

fn render(message: &Notification<'_>) -> Value {
    let mut properties = json!({
        "rule": inert(&message.rule),
        "output": inert(&message.output),
        "playbook": message.playbook,
        "mode": message.mode,
        "result": message.result(),
        "steps": inert(&message.done()),
        "verified": message.verified,
        "event_id": message.event_id,
    });
    for (name, value) in [("cluster", &message.cluster), ("hostname", &message.hostname)] {
        if let Some(value) = value {
            properties[name] = json!(inert(value));
        }
    }
    if let Some(link) = &message.link {
        properties["link"] = json!(link);
    }
    let mut description = format!(
        "{}: {}",
        inert(&format!("{} on {}", message.rule, message.about())),
        summary::done(message)
    );
    if !message.more.is_empty() {
        let more = summary::more(message).join("; ");
        description = format!("{description} (and {} more)", message.more.len());
        properties["more"] = json!(more);
    }
    json!({
        "state": "ACTIVE",
        "category": "FALCO_EVENT_ANSWERED",
        "findingClass": "THREAT",
        "resourceName": inert(message.target.as_deref().unwrap_or("kubernetes")),
        "severity": severity(message.priority),
        "eventTime": message.time,
        "description": description,
        "sourceProperties": properties,
    })
}

fn severity(priority: &str) -> &'static str {
    match priority {
        "Emergency" | "Alert" | "Critical" => "CRITICAL",
        "Error" => "HIGH",
        "Warning" => "MEDIUM",
        _ => "LOW",
    }
}

#[async_trait]
impl Sink for SecurityCommandCenter {
    async fn send(&self, message: &Notification<'_>) -> Result<(), Failure> {
        let headers = self.credentials().await?.headers(http_extensions()).await;
        let headers = match headers {
            Ok(CacheableResource::New { data, .. }) => data,
            Ok(CacheableResource::NotModified) => Default::default(),
            Err(error) => {
                let why = format!("Google gives no token: {}", clean(&error.to_string(), 200));
                return Err(match error.is_transient() {
                    true => Failure::unavailable(Dependency::Sink(String::new()), why),
                    false => Failure::permanent(why),
                });
            }
        };
        let sent = self
            .client
            .patch(format!("{}/{}", self.findings, message.delivery()))
            .headers(headers)
            .header(CONTENT_TYPE, "application/json")
            .body(render(message).to_string())
            .send();
        http::settle(sent.await).await
    }

    fn preview(&self, message: &Notification<'_>) -> Value {
        render(message)
    }

    /// <https://cloud.google.com/security-command-center/quotas>: far below, since all that tell share it.
    fn pace(&self) -> Option<Pace> {
        Some(Pace::apart(Duration::from_millis(100)))
    }
}

fn http_extensions() -> ::http::Extensions {
    ::http::Extensions::new()
}
