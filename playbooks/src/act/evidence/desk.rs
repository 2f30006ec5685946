//! The worker as the place that capture jobs upload to, where the store signs no links: one object for each ticket.
//!
//! A ticket is a signed URL. It is good for one key, up to a size and a time; that it is used once is seen to by the store,
//! which creates the object only where there is none. So any worker of a fleet with one store takes it, a restarted one too.

use std::fmt;

use bytes::Bytes;
use futures::{Stream, StreamExt as _};
use hmac::{Hmac, KeyInit as _, Mac as _};
use jiff::Timestamp;
use object_store::{Error, ObjectStoreExt as _, path::Path};
use reqwest::Url;
use secrecy::ExposeSecret as _;
use serde::Deserialize;
use sha2::Sha256;

use super::{
    config::UploadsConfig,
    folder::{Folder, hex, unique},
    link::Link,
    problem::failure,
    store::Evidence,
    writer::Writer,
};
use crate::act::{config::ConfigError, outcome::Failure};

/// The path that tickets are good for, before the object's key.
const ROUTE: &str = "v1/evidence";

/// A secret that can be tried out is none.
const LEAST_SECRET: usize = 16;

/// What signs tickets.
#[derive(Clone)]
pub(super) struct Desk {
    url: String,
    /// Keyed, and nothing signed yet.
    mac: Hmac<Sha256>,
}

/// What a capture job shows: the query of its URL.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct Ticket {
    /// In seconds since 1970.
    pub until: i64,
    /// In bytes.
    pub most: u64,
    /// The signature, in hex.
    pub token: String,
}

/// Why an upload was not taken. Nothing of it is kept.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum NotTaken {
    /// The worker takes no uploads, or the ticket is not one of the fleet's.
    #[error("no such ticket")]
    Unknown,
    /// Its time is over.
    #[error("the ticket's time is over")]
    Late,
    /// It was used.
    #[error("the ticket was used")]
    Used,
    /// It holds more than the ticket is good for.
    #[error("more than the ticket is good for")]
    TooLarge,
    /// It broke off.
    #[error("the upload broke off: {0}")]
    Broken(String),
    /// It can't be stored.
    #[error(transparent)]
    Store(#[from] Failure),
}

impl Desk {
    pub(super) fn new(config: &UploadsConfig) -> Result<Desk, ConfigError> {
        let secret = config.secret.read().map_err(|error| ConfigError::from(error).at("secret"))?;
        if secret.expose_secret().len() < LEAST_SECRET {
            let why = format!("a secret of under {LEAST_SECRET} characters can be tried out");
            let help = "write one of `openssl rand -hex 32` to a file and name that";
            return Err(ConfigError::new(why).help(help).at("secret"));
        }
        let mac = Hmac::new_from_slice(secret.expose_secret().as_bytes()).map_err(|error| {
            ConfigError::new(format!("the secret can't be used: {error}")).at("secret")
        })?;
        match Url::parse(&config.url) {
            Ok(url) if matches!(url.scheme(), "https" | "http") && url.has_host() => {
                let url = config.url.trim_end_matches('/').to_owned();
                Ok(Desk { url, mac })
            }
            _ => Err(ConfigError::new("the URL can't be used")
                .help("write an http:// or https:// URL that capture jobs can reach")
                .at("url")),
        }
    }

    /// A ticket for an object.
    pub(super) fn url(&self, key: &str, until: Timestamp, most: u64) -> String {
        let until = until.as_second();
        let token = hex(&self.sign(key, until, most).finalize().into_bytes());
        format!("{}/{ROUTE}/{key}?until={until}&most={most}&token={token}", self.url)
    }

    fn is_ours(&self, key: &str, ticket: &Ticket) -> bool {
        let Some(token) = unhex(&ticket.token) else { return false };
        self.sign(key, ticket.until, ticket.most).verify_slice(&token).is_ok()
    }

    fn sign(&self, key: &str, until: i64, most: u64) -> Hmac<Sha256> {
        let mut mac = self.mac.clone();
        mac.update(format!("stoop upload 1\n{until}\n{most}\n{key}").as_bytes());
        mac
    }
}

