//! What a job is told: one JSON document in one variable of its environment.
//!
//! Values of an event (a file's name) are strings in it and nothing else: no shell, no argument list and no template ever
//! sees them. Kubernetes would expand `$(NAME)` in a variable's value, so that no dollar sign is written as one.

use std::net::IpAddr;

use jiff::Timestamp;
use serde::Serialize;

use super::target::Aim;
use crate::act::{
    actions::capture::config::{JobKind, is_path},
    evidence::Slot,
    occurrence::Occurrence,
};

/// The program of the image reads this.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Request<'a> {
    version: u32,
    kind: &'static str,
    most: u64,
    seconds: u64,
    /// When the job is ended and its link with it, in seconds since 1970: until then an upload is tried again.
    until: i64,
    #[serde(skip_serializing_if = "Option::is_none")]
    container: Option<&'a str>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    paths: Vec<&'a str>,
    #[serde(skip_serializing_if = "<[IpAddr]>::is_empty")]
    addresses: &'a [IpAddr],
    upload: Upload<'a>,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
struct Upload<'a> {
    url: &'a str,
    headers: &'a std::collections::BTreeMap<String, String>,
}

impl<'a> Request<'a> {
    pub(super) fn new(
        kind: &JobKind,
        aim: &'a Aim,
        slot: &'a Slot,
        until: Timestamp,
    ) -> Request<'a> {
        Request {
            version: 1,
            kind: kind.as_str(),
            most: kind.most(),
            seconds: kind.seconds(),
            until: until.as_second(),
            container: aim.container.as_deref(),
            paths: aim.paths.iter().map(String::as_str).collect(),
            addresses: &aim.addresses,
            upload: Upload { url: &slot.url, headers: &slot.headers },
        }
    }

    pub(super) fn text(&self) -> Result<String, serde_json::Error> {
        // JSON knows a dollar sign by its number, too.
        Ok(serde_json::to_string(self)?.replace('$', "\\u0024"))
    }
}

/// The files that are asked for: the named ones, and the one in `fd.name` where it can be a path.
pub(super) fn paths(kind: &JobKind, occurrence: &Occurrence) -> Vec<String> {
    let JobKind::Files { paths, from_event, .. } = kind else { return Vec::new() };
    let named = occurrence.fields.get("fd.name").filter(|path| *from_event && is_path(path));
    let mut all = paths.clone();
    all.extend(named.filter(|path| !paths.contains(path)).cloned());
    all
}

/// The request in words, a part of the capture's name: whoever asks for something else makes another capture.
pub(super) fn words(kind: &JobKind, occurrence: &Occurrence) -> String {
    let paths = paths(kind, occurrence);
    // A list of strings can always be written.
    let paths = serde_json::to_string(&paths).unwrap_or_default();
    format!("{} {} {} {paths}", kind.as_str(), kind.seconds(), kind.most())
}

/// How the object is called.
pub(super) fn file(kind: &JobKind) -> &'static str {
    match kind {
        JobKind::Files { .. } => "files.tar",
        JobKind::Syscalls(_) => "syscalls.scap",
        JobKind::Packets(_) => "packets.pcap",
    }
}
