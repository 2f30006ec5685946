//! How a journal is configured, and which configurations are refused.

use std::{
    net::{Ipv4Addr, SocketAddr},
    path::PathBuf,
};

use schemars::JsonSchema;
use serde::Deserialize;
use settings::{ByteSize, Secret};

use super::load::Load;
use crate::contract::Error;

/// A journal and its intake.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(default, rename_all = "camelCase", deny_unknown_fields)]
pub struct Config {
    /// The folder it is kept in; made if it is not there.
    pub path: PathBuf,
    /// Where the intake listens. Beyond loopback only with `token` or `tls.clientCa`.
    pub listen: SocketAddr,
    /// What a publisher has to show: as Bearer token, or as the password of Basic.
    pub token: Option<Secret>,
    /// Serves HTTPS in place of HTTP.
    pub tls: Option<Tls>,
    /// How much it holds at most.
    pub capacity: Capacity,
    /// The longest request.
    pub body_limit: ByteSize,
}

/// A listener's certificate, and whose clients it trusts. All of it PEM files.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Tls {
    /// The certificate and its chain.
    pub certificate: PathBuf,
    /// The certificate's private key.
    pub key: PathBuf,
    /// Lets in only clients that show a certificate of this authority (mTLS).
    pub client_ca: Option<PathBuf>,
}

/// How much a journal holds of events, and of dead letters once more.
///
/// While it holds so many events, those that come are answered with 503. Once it holds so many dead letters, an event
/// that fails for good is not settled and is tried to be buried again, and the worker says that it waits for that.
#[derive(Clone, Copy, Debug, Deserialize, JsonSchema)]
#[serde(default, rename_all = "camelCase", deny_unknown_fields)]
pub struct Capacity {
    /// Events, or dead letters.
    pub messages: u64,
    /// Bytes of their bodies; the file is larger by its indexes and by what waits to be reused.
    pub bytes: ByteSize,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            path: PathBuf::from("./stoop-data"),
            listen: SocketAddr::from((Ipv4Addr::LOCALHOST, 2805)),
            token: None,
            tls: None,
            capacity: Capacity::default(),
            body_limit: ByteSize::mib(1),
        }
    }
}

impl Default for Capacity {
    fn default() -> Self {
        Self { messages: 100_000, bytes: ByteSize::mib(256) }
    }
}

impl From<Capacity> for Load {
    fn from(capacity: Capacity) -> Self {
        Self { messages: capacity.messages, bytes: capacity.bytes.get() }
    }
}

impl Config {
    /// Refuses what can't work, or what lets anybody in.
    ///
    /// # Errors
    /// The text says what to change.
    pub fn check(&self) -> Result<(), Error> {
        let refuse = |why: String| Err(Error::Configuration(why));
        let mutual = self.tls.as_ref().is_some_and(|tls| tls.client_ca.is_some());
        if !self.listen.ip().is_loopback() && self.token.is_none() && !mutual {
            return refuse(format!(
                "the journal would take events from anybody on {}: set `token` or `tls.clientCa`, or listen on 127.0.0.1",
                self.listen
            ));
        }
        if self.capacity.messages == 0 || self.capacity.bytes.get() == 0 {
            return refuse("the journal's `capacity` is 0: it could take nothing".to_owned());
        }
        if self.body_limit.get() == 0 || self.body_limit > self.capacity.bytes {
            return refuse(format!(
                "the journal's `bodyLimit` {} is 0 or above its `capacity.bytes` {}",
                self.body_limit, self.capacity.bytes
            ));
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn read(value: serde_json::Value) -> Result<Config, serde_json::Error> {
        serde_json::from_value(value)
    }

    fn refusal(value: serde_json::Value) -> String {
        let error = read(value).unwrap().check().unwrap_err();
        assert!(error.is_configuration());
        error.to_string()
    }

    #[test]
    fn nothing_configured_is_a_journal_on_loopback() {
        let config = read(json!({})).unwrap();
        config.check().unwrap();
        assert_eq!(config.listen.to_string(), "127.0.0.1:2805");
    }

    #[test]
    fn every_key_is_read_and_unknown_ones_are_refused() {
        let config = read(json!({
            "path": "/data", "listen": "[::]:2805", "token": {"env": "TOKEN"},
            "tls": {"certificate": "c.pem", "key": "k.pem", "clientCa": "ca.pem"},
            "capacity": {"messages": 10, "bytes": "8MiB"}, "bodyLimit": "64KiB",
        }))
        .unwrap();
        config.check().unwrap();
        assert_eq!(config.body_limit.get(), 64 << 10);
        assert!(read(json!({"bodylimit": 1})).is_err());
        assert!(read(json!({"tls": {"certificate": "c", "key": "k", "ca": "x"}})).is_err());
    }

    #[test]
    fn an_open_door_is_refused_with_the_way_to_close_it() {
        for listen in ["0.0.0.0:2805", "[::]:2805", "10.0.0.1:2805"] {
            let why = refusal(json!({"listen": listen}));
            assert!(why.contains("`token`") && why.contains("127.0.0.1"), "{why}");
        }
        // TLS alone says who the server is, and lets every client in.
        refusal(json!({"listen": "0.0.0.0:1", "tls": {"certificate": "c", "key": "k"}}));
        let token = json!({"listen": "0.0.0.0:1", "token": "x"});
        read(token).unwrap().check().unwrap();
    }

    #[test]
    fn contradictions_are_refused() {
        refusal(json!({"capacity": {"messages": 0}}));
        refusal(json!({"bodyLimit": 0}));
        refusal(json!({"bodyLimit": "2MiB", "capacity": {"bytes": "1MiB"}}));
    }
}
