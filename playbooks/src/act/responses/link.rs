//! Links that carry one question to one person: signed, for a time, about one event.
//!
//! A link shows a page and changes nothing by being opened, since chat programs open what they show. Whoever has it may
//! answer, so that it is told to notifiers alone: neither the audit log nor the object has it.

use hmac::{Hmac, KeyInit as _, Mac as _};
use jiff::Timestamp;
use secrecy::{ExposeSecret as _, SecretString};
use sha2::Sha256;

use super::object::StoredResponse;

/// The shortest key that is taken, in bytes.
const SHORTEST_KEY: usize = 32;

/// What a link asks.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Question {
    /// The object's name.
    pub name: String,
    /// The event's identity, in hex.
    pub event: String,
    /// When it is over, in seconds since 1970.
    pub until: i64,
}

impl Question {
    /// Whether it is what this response waits to be told: the same event may be asked about once more, later.
    pub fn is_asked_by(&self, stored: &StoredResponse) -> bool {
        let held = stored.spec.held.as_ref();
        stored.spec.event.id == self.event
            && held.is_some_and(|held| held.until.as_second() == self.until)
    }
}

/// Makes links, and knows its own again.
#[derive(Clone)]
pub struct Links {
    base: String,
    mac: Hmac<Sha256>,
}

/// Why there can be no links.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "a key of fewer than {SHORTEST_KEY} bytes can be guessed: `openssl rand -hex 32` makes one"
)]
pub struct WeakKey;

impl Links {
    /// Below this URL, signed with this key, which all workers share.
    ///
    /// # Errors
    ///
    /// Where the key could be guessed.
    pub fn new(base: &str, key: &SecretString) -> Result<Links, WeakKey> {
        let key = key.expose_secret().as_bytes();
        if key.len() < SHORTEST_KEY {
            return Err(WeakKey);
        }
        let mac = Hmac::new_from_slice(key).map_err(|_| WeakKey)?;
        Ok(Links { base: base.trim_end_matches('/').to_owned(), mac })
    }

    /// The link of a response that waits.
    pub(super) fn of(&self, stored: &StoredResponse) -> Option<String> {
        let question = Question {
            name: stored.metadata.name.clone()?,
            event: stored.spec.event.id.clone(),
            until: stored.spec.held.as_ref()?.until.as_second(),
        };
        let Question { name, event, until } = &question;
        let signature = hex(&self.signed(&question).finalize().into_bytes());
        Some(format!("{}/approvals/{name}/{event}/{until}/{signature}", self.base))
    }

    /// True where this signature is ours, and the question is not over.
    pub fn know(&self, question: &Question, signature: &str, now: Timestamp) -> bool {
        let signature = unhex(signature);
        let is_ours = signature
            .is_some_and(|signature| self.signed(question).verify_slice(&signature).is_ok());
        is_ours && now.as_second() < question.until
    }

    /// Each part with its length, so that no two questions are signed alike.
    fn signed(&self, Question { name, event, until }: &Question) -> Hmac<Sha256> {
        let mut mac = self.mac.clone();
        mac.update(b"stoop approval 1");
        for part in [name.as_str(), event.as_str(), &until.to_string()] {
            mac.update(&(part.len() as u64).to_be_bytes());
            mac.update(part.as_bytes());
        }
        mac
    }
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

fn unhex(text: &str) -> Option<Vec<u8>> {
    let digits: Option<Vec<u8>> =
        text.chars().map(|c| c.to_digit(16).and_then(|it| u8::try_from(it).ok())).collect();
    let digits = digits.filter(|digits| digits.len() == 64)?;
    Some(
        digits.chunks(2).map(|pair| pair.iter().fold(0, |byte, digit| byte << 4 | digit)).collect(),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    const KEY: &str = "0123456789abcdef0123456789abcdef";

    fn links(key: &str) -> Links {
        Links::new("https://stoop.example/", &key.into()).expect("a key")
    }

    fn question() -> Question {
        Question { name: "p-1".into(), event: "e".into(), until: 100 }
    }

    fn signature(links: &Links, question: &Question) -> String {
        hex(&links.signed(question).finalize().into_bytes())
    }

    fn at(second: i64) -> Timestamp {
        Timestamp::from_second(second).expect("a time")
    }

    #[test]
    fn a_link_is_known_again_until_its_time_is_over() {
        let links = links(KEY);
        let signature = signature(&links, &question());
        assert!(links.know(&question(), &signature, at(99)));
        assert!(!links.know(&question(), &signature, at(100)));
    }

    #[test]
    fn whatever_is_changed_in_it_it_is_no_longer_ours() {
        let links = links(KEY);
        let signed = signature(&links, &question());
        for other in [
            Question { name: "p-2".into(), ..question() },
            Question { event: "f".into(), ..question() },
            Question { until: 101, ..question() },
            Question { name: "p-1e".into(), event: String::new(), ..question() },
        ] {
            assert!(!links.know(&other, &signed, at(0)), "{other:?}");
        }
        for signature in ["", "00", &signed[1..], &signed.replace(&signed[..1], "g")] {
            assert!(!links.know(&question(), signature, at(0)), "{signature}");
        }
        let theirs = self::links("another key that is long enough, too");
        assert!(!links.know(&question(), &signature(&theirs, &question()), at(0)));
    }

    #[test]
    fn a_key_that_can_be_guessed_is_refused() {
        assert!(Links::new("https://stoop.example", &"short".into()).is_err());
    }
}
