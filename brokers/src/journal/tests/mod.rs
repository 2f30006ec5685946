//! The journal on storage that the tests hold in their hands.

mod bench;
mod conformance;
mod disk;
mod failing;
mod file;
mod power_cut;
mod redrive;

use jiff::Timestamp;

use crate::dead_letter::DeadLetter;

fn letter() -> DeadLetter {
    DeadLetter {
        reason: "failed".to_owned(),
        error: "it would not".to_owned(),
        attempts: 1,
        first_failed: Timestamp::UNIX_EPOCH,
        last_failed: Timestamp::UNIX_EPOCH,
        failed: Vec::new(),
        worker: "w".to_owned(),
    }
}
