//! Reading and minting what stands in an object's metadata.

use std::collections::BTreeMap;

use jiff::{SignedDuration, Timestamp};
use serde_json::Value;

pub(super) fn text<'a>(object: &'a Value, field: &str) -> &'a str {
    object["metadata"][field].as_str().unwrap_or_default()
}

pub(super) fn name(object: &Value) -> &str {
    text(object, "name")
}

pub(super) fn namespace(object: &Value) -> &str {
    text(object, "namespace")
}

pub(super) fn uid(object: &Value) -> &str {
    text(object, "uid")
}

pub(super) fn is_terminating(object: &Value) -> bool {
    object["metadata"]["deletionTimestamp"].is_string()
}

pub(super) fn labels(object: &Value) -> BTreeMap<String, String> {
    let pairs = object["metadata"]["labels"].as_object().into_iter().flatten();
    pairs.filter_map(|(key, value)| Some((key.clone(), value.as_str()?.to_owned()))).collect()
}

/// The owner reference with `controller: true`.
pub(super) fn controller(object: &Value) -> Option<&Value> {
    let owners = object["metadata"]["ownerReferences"].as_array()?;
    owners.iter().find(|owner| owner["controller"] == true)
}

/// A time as Kubernetes writes it: whole seconds, UTC.
pub(super) fn stamp(time: Timestamp) -> String {
    time.strftime("%Y-%m-%dT%H:%M:%SZ").to_string()
}

pub(super) fn now() -> String {
    stamp(Timestamp::now())
}

pub(super) fn in_seconds(seconds: i64) -> String {
    let now = Timestamp::now();
    stamp(now.checked_add(SignedDuration::from_secs(seconds)).unwrap_or(now))
}

pub(super) fn fresh_uid() -> String {
    let (high, low) = (fastrand::u64(..), fastrand::u64(..));
    // Version 4, variant 1, as the API server's own.
    format!(
        "{:08x}-{:04x}-4{:03x}-{:04x}-{:012x}",
        high >> 32,
        high >> 16 & 0xffff,
        high & 0xfff,
        low >> 48 & 0x3fff | 0x8000,
        low & 0xffff_ffff_ffff
    )
}

/// The five characters that `generateName` adds; Kubernetes leaves out vowels so as to spell no words.
pub(super) fn suffix() -> String {
    let alphabet = b"bcdfghjklmnpqrstvwxz2456789";
    (0..5).filter_map(|_| fastrand::choice(alphabet)).map(|&letter| char::from(letter)).collect()
}

/// What a container runtime calls a container.
pub(super) fn container_id() -> String {
    let hex: String = (0..4).map(|_| format!("{:016x}", fastrand::u64(..))).collect();
    format!("containerd://{hex}")
}
