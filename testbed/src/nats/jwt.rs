//! What an operator hands out: JWTs of an operator, of accounts and of users, as nats-server reads them.
//!
//! The format is JSON claims signed with an nkey:
//! <https://docs.nats.io/running-a-nats-service/nats_admin/security/jwt>

use std::{io, time::SystemTime, time::UNIX_EPOCH};

use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use nkeys::KeyPair;
use serde_json::{Value, json};

use crate::error::Error;

/// An operator with a system account and one account for everybody else.
pub(crate) struct Operator {
    /// The operator's JWT.
    pub(crate) jwt: String,
    /// The system account: its public key and JWT.
    pub(crate) system: (String, String),
    /// The account of the users: its public key and JWT.
    pub(crate) account: (String, String),
    keys: KeyPair,
}

impl Operator {
    pub(crate) fn new() -> Result<Self, Error> {
        let (operator, system, keys) =
            (KeyPair::new_operator(), KeyPair::new_account(), KeyPair::new_account());
        let claims =
            json!({"type": "operator", "version": 2, "system_account": system.public_key()});
        Ok(Self {
            jwt: sign(&operator, &operator, "operator", None, &claims)?,
            system: account(&operator, &system, "SYS", 0)?,
            account: account(&operator, &keys, "stoop", -1)?,
            keys,
        })
    }

    /// A credentials file of a new user, good until `expires`, or for ever.
    pub(crate) fn credentials(&self, expires: Option<u64>) -> Result<String, Error> {
        let user = KeyPair::new_user();
        let claims = json!({
            "type": "user", "version": 2, "pub": {}, "sub": {},
            "subs": -1, "data": -1, "payload": -1,
        });
        let jwt = sign(&self.keys, &user, "stoop", expires, &claims)?;
        let seed = user.seed().map_err(failed)?;
        Ok(format!(
            "-----BEGIN NATS USER JWT-----\n{jwt}\n------END NATS USER JWT------\n\n\
             -----BEGIN USER NKEY SEED-----\n{seed}\n------END USER NKEY SEED------\n"
        ))
    }
}

/// An account without limits; `jetstream` is how much it may keep, -1 for as much as it likes.
fn account(
    operator: &KeyPair,
    account: &KeyPair,
    name: &str,
    jetstream: i64,
) -> Result<(String, String), Error> {
    let limits = json!({
        "subs": -1, "data": -1, "payload": -1, "imports": -1, "exports": -1, "wildcards": true,
        "conn": -1, "leaf": -1, "mem_storage": jetstream, "disk_storage": jetstream,
        "streams": jetstream, "consumer": jetstream,
    });
    let claims = json!({"type": "account", "version": 2, "limits": limits});
    Ok((account.public_key(), sign(operator, account, name, None, &claims)?))
}

fn sign(
    issuer: &KeyPair,
    subject: &KeyPair,
    name: &str,
    expires: Option<u64>,
    claims: &Value,
) -> Result<String, Error> {
    let mut body = json!({
        "jti": subject.public_key(), "iat": now(), "iss": issuer.public_key(),
        "name": name, "sub": subject.public_key(), "nats": claims,
    });
    if let Some(expires) = expires {
        body["exp"] = expires.into();
    }
    let header = json!({"typ": "JWT", "alg": "ed25519-nkey"});
    let encode = |value: &Value| URL_SAFE_NO_PAD.encode(value.to_string());
    let signed = format!("{}.{}", encode(&header), encode(&body));
    let signature = issuer.sign(signed.as_bytes()).map_err(failed)?;
    Ok(format!("{signed}.{}", URL_SAFE_NO_PAD.encode(signature)))
}

/// Seconds since 1970.
pub(crate) fn now() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs())
}

pub(crate) fn failed(error: nkeys::error::Error) -> Error {
    Error::io("can't make an nkey")(io::Error::other(error))
}