impl Evidence {
    /// Whether a ticket is good for a key, by itself: nothing is asked of the store.
    ///
    /// # Errors
    ///
    /// Where it is not.
    pub fn admit(&self, key: &str, ticket: &Ticket, now: Timestamp) -> Result<(), NotTaken> {
        let Link::Desk(desk) = &self.link else { return Err(NotTaken::Unknown) };
        if !desk.is_ours(key, ticket) {
            return Err(NotTaken::Unknown);
        }
        if now.as_second() > ticket.until { Err(NotTaken::Late) } else { Ok(()) }
    }

    /// Takes what a capture job brings, once for each ticket. `key` is what stands in the URL behind `/v1/evidence/`.
    ///
    /// Held in memory is a part of a few MiB. Dropping the call leaves nothing that counts.
    ///
    /// # Errors
    ///
    /// What is not taken leaves nothing under the key.
    pub async fn receive<S, E>(
        &self,
        key: &str,
        ticket: &Ticket,
        now: Timestamp,
        mut body: S,
    ) -> Result<u64, NotTaken>
    where
        S: Stream<Item = Result<Bytes, E>> + Send + Unpin,
        E: fmt::Display,
    {
        self.admit(key, ticket, now)?;
        let path = Folder::named("").below(&self.root, key);
        match self.store.head(&path).await {
            Err(Error::NotFound { .. }) => {}
            Ok(_) => return Err(NotTaken::Used),
            Err(error) => return Err(failure("the upload can't be stored", &error).into()),
        }
        // Beside its place until it is whole.
        let part = Path::from(format!("{path}.{}", unique()?));
        let mut writer = Writer::new(&*self.store, part.clone());
        let taken = async {
            let mut size = 0;
            while let Some(chunk) = body.next().await {
                let chunk = chunk.map_err(|error| NotTaken::Broken(error.to_string()))?;
                size += chunk.len() as u64;
                if size > ticket.most {
                    return Err(NotTaken::TooLarge);
                }
                writer.write(chunk).await.map_err(|error| stored(&error))?;
            }
            Ok(size)
        };
        let size = match taken.await {
            Ok(size) => size,
            Err(why) => {
                writer.abandon().await;
                return Err(why);
            }
        };
        writer.finish().await.map_err(|error| stored(&error))?;
        let placed = self.store.copy_if_not_exists(&part, &path).await;
        // Where the store does not let it be deleted, it stays under a name that nobody knows.
        let _ = self.store.delete(&part).await;
        match placed {
            Ok(()) => Ok(size),
            Err(Error::AlreadyExists { .. } | Error::Precondition { .. }) => Err(NotTaken::Used),
            Err(error) => Err(stored(&error)),
        }
    }
}

fn stored(error: &Error) -> NotTaken {
    NotTaken::Store(failure("the upload can't be stored", error))
}

fn unhex(text: &str) -> Option<Vec<u8>> {
    let digits: Option<Vec<_>> = text.chars().map(|digit| digit.to_digit(16)).collect();
    let digits = digits?;
    (digits.len() % 2 == 0).then(|| {
        digits
            .chunks_exact(2)
            .map(|pair| pair.iter().fold(0, |byte, digit| byte << 4 | *digit as u8))
            .collect()
    })
}

#[cfg(test)]
mod tests {
    use std::{convert::Infallible, sync::Arc};

    use futures::stream;
    use jiff::SignedDuration;
    use object_store::{ObjectStore, memory::InMemory};
    use settings::Secret;

    use super::*;

    fn evidence() -> (Evidence, Desk) {
        let config = UploadsConfig {
            listen: ([127, 0, 0, 1], 0).into(),
            url: "http://stoop:2809/".into(),
            secret: Secret::literal("0123456789abcdef"),
        };
        let desk = Desk::new(&config).unwrap();
        let store: Arc<dyn ObjectStore> = Arc::new(InMemory::new());
        let link = Link::Desk(desk.clone());
        (Evidence::new(store, Path::default(), "memory".into(), link), desk)
    }

