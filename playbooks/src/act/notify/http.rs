//! What sinks and functions that speak HTTP share: one client, secret headers, and what an answer means.

use std::{collections::BTreeMap, sync::Once, time::Duration};

use reqwest::{
    Client, RequestBuilder, Response, StatusCode,
    header::{CONTENT_TYPE, HeaderMap, HeaderName, HeaderValue, RETRY_AFTER},
    redirect,
};
use secrecy::{ExposeSecret as _, SecretString};
use serde_json::Value;
use settings::Secret;

use super::secret;

use crate::act::{
    config::ConfigError,
    outcome::{Dependency, Failure},
    text::clean,
};

/// The longest wait that a receiver can impose.
const LONGEST_WAIT: Duration = Duration::from_secs(60);

/// How much of an error's text is read: receivers name the fault there.
const BODY: usize = 1024;

/// A client that follows no redirect: it would carry a signed body, or a secret URL's answer, elsewhere.
pub(in crate::act) fn client(timeout: Duration) -> Result<Client, ConfigError> {
    static PROVIDER: Once = Once::new();
    // Whoever was first wins; which provider it is doesn't matter here.
    PROVIDER.call_once(|| drop(rustls::crypto::ring::default_provider().install_default()));
    Client::builder()
        .timeout(timeout)
        .redirect(redirect::Policy::none())
        .user_agent(concat!("stoop/", env!("CARGO_PKG_VERSION")))
        .build()
        .map_err(|error| {
            ConfigError::new(format!("no HTTP client can be made: {}", error.without_url()))
        })
}

/// Where a sink's messages go, with what it wants to be shown.
#[derive(Debug)]
pub(super) struct Endpoint {
    client: Client,
    url: SecretString,
    headers: HeaderMap,
}

impl Endpoint {
    /// `path` is added to the URL, which is a secret as a whole.
    pub(super) fn new(
        url: &Secret,
        path: &str,
        headers: HeaderMap,
        timeout: Duration,
    ) -> Result<Endpoint, ConfigError> {
        let base = secret::url(url).map_err(|error| error.at("url"))?;
        let url = match path {
            "" => base,
            path => format!("{}{path}", base.expose_secret().trim_end_matches('/')).into(),
        };
        Ok(Endpoint { client: client(timeout)?, url, headers })
    }

    /// A POST of this JSON.
    pub(super) fn post(&self, json: &Value) -> RequestBuilder {
        self.post_as("application/json", json.to_string().into_bytes())
    }

    /// A POST of this body.
    pub(super) fn post_as(&self, kind: &'static str, body: Vec<u8>) -> RequestBuilder {
        self.client
            .post(self.url.expose_secret())
            .headers(self.headers.clone())
            .header(CONTENT_TYPE, kind)
            .body(body)
    }
}

/// Headers that nobody may see.
pub(in crate::act) fn headers(
    written: &BTreeMap<String, Secret>,
) -> Result<HeaderMap, ConfigError> {
    let mut headers = HeaderMap::new();
    for (name, value) in written {
        let header = HeaderName::from_bytes(name.as_bytes());
        let header = header.map_err(|_| {
            ConfigError::new(format!("the header {name} can't be sent")).at("headers")
        })?;
        let value = sensitive(value).map_err(|error| {
            let message = format!("the header {name}: {}", error.message);
            ConfigError { message, ..error }.at(name).at("headers")
        })?;
        headers.insert(header, value);
    }
    Ok(headers)
}

/// A secret as a header's value, read now.
pub(in crate::act) fn sensitive(secret: &Secret) -> Result<HeaderValue, ConfigError> {
    prefixed("", secret)
}

/// `Bearer` and a secret, read now: one that is renewed in its file is sent anew.
pub(in crate::act) fn bearer(token: &Secret) -> Result<HeaderValue, ConfigError> {
    prefixed("Bearer ", token)
}

fn prefixed(prefix: &str, secret: &Secret) -> Result<HeaderValue, ConfigError> {
    let text = secret.read()?;
    let value = HeaderValue::from_str(&format!("{prefix}{}", text.expose_secret()));
    let mut value = value.map_err(|_| {
        ConfigError::new("it can't be sent in a header")
            .help("it has to be one line of printable characters")
    })?;
    value.set_sensitive(true);
    Ok(value)
}

