//! Certificates for servers on loopback, signed by an authority made for the occasion.

use std::{fmt, sync::Arc};

use rcgen::{
    BasicConstraints, CertificateParams, DnType, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair,
    KeyUsagePurpose,
};

use tokio_rustls::{
    TlsAcceptor,
    rustls::{
        self, ServerConfig,
        pki_types::{CertificateDer, PrivateKeyDer, pem::PemObject},
    },
};

use crate::error::Error;

/// A certificate authority.
pub(crate) struct Authority {
    pem: String,
    issuer: Issuer<'static, KeyPair>,
}

/// A certificate and its key, both PEM.
pub(crate) struct Identity {
    pub(crate) certificate: String,
    pub(crate) key: String,
}

impl Authority {
    pub(crate) fn new() -> Result<Self, Error> {
        let mut params = CertificateParams::default();
        params.distinguished_name.push(DnType::CommonName, "stoop testbed");
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
        let key = KeyPair::generate().map_err(failed)?;
        let pem = params.self_signed(&key).map_err(failed)?.pem();
        Ok(Self { pem, issuer: Issuer::new(params, key) })
    }

    /// The certificate that clients have to trust.
    pub(crate) fn pem(&self) -> &str {
        &self.pem
    }

    /// A certificate for a server on 127.0.0.1 and localhost, good for a client called `name` too.
    pub(crate) fn issue(&self, name: &str) -> Result<Identity, Error> {
        let hosts = vec!["localhost".to_owned(), "127.0.0.1".to_owned()];
        let mut params = CertificateParams::new(hosts).map_err(failed)?;
        params.distinguished_name.push(DnType::CommonName, name);
        params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
        params.extended_key_usages =
            vec![ExtendedKeyUsagePurpose::ServerAuth, ExtendedKeyUsagePurpose::ClientAuth];
        let key = KeyPair::generate().map_err(failed)?;
        let certificate = params.signed_by(&key, &self.issuer).map_err(failed)?.pem();
        Ok(Identity { certificate, key: key.serialize_pem() })
    }

    /// What ends TLS for a server of HTTP called `name`.
    pub(crate) fn acceptor(&self, name: &str) -> Result<TlsAcceptor, Error> {
        let unusable = |error| Error::io("can't use a certificate")(std::io::Error::other(error));
        let identity = self.issue(name)?;
        let chain = vec![pem::<CertificateDer<'_>>(&identity.certificate)?];
        let key = pem::<PrivateKeyDer<'_>>(&identity.key)?;
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let mut config = ServerConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .map_err(unusable)?
            .with_no_client_auth()
            .with_single_cert(chain, key)
            .map_err(unusable)?;
        config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
        Ok(TlsAcceptor::from(Arc::new(config)))
    }
}

/// A key to sign with, and the public one to check with, both PEM.
pub(crate) fn key_pair() -> Result<(String, String), Error> {
    let pair = KeyPair::generate().map_err(failed)?;
    Ok((pair.serialize_pem(), pair.public_key_pem()))
}

fn pem<T: PemObject>(text: &str) -> Result<T, Error> {
    T::from_pem_slice(text.as_bytes())
        .map_err(|error| Error::io("can't read a certificate")(std::io::Error::other(error)))
}

fn failed(error: rcgen::Error) -> Error {
    Error::io("can't make a certificate")(std::io::Error::other(error))
}

impl fmt::Debug for Authority {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Authority")
    }
}
