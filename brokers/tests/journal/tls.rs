//! HTTPS, and clients that have to show a certificate.

use std::{fs, path::Path};

use brokers::journal::{Config, Journal, Tls};
use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, KeyPair};
use reqwest::{Certificate, Identity};

use crate::support::{Served, config, object, open, provider};

/// An authority that issues certificates.
struct Authority(CertifiedIssuer<'static, KeyPair>);

impl Authority {
    fn new() -> Self {
        let mut params = CertificateParams::new(Vec::new()).unwrap();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        Self(CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap())
    }

    fn pem(&self) -> String {
        self.0.pem()
    }

    /// A certificate and its key.
    fn issue(&self) -> (String, String) {
        let key = KeyPair::generate().unwrap();
        let params = CertificateParams::new(vec!["localhost".to_owned()]).unwrap();
        (params.signed_by(&key, &self.0).unwrap().pem(), key.serialize_pem())
    }
}

fn tls(folder: &Path, authority: &Authority, clients: Option<&Authority>) -> Tls {
    let (certificate, key) = authority.issue();
    let tls = Tls {
        certificate: folder.join("tls.crt"),
        key: folder.join("tls.key"),
        client_ca: clients.map(|_| folder.join("ca.crt")),
    };
    fs::write(&tls.certificate, certificate).unwrap();
    fs::write(&tls.key, key).unwrap();
    if let (Some(path), Some(clients)) = (&tls.client_ca, clients) {
        fs::write(path, clients.pem()).unwrap();
    }
    tls
}

/// Posts over HTTPS, with a client certificate or without.
async fn post(
    journal: &Served,
    authority: &Authority,
    shown: Option<(String, String)>,
) -> Result<u16, reqwest::Error> {
    provider();
    let root = Certificate::from_pem(authority.pem().as_bytes()).unwrap();
    let mut client = reqwest::Client::builder().no_proxy().tls_certs_only([root]);
    if let Some((certificate, key)) = shown {
        client = client.identity(Identity::from_pem((certificate + &key).as_bytes()).unwrap());
    }
    let url = journal.url.replace("http://127.0.0.1", "https://localhost");
    Ok(client.build().unwrap().post(url).body("{}").send().await?.status().as_u16())
}

#[tokio::test]
async fn https_takes_events_and_http_is_not_understood() {
    let folder = tempfile::tempdir().unwrap();
    let authority = Authority::new();
    let tls = Some(tls(folder.path(), &authority, None));
    let mut journal = open(&Config { tls, ..config(folder.path()) }).await;
    assert_eq!(post(&journal, &authority, None).await.unwrap(), 200);
    assert!(post(&journal, &Authority::new(), None).await.is_err(), "another authority");
    assert!(crate::support::client().post(&journal.url).body("{}").send().await.is_err());
    journal.done().await;
    assert_eq!(journal.monitor.depth().unsettled.messages, 0);
    journal.close().await;
}

#[tokio::test]
async fn with_a_client_authority_only_its_clients_get_in() {
    let folder = tempfile::tempdir().unwrap();
    let (servers, clients) = (Authority::new(), Authority::new());
    let tls = Some(tls(folder.path(), &servers, Some(&clients)));
    // mTLS is as good as a token: it may listen everywhere.
    let listen = "0.0.0.0:0".parse().unwrap();
    let mut journal = open(&Config { tls, listen, ..config(folder.path()) }).await;
    journal.url = journal.url.replace("0.0.0.0", "127.0.0.1");
    assert_eq!(post(&journal, &servers, Some(clients.issue())).await.unwrap(), 200);
    assert!(post(&journal, &servers, None).await.is_err());
    assert!(post(&journal, &servers, Some(servers.issue())).await.is_err());
    assert_eq!(journal.monitor.accepted(), 1);
    journal.close().await;
}

#[tokio::test]
async fn certificates_that_can_not_be_used_are_named() {
    let folder = tempfile::tempdir().unwrap();
    let authority = Authority::new();
    let refusal = async |tls: Tls| {
        let config = Config { tls: Some(tls), ..config(folder.path()) };
        let error = Journal::open(&config, object).await.unwrap_err();
        assert!(error.is_configuration());
        error.to_string()
    };
    let good = tls(folder.path(), &authority, Some(&authority));
    let missing = folder.path().join("missing.pem");
    let empty = folder.path().join("empty.pem");
    fs::write(&empty, "").unwrap();
    let other = folder.path().join("other.key");
    fs::write(&other, authority.issue().1).unwrap();
    for (tls, named) in [
        (
            Tls { certificate: missing.clone(), ..good.clone() },
            ["`tls.certificate`", "missing.pem"],
        ),
        (Tls { key: missing.clone(), ..good.clone() }, ["`tls.key`", "missing.pem"]),
        (Tls { client_ca: Some(missing), ..good.clone() }, ["`tls.clientCa`", "missing.pem"]),
        (
            Tls { certificate: empty.clone(), ..good.clone() },
            ["`tls.certificate`", "no certificate"],
        ),
        (Tls { client_ca: Some(empty), ..good.clone() }, ["`tls.clientCa`", "no certificate"]),
        (Tls { key: other, ..good.clone() }, ["`tls.certificate`", "`tls.key`"]),
    ] {
        let why = refusal(tls).await;
        assert!(named.iter().all(|name| why.contains(name)), "{why}");
    }
}
