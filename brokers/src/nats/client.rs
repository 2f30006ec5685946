//! The connection: how it is made, and what an error of it means to a person.

use std::{sync::Arc, time::Duration};

use async_nats::{
    Client, ConnectError, ConnectErrorKind, ConnectOptions, Event,
    jetstream::context::{Context, ContextBuilder},
};
use rustls::{CertificateError, Error as TlsError};

use crate::{contract::Error, tls};

use super::{config::Config, proof};

/// How long a server may take to answer a request.
pub(super) const LIMIT: Duration = Duration::from_secs(5);

/// The oldest server whose JetStream keeps what it promises to us.
const OLDEST: (i64, i64, i64) = (2, 10, 23);

/// Connects once. Later outages are got over by the client itself; `told` hears of them.
pub(super) async fn connect(
    config: &Config,
    told: impl Fn(Event) + Send + Sync + 'static,
) -> Result<Client, ConnectError> {
    let shared = Arc::new(config.clone());
    let mut options = match config.auth {
        None => ConnectOptions::new(),
        Some(_) => ConnectOptions::with_auth_callback(move |nonce| {
            let shared = shared.clone();
            async move { proof::of(&shared, &nonce) }
        }),
    };
    if let Some(tls) = &config.tls {
        options = options.require_tls(true);
        if let Some(ca) = &tls.ca {
            options = options.add_root_certificates(ca.clone());
        }
        if let (Some(certificate), Some(key)) = (&tls.certificate, &tls.key) {
            options = options.add_client_certificate(certificate.clone(), key.clone());
        }
    }
    let told = Arc::new(told);
    options
        .name("stoop")
        .connection_timeout(LIMIT)
        .request_timeout(Some(LIMIT))
        // A dead connection is noticed within two of these: before a lease of half a minute ends.
        .ping_interval(Duration::from_secs(5))
        .reconnect_delay_callback(|attempts| match attempts {
            0 | 1 => Duration::ZERO,
            more => Duration::from_millis(100 * more.min(20) as u64),
        })
        .event_callback(move |event| {
            told(event);
            std::future::ready(())
        })
        .connect(config.servers.clone())
        .await
}

/// A connection for a command: an error is its end.
pub(super) async fn once(config: &Config) -> Result<Client, Error> {
    config.check()?;
    proof::check(config)?;
    let client = connect(config, |event| tracing::debug!(%event, "NATS")).await;
    let client = client.map_err(|error| Error::client(explain(config, &error), error))?;
    match too_old(&client) {
        Some(what) => Err(Error::Configuration(what)),
        None => Ok(client),
    }
}

/// What to do about a server that is too old; `None` for one that isn't.
pub(super) fn too_old(client: &Client) -> Option<String> {
    let (major, minor, patch) = OLDEST;
    (!client.is_server_compatible(major, minor, patch)).then(|| {
        format!(
            "the NATS server is version {}: stoop needs {major}.{minor}.{patch} or later",
            client.server_info().version
        )
    })
}

pub(super) fn jetstream(client: Client) -> Context {
    ContextBuilder::new().timeout(LIMIT).build(client)
}

/// What the user can do about a connection that failed.
pub(super) fn explain(config: &Config, error: &ConnectError) -> String {
    let text = error.to_string();
    match error.kind() {
        ConnectErrorKind::AuthorizationViolation => refused(config),
        _ if text.to_lowercase().contains("authentication expired") => expired(),
        ConnectErrorKind::Authentication => {
            format!("auth can't be shown to the NATS server: {text}")
        }
        ConnectErrorKind::Tls => {
            format!(
                "tls can't be used: see that the files of tls.ca, tls.certificate and tls.key are PEM and can be read ({text})"
            )
        }
        _ => match tls::said(error) {
            Some(error) => explain_tls(config, error),
            None => unreachable(config),
        },
    }
}

/// What an outage that the client reports itself means.
pub(super) fn explain_event(config: &Config, event: &Event) -> Option<String> {
    let text = match event {
        Event::Disconnected | Event::Closed => return Some(unreachable(config)),
        Event::ServerError(error) => error.to_string(),
        Event::ClientError(error) => error.to_string(),
        _ => return None,
    };
    let lower = text.to_lowercase();
    if lower.contains("authorization violation") {
        Some(refused(config))
    } else if lower.contains("authentication expired") {
        Some(expired())
    } else if lower.contains("permissions violation") {
        Some(format!("the NATS server does not let us do this: {text}; allow it to stoop's user"))
    } else {
        None
    }
}

pub(super) fn unreachable(config: &Config) -> String {
    format!(
        "no NATS server answers at {}: see that one runs there, and that `servers` and `tls` are right",
        config.servers.join(", ")
    )
}

fn refused(config: &Config) -> String {
    match config.auth {
        Some(_) => {
            "the NATS server refuses our credentials: check auth, and that they have not expired"
        }
        None => "the NATS server wants to know who we are: set auth",
    }
    .to_owned()
}

fn expired() -> String {
    "our credentials for the NATS server have expired: renew them where auth names them".to_owned()
}

fn explain_tls(config: &Config, error: &TlsError) -> String {
    match error {
        TlsError::InvalidCertificate(
            CertificateError::NotValidForName | CertificateError::NotValidForNameContext { .. },
        ) => format!(
            "the NATS server's certificate is not for the name that `servers` calls it by ({}): use a name that is in it",
            config.servers.join(", ")
        ),
        TlsError::InvalidCertificate(
            CertificateError::Expired | CertificateError::ExpiredContext { .. },
        ) => "the NATS server's certificate has expired: renew it".to_owned(),
        TlsError::InvalidCertificate(_) => {
            format!(
                "the NATS server's certificate is signed by nobody whom we trust: name its authority in tls.ca ({error})"
            )
        }
        TlsError::AlertReceived(_) => format!(
            "the NATS server refuses our TLS: it may want tls.certificate and tls.key of an authority that it trusts ({error})"
        ),
        _ => format!("TLS with the NATS server fails: see that it speaks TLS there ({error})"),
    }
}
