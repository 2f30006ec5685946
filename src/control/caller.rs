//! How a command calls the control port: over HTTP or HTTPS, with what it shows; and what it means where TLS fails.

use std::{error::Error as StdError, path::Path, time::Duration};

use brokers::Error;
use reqwest::{Certificate, Identity};
use rustls::{CertificateError, Error as TlsError};

use crate::{
    config::{Control, ControlClient},
    worker::publish::reachable,
};

/// How long a worker may take to answer.
const PATIENCE: Duration = Duration::from_secs(30);

/// The client, and the beginning of every URL it asks for.
///
/// # Errors
/// A file can't be used; the text names its key.
pub(super) fn client(control: &Control) -> Result<(reqwest::Client, String), Error> {
    // Never by a proxy: it is about this worker alone.
    let mut builder = reqwest::Client::builder().timeout(PATIENCE).no_proxy();
    let address = reachable(control.listen);
    let mut base = format!("http://{address}");
    if control.tls.is_some() || control.client.is_some() {
        let client = control.client.clone().unwrap_or_default();
        base = format!("https://{address}");
        if let Some(name) = &client.name {
            builder = builder.resolve(name, address);
            base = format!("https://{name}:{}", address.port());
        }
        if let Some(path) = &client.ca {
            let trusted = Certificate::from_pem_bundle(&read("ca", path)?);
            builder = builder.tls_certs_only(trusted.map_err(|e| unusable("ca", path, &e))?);
        }
        if let Some(identity) = identity(&client)? {
            builder = builder.identity(identity);
        }
    }
    let client = builder.build().map_err(|e| Error::client("setting up an HTTP client", e))?;
    Ok((client, base))
}

fn identity(client: &ControlClient) -> Result<Option<Identity>, Error> {
    let (Some(certificate), Some(key)) = (&client.certificate, &client.key) else {
        return Ok(None);
    };
    let mut pem = read("certificate", certificate)?;
    pem.push(b'\n');
    pem.extend(read("key", key)?);
    let identity = Identity::from_pem(&pem);
    identity.map(Some).map_err(|e| unusable("certificate", certificate, &e))
}

fn read(key: &str, path: &Path) -> Result<Vec<u8>, Error> {
    std::fs::read(path).map_err(|e| unusable(key, path, &e))
}

fn unusable(key: &str, path: &Path, why: &dyn StdError) -> Error {
    let why = crate::error::with_sources(why);
    Error::Configuration(format!("`control.client.{key}` {} can't be used: {why}", path.display()))
}

/// What the user can do about a request that came to nothing because of TLS.
pub(super) fn advice(control: &Control, error: &reqwest::Error) -> Option<&'static str> {
    let shows_nothing = control.client.as_ref().is_none_or(|client| client.certificate.is_none());
    match brokers::tls::said(error) {
        Some(TlsError::InvalidCertificate(
            CertificateError::NotValidForName | CertificateError::NotValidForNameContext { .. },
        )) => Some(
            "its certificate is not for the address of `control.listen`: say in `control.client.name` what it is for",
        ),
        Some(TlsError::InvalidCertificate(_)) => Some(
            "its certificate is signed by nobody whom we trust: name its authority in `control.client.ca`",
        ),
        Some(TlsError::AlertReceived(_)) => Some(
            "it does not take our certificate, or that we show none: set `control.client.certificate` and `control.client.key` to those of an authority in its `control.tls.clientCa`",
        ),
        Some(_) => Some("see that it speaks TLS there: `control.tls` has to be as the worker's"),
        // Who shows no certificate where one is wanted may only see the connection end.
        None if control.tls.is_some()
            && shows_nothing
            && error.is_request()
            && !error.is_connect() =>
        {
            Some(
                "it may want a certificate of us: set `control.client.certificate` and `control.client.key`",
            )
        }
        None => None,
    }
}
