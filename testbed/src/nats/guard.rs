//! Who is let in: the part of the server's configuration that says so, and what a client shows.

use std::path::PathBuf;

use nkeys::KeyPair;

use super::jwt::{Operator, failed, now};
use crate::{error::Error, pki::Authority, scratch::Scratch};

/// What a guarded server asks of a client. All of them speak TLS.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Guard {
    /// Nothing.
    Tls,
    /// A certificate.
    MutualTls,
    /// A user and a password.
    Password,
    /// A token.
    Token,
    /// A signature with a key that it knows.
    Nkey,
    /// A JWT of its operator, and a signature.
    Credentials,
}

/// What opens a guarded server. Only what its guard asks for does; the rest is there to be refused.
#[derive(Clone, Debug)]
pub struct Keys {
    /// The PEM file of the authority that signed both sides' certificates.
    pub ca: PathBuf,
    /// The PEM file of an authority that signed none of them.
    pub other_ca: PathBuf,
    /// The PEM file of a certificate that it accepts.
    pub certificate: PathBuf,
    /// The PEM file of its key.
    pub key: PathBuf,
    /// The one user there is.
    pub user: &'static str,
    /// Its password.
    pub password: &'static str,
    /// The token.
    pub token: &'static str,
    /// The seed of the key it knows.
    pub nkey: String,
    /// A credentials file.
    pub credentials: PathBuf,
    /// A credentials file whose time is over.
    pub expired_credentials: PathBuf,
}

const USER: &str = "stoop";
const PASSWORD: &str = "stoop-secret";
const TOKEN: &str = "stoop-token";

impl Guard {
    /// Writes what server and client need into `scratch`; the text goes into the server's configuration.
    pub(crate) fn set_up(self, scratch: &Scratch) -> Result<(String, Keys), Error> {
        let write = |name: &str, text: &str| {
            let path = scratch.join(name);
            std::fs::write(&path, text).map_err(Error::file("write", &path)).map(|()| path)
        };
        let authority = Authority::new()?;
        let (server, client) = (authority.issue("nats")?, authority.issue("stoop")?);
        let (user, operator) = (KeyPair::new_user(), Operator::new()?);
        let keys = Keys {
            ca: write("ca.pem", authority.pem())?,
            other_ca: write("other-ca.pem", Authority::new()?.pem())?,
            certificate: write("client.pem", &client.certificate)?,
            key: write("client.key", &client.key)?,
            user: USER,
            password: PASSWORD,
            token: TOKEN,
            nkey: user.seed().map_err(failed)?,
            credentials: write("user.creds", &operator.credentials(None)?)?,
            expired_credentials: write(
                "expired.creds",
                &operator.credentials(Some(now().saturating_sub(3600)))?,
            )?,
        };
        let certificate = write("server.pem", &server.certificate)?;
        let key = write("server.key", &server.key)?;
        let tls = format!(
            "tls {{ cert_file: {certificate:?}, key_file: {key:?}, ca_file: {:?}, verify: {}, timeout: 5 }}\n",
            keys.ca,
            self == Self::MutualTls,
        );
        Ok((tls + &self.authorization(&user, &operator), keys))
    }

    fn authorization(self, user: &KeyPair, operator: &Operator) -> String {
        match self {
            Self::Tls | Self::MutualTls => String::new(),
            Self::Password => {
                format!("authorization {{ user: {USER:?}, password: {PASSWORD:?} }}\n")
            }
            Self::Token => format!("authorization {{ token: {TOKEN:?} }}\n"),
            Self::Nkey => {
                format!("authorization {{ users: [{{ nkey: {:?} }}] }}\n", user.public_key())
            }
            Self::Credentials => {
                let ((system, system_jwt), (account, account_jwt)) =
                    (&operator.system, &operator.account);
                format!(
                    "operator: {:?}\nsystem_account: {system}\nresolver: MEMORY\n\
                     resolver_preload: {{ {system}: {system_jwt:?}, {account}: {account_jwt:?} }}\n",
                    operator.jwt,
                )
            }
        }
    }
}