    fn ticket(desk: &Desk, key: &str, until: Timestamp, most: u64) -> Ticket {
        let url = desk.url(key, until, most);
        let (_, query) = url.split_once('?').unwrap();
        let value = |name: &str| {
            query
                .split('&')
                .find_map(|pair| pair.strip_prefix(&format!("{name}=")))
                .unwrap()
                .to_owned()
        };
        Ticket {
            until: value("until").parse().unwrap(),
            most: value("most").parse().unwrap(),
            token: value("token"),
        }
    }

    fn body(chunks: &[&'static str]) -> impl Stream<Item = Result<Bytes, Infallible>> + Unpin {
        stream::iter(
            chunks.iter().map(|chunk| Ok(Bytes::from_static(chunk.as_bytes()))).collect::<Vec<_>>(),
        )
    }

    const KEY: &str = "2026-11-21/cap-1/abc/packets.pcap";

    #[tokio::test]
    async fn a_ticket_is_good_once() {
        let (evidence, desk) = evidence();
        let now = Timestamp::now();
        let ticket = ticket(&desk, KEY, now + SignedDuration::from_secs(60), 10);
        assert_eq!(evidence.receive(KEY, &ticket, now, body(&["hello", "five."])).await, Ok(10));
        let again = evidence.receive(KEY, &ticket, now, body(&["other"])).await;
        assert_eq!(again, Err(NotTaken::Used));
        let stored = evidence.store.get(&Path::from(KEY)).await.unwrap().bytes().await.unwrap();
        assert_eq!(stored, "hellofive.");
    }

    #[tokio::test]
    async fn a_ticket_is_good_for_nothing_else() {
        let (evidence, desk) = evidence();
        let now = Timestamp::now();
        let good = ticket(&desk, KEY, now + SignedDuration::from_secs(60), 10);
        let other_key = KEY.replace("cap-1", "cap-2");
        let longer = Ticket { until: good.until + 1, ..good.clone() };
        let larger = Ticket { most: 11, ..good.clone() };
        let forged = Ticket { token: "00".repeat(32), ..good.clone() };
        let none = Ticket { token: "é".into(), ..good.clone() };
        for (key, ticket) in [
            (other_key.as_str(), &good),
            (KEY, &longer),
            (KEY, &larger),
            (KEY, &forged),
            (KEY, &none),
        ] {
            let taken = evidence.receive(key, ticket, now, body(&["x"])).await;
            assert_eq!(taken, Err(NotTaken::Unknown), "{ticket:?}");
        }
        let later = now + SignedDuration::from_secs(62);
        assert_eq!(evidence.receive(KEY, &good, later, body(&["x"])).await, Err(NotTaken::Late));
    }

    #[tokio::test]
    async fn what_is_too_large_or_breaks_off_leaves_nothing_and_the_ticket_good() {
        let (evidence, desk) = evidence();
        let now = Timestamp::now();
        let ticket = ticket(&desk, KEY, now + SignedDuration::from_secs(60), 10);
        let too_large = evidence.receive(KEY, &ticket, now, body(&["hello", "hello", "!"])).await;
        assert_eq!(too_large, Err(NotTaken::TooLarge));
        let broken = stream::iter([Ok(Bytes::from_static(b"hel")), Err("reset")]);
        let broken = evidence.receive(KEY, &ticket, now, broken).await;
        assert_eq!(broken, Err(NotTaken::Broken("reset".into())));
        assert_eq!(evidence.store.list(None).count().await, 0);
        assert_eq!(evidence.receive(KEY, &ticket, now, body(&["whole"])).await, Ok(5));
    }

    #[test]
    fn a_secret_that_can_be_tried_out_is_refused() {
        let config = UploadsConfig {
            listen: ([127, 0, 0, 1], 0).into(),
            url: "http://stoop:2809".into(),
            secret: Secret::literal("short"),
        };
        let error = Desk::new(&config).err().unwrap();
        assert!(error.help.contains("openssl rand"), "{error:?}");
    }
}
