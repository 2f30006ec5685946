//! The intake's TLS: its certificate, and whose clients it trusts.

use std::{error::Error as StdError, path::Path, sync::Arc};

use rustls::{
    RootCertStore, ServerConfig,
    crypto::ring,
    pki_types::{CertificateDer, PrivateKeyDer, pem, pem::PemObject},
    server::{WebPkiClientVerifier, danger::ClientCertVerifier},
};
use tokio_rustls::TlsAcceptor;

use super::super::config::Tls;
use crate::contract::Error;

/// Reads the certificates.
///
/// # Errors
/// The text names the key of the configuration, and the file.
pub(super) fn load(tls: &Tls) -> Result<TlsAcceptor, Error> {
    let chain = certificates("tls.certificate", &tls.certificate)?;
    let key = PrivateKeyDer::from_pem_file(&tls.key)
        .map_err(|e| unusable("tls.key", &tls.key, &reason(&e)))?;
    // Named here, for a process may link several providers and then none is the default.
    let provider = Arc::new(ring::default_provider());
    let builder = ServerConfig::builder_with_provider(provider.clone())
        .with_safe_default_protocol_versions()
        .map_err(|e| Error::client("setting up TLS", e))?;
    let builder = match &tls.client_ca {
        Some(path) => builder.with_client_cert_verifier(verifier(path, provider)?),
        None => builder.with_no_client_auth(),
    };
    let mut config = builder.with_single_cert(chain, key).map_err(|e| {
        unusable("tls.certificate", &tls.certificate, &format!("{e}; does `tls.key` belong to it?"))
    })?;
    config.alpn_protocols = vec![b"http/1.1".to_vec()];
    Ok(TlsAcceptor::from(Arc::new(config)))
}

fn verifier(
    path: &Path,
    provider: Arc<rustls::crypto::CryptoProvider>,
) -> Result<Arc<dyn ClientCertVerifier>, Error> {
    let mut roots = RootCertStore::empty();
    for certificate in certificates("tls.clientCa", path)? {
        roots.add(certificate).map_err(|e| unusable("tls.clientCa", path, &e.to_string()))?;
    }
    WebPkiClientVerifier::builder_with_provider(Arc::new(roots), provider)
        .build()
        .map_err(|e| unusable("tls.clientCa", path, &e.to_string()))
}

fn certificates(key: &str, path: &Path) -> Result<Vec<CertificateDer<'static>>, Error> {
    let read = CertificateDer::pem_file_iter(path).and_then(Iterator::collect);
    let found: Vec<_> = read.map_err(|e: pem::Error| unusable(key, path, &reason(&e)))?;
    match found.is_empty() {
        true => Err(unusable(key, path, "there is no certificate in it")),
        false => Ok(found),
    }
}

/// What is wrong with a PEM file, the operating system's word included.
fn reason(error: &pem::Error) -> String {
    match error.source() {
        Some(source) => format!("{error}: {source}"),
        None => error.to_string(),
    }
}

fn unusable(key: &str, path: &Path, why: &str) -> Error {
    Error::Configuration(format!("the journal's `{key}` {} can't be used: {why}", path.display()))
}