/// Why a request did not succeed. The URL is a secret: it is taken out of every text.
#[derive(Debug)]
pub(in crate::act) enum Trouble {
    /// It can't be sent at all.
    Unfit(String),
    /// Nobody is there to take it.
    Unreached(String),
    /// It may have arrived.
    Unanswered(String),
    /// The answer is no success.
    Refused {
        /// Its status.
        status: StatusCode,
        /// How long it asks us to wait.
        wait: Option<Duration>,
        /// What it says.
        why: String,
    },
}

/// The answer to a request, if it is a success.
pub(in crate::act) async fn accepted(
    sent: Result<Response, reqwest::Error>,
) -> Result<Response, Trouble> {
    let answer = answered(sent)?;
    match answer.status().is_success() {
        true => Ok(answer),
        false => Err(refused(answer).await),
    }
}

/// The answer to a request, whatever it is.
pub(super) fn answered(sent: Result<Response, reqwest::Error>) -> Result<Response, Trouble> {
    sent.map_err(|error| {
        let error = error.without_url();
        let why = format!("no answer: {}", clean(&chain(&error), 200));
        match error {
            error if error.is_builder() => Trouble::Unfit(why),
            error if error.is_connect() => Trouble::Unreached(why),
            _ => Trouble::Unanswered(why),
        }
    })
}

/// What an answer that is no success says.
pub(super) async fn refused(answer: Response) -> Trouble {
    let (status, wait) = (answer.status(), retry_after(&answer));
    let text = clean(String::from_utf8_lossy(&beginning(answer, BODY).await).trim(), 100);
    let why = match text.as_str() {
        "" => format!("answered {status}"),
        text => format!("answered {status}: {text}"),
    };
    Trouble::Refused { status, wait, why }
}

/// What the answer to a sink's request means.
pub(super) async fn settle(sent: Result<Response, reqwest::Error>) -> Result<(), Failure> {
    Ok(accepted(sent).await.map(drop)?)
}

impl From<Trouble> for Failure {
    /// As a sink's: everybody has to be told by it, so that its being away is an outage.
    fn from(trouble: Trouble) -> Failure {
        let (status, wait, why) = match trouble {
            Trouble::Unfit(why) => return Failure::permanent(why),
            Trouble::Unreached(why) | Trouble::Unanswered(why) => {
                return Failure::unavailable(unnamed(), why);
            }
            Trouble::Refused { status, wait, why } => (status, wait, why),
        };
        match status {
            // It is there, and this message has to wait: no reason to hold all intake.
            StatusCode::TOO_MANY_REQUESTS => Failure::transient(why).after(wait),
            StatusCode::REQUEST_TIMEOUT
            | StatusCode::BAD_GATEWAY
            | StatusCode::SERVICE_UNAVAILABLE
            | StatusCode::GATEWAY_TIMEOUT => Failure::unavailable(unnamed(), why).after(wait),
            status if status.is_server_error() => Failure::transient(why).after(wait),
            _ => Failure::permanent(why),
        }
    }
}

/// `Notifiers` knows the name and fills it in.
fn unnamed() -> Dependency {
    Dependency::Sink(String::new())
}

/// Seconds, bounded; a date or nonsense counts as none.
fn retry_after(answer: &Response) -> Option<Duration> {
    let seconds = answer.headers().get(RETRY_AFTER)?.to_str().ok()?.trim().parse().ok()?;
    Some(Duration::from_secs(seconds).min(LONGEST_WAIT))
}

/// The beginning of an answer's body, as far as it comes.
pub(super) async fn beginning(mut answer: Response, limit: usize) -> Vec<u8> {
    let mut text = Vec::new();
    while text.len() < limit
        && let Ok(Some(chunk)) = answer.chunk().await
    {
        text.extend_from_slice(&chunk);
    }
    text
}

fn chain(error: &dyn std::error::Error) -> String {
    match error.source() {
        Some(source) => format!("{error}: {}", chain(source)),
        None => error.to_string(),
    }
}
