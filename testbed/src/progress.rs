//! Lines that tell a person what takes so long.

use std::io::{self, Write};

/// Writes a line to standard error, past the capture of the test harness: the first build takes
/// minutes, and a silent test looks hung.
pub(crate) fn progress(line: &str) {
    // Nobody left to tell is no reason to fail.
    let _ = writeln!(io::stderr().lock(), "testbed: {line}");
}
