//! The name of a capture: the same for every copy of its event, and of no other event or request.

use jiff::Timestamp;
use sha2::{Digest as _, Sha256};

use crate::{
    act::evidence::{Folder, hex},
    decide::EventId,
};

/// 160 bits: nobody finds two that are alike, and the job's pods have room for their suffix.
const DIGITS: usize = 40;

/// Names a job and a folder of the store. Of the event there is only a hash in it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Name(String);

impl Name {
    /// `request` says what is captured: other words make another capture.
    pub(super) fn new(event: EventId, request: &str) -> Name {
        let mut hash = Sha256::new();
        hash.update(b"stoop capture 1");
        hash.update(event.as_bytes());
        hash.update(request.as_bytes());
        let hash = hex(&hash.finalize());
        Name(format!("cap-{}", hash.get(..DIGITS).unwrap_or(&hash)))
    }

    pub(super) fn as_str(&self) -> &str {
        &self.0
    }

    pub(super) fn folder(&self, event: Timestamp) -> Folder {
        Folder::new(event, &self.0)
    }
}
