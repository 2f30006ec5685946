//! Standard output, for what a command was asked for.

use std::{
    fmt::Display,
    io::{self, ErrorKind, Write, stdout},
};

/// Writes a line.
///
/// # Errors
/// It can't be written. Whoever closes the pipe has heard enough: that is none, and the exit code still tells the end.
pub(super) fn say(line: impl Display) -> io::Result<()> {
    write(format!("{line}\n").as_bytes())
}

/// Writes what is complete as it stands.
///
/// # Errors
/// As [`say`].
pub(super) fn write(text: &[u8]) -> io::Result<()> {
    write_to(stdout().lock(), text)
}

fn write_to(mut out: impl Write, text: &[u8]) -> io::Result<()> {
    match out.write_all(text).and_then(|()| out.flush()) {
        Err(error) if error.kind() == ErrorKind::BrokenPipe => Ok(()),
        written => written,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Fails with this whatever is written.
    struct Closed(ErrorKind);

    impl Write for Closed {
        fn write(&mut self, _: &[u8]) -> io::Result<usize> {
            Err(self.0.into())
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    #[test]
    fn a_reader_that_left_is_no_error_and_a_full_disk_is() {
        assert!(write_to(Closed(ErrorKind::BrokenPipe), b"text").is_ok());
        let full = write_to(Closed(ErrorKind::StorageFull), b"text");
        assert_eq!(full.unwrap_err().kind(), ErrorKind::StorageFull);
    }
}
