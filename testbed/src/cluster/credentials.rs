//! Who is who in the cluster: certificates, tokens, and a kubeconfig for each.

use std::{fs, path::Path, path::PathBuf};

use serde_json::json;
use sha2::{Digest, Sha256};

use crate::{error::Error, pki, pki::Authority};

/// An identity that the API server knows by a token from its start.
pub(crate) struct User {
    pub(crate) name: String,
    pub(crate) group: &'static str,
}

/// The files that the servers are started with.
#[derive(Debug)]
pub(crate) struct Credentials {
    dir: PathBuf,
    server: String,
}

impl Credentials {
    /// Makes whatever isn't in `dir` yet, for an API server at `server`.
    pub(crate) fn write(dir: PathBuf, server: String, users: &[User]) -> Result<Self, Error> {
        let credentials = Self { dir, server };
        if !credentials.service_account_key().exists() {
            let authority = Authority::new()?;
            let identity = authority.issue("kube-apiserver")?;
            write(&credentials.authority(), authority.pem())?;
            write(&credentials.certificate(), &identity.certificate)?;
            write(&credentials.key(), &identity.key)?;
            let (key, public) = pki::key_pair()?;
            write(&credentials.service_account_public_key(), &public)?;
            write(&credentials.service_account_key(), &key)?;
        }
        let secret = fs::read_to_string(credentials.service_account_key())
            .map_err(Error::file("read", &credentials.service_account_key()))?;
        let mut tokens = String::new();
        for User { name, group } in users {
            let token = token(&secret, name);
            tokens += &format!("{token},{name},{name},\"{group}\"\n");
            write(&credentials.kubeconfig(name), &credentials.kubeconfig_text(name, &token))?;
        }
        write(&credentials.tokens(), &tokens)?;
        Ok(credentials)
    }

    pub(crate) fn authority(&self) -> PathBuf {
        self.dir.join("ca.pem")
    }

    pub(crate) fn certificate(&self) -> PathBuf {
        self.dir.join("apiserver.pem")
    }

    pub(crate) fn key(&self) -> PathBuf {
        self.dir.join("apiserver.key")
    }

    pub(crate) fn service_account_key(&self) -> PathBuf {
        self.dir.join("service-accounts.key")
    }

    pub(crate) fn service_account_public_key(&self) -> PathBuf {
        self.dir.join("service-accounts.pub")
    }

    pub(crate) fn tokens(&self) -> PathBuf {
        self.dir.join("tokens.csv")
    }

    /// The kubeconfig of the user `name`.
    pub(crate) fn kubeconfig(&self, name: &str) -> PathBuf {
        self.dir.join(format!("{}.kubeconfig", name.replace(':', "-")))
    }

    /// JSON is YAML.
    fn kubeconfig_text(&self, name: &str, token: &str) -> String {
        let cluster = json!({"server": self.server, "certificate-authority": self.authority()});
        json!({
            "apiVersion": "v1",
            "kind": "Config",
            "clusters": [{"name": "testbed", "cluster": cluster}],
            "users": [{"name": name, "user": {"token": token}}],
            "contexts": [{"name": "testbed", "context": {"cluster": "testbed", "user": name}}],
            "current-context": "testbed",
        })
        .to_string()
    }
}

/// Derived from the cluster's secret, so that it stays when a kept folder is started again.
fn token(secret: &str, name: &str) -> String {
    let digest = Sha256::new().chain_update(secret).chain_update(name).finalize();
    digest.iter().map(|byte| format!("{byte:02x}")).collect()
}

fn write(path: &Path, text: &str) -> Result<(), Error> {
    fs::write(path, text).map_err(Error::file("write", path))
}
