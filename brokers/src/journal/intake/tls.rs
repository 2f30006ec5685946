//! A listener's TLS: its certificate, and whose clients it trusts.

use std::{error::Error as StdError, path::Path, sync::Arc};

use rustls::{
    RootCertStore, ServerConfig,
    crypto::{CryptoProvider, ring},
    pki_types::{CertificateDer, PrivateKeyDer, pem, pem::PemObject},
    server::{WebPkiClientVerifier, danger::ClientCertVerifier},
};
use tokio_rustls::TlsAcceptor;

use super::super::config::Tls;
use crate::contract::Error;

impl Tls {
    /// Reads the certificates, for a listener that speaks HTTP/1.1. `whose` it is goes into what is said of them, such as
    /// "the journal's".
    ///
    /// # Errors
    /// The text names the key of the configuration, and the file.
    pub fn acceptor(&self, whose: &str) -> Result<TlsAcceptor, Error> {
        let unusable = |key: &str, path: &Path, why: &str| {
            let path = path.display();
            Error::Configuration(format!("{whose} `tls.{key}` {path} can't be used: {why}"))
        };
        let chain = certificates(&self.certificate)
            .map_err(|why| unusable("certificate", &self.certificate, &why))?;
        let key = PrivateKeyDer::from_pem_file(&self.key)
            .map_err(|e| unusable("key", &self.key, &reason(&e)))?;
        // Named here, for a process may link several providers and then none is the default.
        let provider = Arc::new(ring::default_provider());
        let builder = ServerConfig::builder_with_provider(provider.clone())
            .with_safe_default_protocol_versions()
            .map_err(|e| Error::client("setting up TLS", e))?;
        let builder = match &self.client_ca {
            Some(path) => {
                let verifier = verifier(path, provider);
                let verifier = verifier.map_err(|why| unusable("clientCa", path, &why))?;
                builder.with_client_cert_verifier(verifier)
            }
            None => builder.with_no_client_auth(),
        };
        let mut config = builder.with_single_cert(chain, key).map_err(|e| {
            let why = format!("{e}; does `tls.key` belong to it?");
            unusable("certificate", &self.certificate, &why)
        })?;
        config.alpn_protocols = vec![b"http/1.1".to_vec()];
        Ok(TlsAcceptor::from(Arc::new(config)))
    }
}

fn verifier(
    path: &Path,
    provider: Arc<CryptoProvider>,
) -> Result<Arc<dyn ClientCertVerifier>, String> {
    let mut roots = RootCertStore::empty();
    for certificate in certificates(path)? {
        roots.add(certificate).map_err(|e| e.to_string())?;
    }
    WebPkiClientVerifier::builder_with_provider(Arc::new(roots), provider)
        .build()
        .map_err(|e| e.to_string())
}

fn certificates(path: &Path) -> Result<Vec<CertificateDer<'static>>, String> {
    let read = CertificateDer::pem_file_iter(path).and_then(Iterator::collect);
    let found: Vec<_> = read.map_err(|e| reason(&e))?;
    match found.is_empty() {
        true => Err("there is no certificate in it".to_owned()),
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
