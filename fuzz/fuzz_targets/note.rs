//! Any bytes beside an offset that a group has committed, as another client can have written them.
//!
//! Reading them ends without a panic, and what is believed of them can't name what lies below the commit, or one message in
//! two ways.

#![no_main]

use libfuzzer_sys::fuzz_target;

fuzz_target!(|committed: (i64, &[u8])| {
    let (offset, bytes) = committed;
    brokers::kafka::read_note(offset, bytes);
});
