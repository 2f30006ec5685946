//! The token of SASL OAUTHBEARER: a JWT that somebody else renews, read anew whenever the client wants one.

use std::error::Error as StdError;

use base64::{Engine as _, prelude::BASE64_URL_SAFE_NO_PAD as BASE64};
use jiff::Timestamp;
use rdkafka::{
    ClientContext, client::OAuthToken, config::RDKafkaLogLevel, consumer::ConsumerContext,
    error::KafkaError,
};
use secrecy::ExposeSecret as _;
use serde::Deserialize;
use settings::{Secret, SecretError};

use super::{config::Config, context::log};

/// Where tokens come from, if the brokers want any.
#[derive(Clone, Debug)]
pub(super) struct Tokens(Option<Secret>);

/// Why there is no token to show. The text names the setting and never holds any of it.
#[derive(Debug, thiserror::Error)]
enum TokenError {
    #[error("{0}")]
    Unset(String),
    #[error("{source}")]
    Unreadable { source: SecretError },
    #[error("it is no JSON Web Token ({0}): name the file that one is kept in")]
    Malformed(&'static str),
    #[error("it expired at {0}: see to it that it is renewed")]
    Expired(Timestamp),
}

/// What a token says that concerns its bearer.
#[derive(Deserialize)]
struct Claims {
    exp: f64,
    #[serde(default)]
    sub: Option<String>,
}

impl Tokens {
    pub(super) fn of(config: &Config) -> Self {
        Self(config.sasl.as_ref().and_then(|sasl| sasl.token.clone()))
    }

    /// A token as librdkafka takes it, for its callback.
    pub(super) fn token(&self) -> Result<OAuthToken, Box<dyn StdError>> {
        Ok(self.read(Timestamp::now())?)
    }

    fn read(&self, now: Timestamp) -> Result<OAuthToken, TokenError> {
        let unset = || TokenError::Unset("it is not set".to_owned());
        let secret = self.0.as_ref().ok_or_else(unset)?;
        let token = secret.read().map_err(|source| TokenError::Unreadable { source })?;
        let token = token.expose_secret().trim();
        let Claims { exp, sub } = claims(token).map_err(TokenError::Malformed)?;
        // A date is a whole number of seconds as a rule, and may have a fraction (RFC 7519).
        let expires = Timestamp::from_second(exp as i64);
        let expires = expires.map_err(|_| TokenError::Malformed("its exp is no date"))?;
        if expires <= now {
            return Err(TokenError::Expired(expires));
        }
        Ok(OAuthToken {
            token: token.to_owned(),
            principal_name: sub.unwrap_or_else(|| "stoop".to_owned()),
            lifetime_ms: expires.as_millisecond(),
        })
    }
}

/// What the token says; whether that is true is for the broker to judge.
fn claims(token: &str) -> Result<Claims, &'static str> {
    let mut parts = token.split('.');
    let (Some(_), Some(claims), Some(_), None) =
        (parts.next(), parts.next(), parts.next(), parts.next())
    else {
        return Err("not three parts");
    };
    let claims = BASE64.decode(claims).map_err(|_| "not base64")?;
    serde_json::from_slice(&claims).map_err(|_| "without an exp")
}

/// The context of a client whose errors come with its answers: the connection's own need no second voice.
pub(super) struct Quiet {
    tokens: Tokens,
}

impl Quiet {
    pub(super) fn of(tokens: Tokens) -> Self {
        Self { tokens }
    }
}

impl ClientContext for Quiet {
    const ENABLE_REFRESH_OAUTH_TOKEN: bool = true;

    fn log(&self, level: RDKafkaLogLevel, facility: &str, message: &str) {
        log(level, facility, message);
    }

    fn error(&self, error: KafkaError, reason: &str) {
        tracing::debug!(%error, reason, "librdkafka");
    }

    fn generate_oauth_token(&self, _: Option<&str>) -> Result<OAuthToken, Box<dyn StdError>> {
        self.tokens.token()
    }
}

impl ConsumerContext for Quiet {}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(token: &str, now: i64) -> Result<OAuthToken, String> {
        let tokens = Tokens(Some(Secret::literal(token)));
        tokens.read(Timestamp::from_second(now).unwrap()).map_err(|error| error.to_string())
    }

    fn jwt(claims: &str) -> String {
        format!("e30.{}.c2ln", BASE64.encode(claims))
    }

    #[test]
    fn a_token_is_good_until_it_expires() {
        let token = jwt(r#"{"sub": "system:serviceaccount:stoop:stoop", "exp": 100}"#);
        let read_at = |now| read(&token, now);
        let good = read_at(99).unwrap();
        assert_eq!((good.token.as_str(), good.lifetime_ms), (token.as_str(), 100_000));
        assert_eq!(good.principal_name, "system:serviceaccount:stoop:stoop");
        let expired = read_at(100).err().unwrap();
        assert!(expired.contains("expired at 1970-01-01T00:01:40Z"), "{expired}");
    }

    #[test]
    fn what_is_no_token_is_refused_without_showing_it() {
        for wrong in ["secret", "a.secret", "a.b.c.d", "a.!.c", &jwt("secret"), &jwt("{}")] {
            let error = read(wrong, 0).err().unwrap();
            assert!(error.contains("no JSON Web Token") && !error.contains("secret"), "{error}");
        }
    }

    #[test]
    fn a_file_is_read_anew_each_time() {
        let file = tempfile::NamedTempFile::new().unwrap();
        let secret = serde_json::json!({"file": file.path()});
        let tokens = Tokens(serde_json::from_value(secret).unwrap());
        for exp in [1, 2] {
            std::fs::write(file.path(), jwt(&format!(r#"{{"exp": {exp}}}"#))).unwrap();
            let token = tokens.read(Timestamp::UNIX_EPOCH).map_err(|e| e.to_string()).unwrap();
            assert_eq!(token.lifetime_ms, exp * 1000);
        }
    }
}
