//! What makes lines a chain: each is numbered, names the hash of the line before it, and ends with its own.
//!
//! ```text
//! {"seq":2,"prev":"9f86d0…","time":"…",…,"hash":"60303a…"}
//! ```
//!
//! The hash is SHA-256 of the line's bytes up to `,"hash"`, as they stand: nothing has to be written again to be compared.
//! No secret is in it. Who can write all lines from one on can make a chain of them, and only who kept a later hash elsewhere
//! finds that out.

use std::{fmt, str::FromStr};

use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};

/// The hash of a line: SHA-256, 64 digits in hex where it is written.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct Hash([u8; 32]);

/// It is no hash.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("not a hash: 64 digits, lower-case hex")]
pub struct NotAHash;

impl Hash {
    /// Of these bytes.
    pub fn of(bytes: &[u8]) -> Self {
        Self(Sha256::digest(bytes).into())
    }
}

impl fmt::Display for Hash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

impl fmt::Debug for Hash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl FromStr for Hash {
    type Err = NotAHash;

    fn from_str(text: &str) -> Result<Self, NotAHash> {
        let mut bytes = [0; 32];
        let digits = text.as_bytes();
        if digits.len() != 2 * bytes.len() {
            return Err(NotAHash);
        }
        for (byte, pair) in bytes.iter_mut().zip(digits.chunks_exact(2)) {
            *byte = pair
                .iter()
                .try_fold(0, |high, digit| Some(high << 4 | value(*digit)?))
                .ok_or(NotAHash)?;
        }
        Ok(Self(bytes))
    }
}

fn value(digit: u8) -> Option<u8> {
    match digit {
        b'0'..=b'9' => Some(digit - b'0'),
        b'a'..=b'f' => Some(digit - b'a' + 10),
        _ => None,
    }
}

/// How far a chain has come: its last line's number and hash.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Tip {
    /// The number of the line, from 1 on.
    pub seq: u64,
    /// Its hash.
    pub hash: Hash,
}

impl Tip {
    /// Before the first line.
    pub const START: Self = Self { seq: 0, hash: Hash([0; 32]) };

    /// Adds the next line to `text`: `record`, a JSON object, as a link of the chain.
    #[must_use]
    pub(super) fn link(self, record: &[u8], text: &mut Vec<u8>) -> Self {
        let (seq, from) = (self.seq + 1, text.len());
        text.extend_from_slice(format!("{HEAD}{seq}{PREV}{}\"", self.hash).as_bytes());
        // What is between its braces.
        let inner = record.strip_prefix(b"{").and_then(|rest| rest.strip_suffix(b"}"));
        if let Some(inner) = inner.filter(|inner| !inner.is_empty()) {
            text.push(b',');
            text.extend_from_slice(inner);
        }
        let hash = Hash::of(text.get(from..).unwrap_or_default());
        text.extend_from_slice(format!("{HASH}{hash}{END}\n").as_bytes());
        Self { seq, hash }
    }
}

/// What every line begins with.
pub(super) const HEAD: &str = "{\"seq\":";
const PREV: &str = ",\"prev\":\"";
const HASH: &str = ",\"hash\":\"";
const END: &str = "\"}";
/// The digits of a hash.
const DIGITS: usize = 64;

/// A line as it stands in a file, with the hash that is its own.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Link {
    /// Which line it is.
    pub tip: Tip,
    /// The hash of the line that it follows.
    pub prev: Hash,
    /// What it says of the log itself, where that is what it is about.
    pub about: Option<About>,
}

/// What a worker found after its last line, and left where it was.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Found {
    /// How many bytes.
    pub bytes: u64,
    /// Their hash, without the line break at their end.
    #[serde(serialize_with = "written", deserialize_with = "read_hash")]
    pub sha256: Hash,
}

impl Found {
    /// These bytes.
    pub fn of(bytes: &[u8]) -> Self {
        Self { bytes: bytes.len() as u64, sha256: Hash::of(bytes) }
    }
}

/// A line that is about the log.
#[derive(Serialize, Deserialize)]
pub(super) struct Mark {
    pub(super) log: About,
    pub(super) time: jiff::Timestamp,
}

/// What a worker says of its log.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum About {
    /// A writer died in the middle of these lines.
    Torn(Found),
    /// Somebody else has written these.
    Foreign(Found),
}

/// Reads a line, without its line break. `None` where it is no link, or not as it was written.
pub fn read(line: &[u8]) -> Option<Link> {
    let end = line.len().checked_sub(HASH.len() + DIGITS + END.len())?;
    let (text, seal) = line.split_at_checked(end)?;
    let seal = std::str::from_utf8(seal).ok()?;
    let hash: Hash = seal.strip_prefix(HASH)?.strip_suffix(END)?.parse().ok()?;
    if Hash::of(text) != hash {
        return None;
    }
    let text = std::str::from_utf8(text).ok()?;
    let (seq, rest) = text.strip_prefix(HEAD)?.split_once(PREV)?;
    let (prev, rest) = rest.split_at_checked(DIGITS)?;
    let about = match rest.starts_with("\",\"log\":") {
        true => Some(serde_json::from_str::<Mark>(&format!("{text}}}")).ok()?.log),
        false => None,
    };
    Some(Link { tip: Tip { seq: seq.parse().ok()?, hash }, prev: prev.parse().ok()?, about })
}

fn written<S: serde::Serializer>(hash: &Hash, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_str(hash)
}

fn read_hash<'de, D: serde::Deserializer<'de>>(deserializer: D) -> Result<Hash, D::Error> {
    String::deserialize(deserializer)?.parse().map_err(serde::de::Error::custom)
}
