//! What the client shows of itself at each connection, read anew every time: credentials are renewed where they lie.

use async_nats::{Auth, AuthError};
use nkeys::KeyPair;
use secrecy::ExposeSecret as _;
use settings::Secret;

use crate::contract::Error;

use super::config::{Config, Proof};

/// Who we are, and the answer to the server's `nonce`.
pub(super) fn of(config: &Config, nonce: &[u8]) -> Result<Auth, AuthError> {
    answer(config, nonce).map_err(AuthError::new)
}

/// Whether the secrets are there and are what they should be.
///
/// # Errors
/// They aren't; the text says which.
pub(super) fn check(config: &Config) -> Result<(), Error> {
    answer(config, b"nonce").map(drop)
}

fn answer(config: &Config, nonce: &[u8]) -> Result<Auth, Error> {
    let mut auth = Auth::new();
    match config.proof()? {
        None => {}
        Some(Proof::Credentials(secret)) => {
            let text = read("credentials", secret)?;
            let (jwt, seed) = credentials(&text).ok_or_else(|| {
                unfit("credentials is no credentials file: it has to have a JWT and the seed of its key")
            })?;
            auth.jwt = Some(jwt.to_owned());
            auth.signature = Some(sign(&key("credentials", seed)?, nonce)?);
        }
        Some(Proof::Nkey(secret)) => {
            let key = key("nkey", &read("nkey", secret)?)?;
            auth.nkey = Some(key.public_key());
            auth.signature = Some(sign(&key, nonce)?);
        }
        Some(Proof::Token(secret)) => auth.token = Some(read("token", secret)?),
        Some(Proof::Password { user, password }) => {
            auth.username = Some(user.to_owned());
            auth.password = Some(read("password", password)?);
        }
    }
    Ok(auth)
}

fn read(name: &str, secret: &Secret) -> Result<String, Error> {
    let read = secret.read().map_err(|error| unfit(&format!("{name}: {error}")))?;
    Ok(read.expose_secret().trim().to_owned())
}

fn key(name: &str, seed: &str) -> Result<KeyPair, Error> {
    // The key's own error might show some of it.
    KeyPair::from_seed(seed)
        .map_err(|_| unfit(&format!("{name} has no seed of an nkey: it begins with SU")))
}

fn sign(key: &KeyPair, nonce: &[u8]) -> Result<Vec<u8>, Error> {
    key.sign(nonce).map_err(|error| unfit(&format!("the key can't sign: {error}")))
}

fn unfit(text: &str) -> Error {
    Error::Configuration(format!("auth.{text}"))
}

/// The JWT and the seed of a credentials file: each stands between two lines of dashes.
fn credentials(text: &str) -> Option<(&str, &str)> {
    let after = |title: &str| {
        let mut lines = text.lines().map(str::trim).skip_while(|line| !line.contains(title));
        lines.nth(1).filter(|line| !line.is_empty() && !line.starts_with('-'))
    };
    Some((after("BEGIN NATS USER JWT")?, after("BEGIN USER NKEY SEED")?))
}

#[cfg(test)]
mod tests {
    use super::*;

    const FILE: &str = "-----BEGIN NATS USER JWT-----\r\neyJ0.e30.c2ln\r\n------END NATS USER JWT------\r\n\r\n\
        ************************* IMPORTANT *************************\r\n\
        -----BEGIN USER NKEY SEED-----\r\nSUAC\r\n------END USER NKEY SEED------\r\n";

    #[test]
    fn a_credentials_file_has_a_jwt_and_a_seed() {
        assert_eq!(credentials(FILE), Some(("eyJ0.e30.c2ln", "SUAC")));
        for wrong in ["", "SUAC", "-----BEGIN NATS USER JWT-----\n------END NATS USER JWT------"] {
            assert_eq!(credentials(wrong), None);
        }
    }

    #[test]
    fn a_secret_that_is_none_is_named_and_not_shown() {
        for (auth, says) in [
            (serde_json::json!({"nkey": "hunter2"}), "auth.nkey has no seed"),
            (
                serde_json::json!({"credentials": "hunter2"}),
                "auth.credentials is no credentials file",
            ),
            (serde_json::json!({"token": {"env": "STOOP_NO_SUCH"}}), "auth.token: "),
        ] {
            let config = serde_json::json!({"servers": ["tls://a"], "auth": auth});
            let error = check(&serde_json::from_value(config).unwrap()).unwrap_err().to_string();
            assert!(error.starts_with(says) && !error.contains("hunter2"), "{error}");
        }
    }
}
