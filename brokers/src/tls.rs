//! What TLS said, out of the errors of the clients that speak it.

use std::{error::Error, io};

/// What TLS says lies inside of I/O errors, one in another, and those in a client's own.
pub fn said<'a>(error: &'a (dyn Error + 'static)) -> Option<&'a rustls::Error> {
    let mut error = Some(error);
    while let Some(outer) = error {
        if let Some(tls) = outer.downcast_ref() {
            return Some(tls);
        }
        error = match outer.downcast_ref().and_then(io::Error::get_ref) {
            Some(inner) => Some(inner),
            None => outer.source(),
        };
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_is_found_however_deep_it_lies() {
        let said_by = || rustls::Error::DecryptError;
        let deep = io::Error::other(io::Error::other(said_by()));
        assert_eq!(said(&said_by()), Some(&said_by()));
        assert_eq!(said(&deep), Some(&said_by()));
        assert_eq!(said(&io::Error::other("something else")), None);
        assert_eq!(said(&io::Error::from(io::ErrorKind::TimedOut)), None);
    }
}
