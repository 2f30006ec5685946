//! What the sinks that speak HTTP share: one client, and what an answer means.

use std::{sync::Once, time::Duration};

use reqwest::{Client, Response, StatusCode, header::RETRY_AFTER, redirect};

use crate::act::{
    config::ConfigError,
    outcome::{Dependency, Failure},
    text::clean,
};

/// The longest wait that a receiver can impose.
const LONGEST_WAIT: Duration = Duration::from_secs(60);

/// How much of an error's text is read.
const BODY: usize = 1024;

/// A client that follows no redirect: it would carry a signed body, or a secret URL's answer, elsewhere.
pub(super) fn client(timeout: Duration) -> Result<Client, ConfigError> {
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

/// What the answer to a POST means. The URL is a secret: it is taken out of every error.
pub(super) async fn settle(sent: Result<Response, reqwest::Error>) -> Result<(), Failure> {
    let answer = match sent {
        Ok(answer) => answer,
        Err(error) => {
            let error = error.without_url();
            let why = format!("no answer: {}", clean(&chain(&error), 200));
            return Err(match error.is_builder() {
                true => Failure::permanent(why),
                false => Failure::unavailable(unnamed(), why),
            });
        }
    };
    let status = answer.status();
    if status.is_success() {
        return Ok(());
    }
    let wait = retry_after(&answer);
    let why = match body(answer).await {
        text if text.is_empty() => format!("answered {status}"),
        text => format!("answered {status}: {text}"),
    };
    Err(match status {
        // It is there, and this message has to wait: no reason to hold all intake.
        StatusCode::TOO_MANY_REQUESTS => Failure::transient(why).after(wait),
        StatusCode::REQUEST_TIMEOUT
        | StatusCode::BAD_GATEWAY
        | StatusCode::SERVICE_UNAVAILABLE
        | StatusCode::GATEWAY_TIMEOUT => Failure::unavailable(unnamed(), why).after(wait),
        status if status.is_server_error() => Failure::transient(why).after(wait),
        _ => Failure::permanent(why),
    })
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

/// The beginning of an error's text: receivers name the fault there.
async fn body(mut answer: Response) -> String {
    let mut text = Vec::new();
    while text.len() < BODY
        && let Ok(Some(chunk)) = answer.chunk().await
    {
        text.extend_from_slice(&chunk);
    }
    clean(String::from_utf8_lossy(&text).trim(), 100)
}

fn chain(error: &dyn std::error::Error) -> String {
    match error.source() {
        Some(source) => format!("{error}: {}", chain(source)),
        None => error.to_string(),
    }
}
