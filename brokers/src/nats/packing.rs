//! Bodies of dead letters that are too large with their headers: packed, and never cut.

use std::io::{self, Read as _, Write as _};

use bytes::Bytes;
use flate2::{Compression, read::GzDecoder, write::GzEncoder};

/// Says how a dead letter's body is packed.
pub(super) const HEADER: &str = "stoop-encoding";

/// With gzip.
pub(super) const GZIP: &str = "gzip";

/// A server takes no message larger than this.
const LARGEST: u64 = 64 << 20;

pub(super) fn packed(body: &[u8]) -> Bytes {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::default());
    // Writing to memory can't fail; a body that is not packed after all is refused for its size.
    match encoder.write_all(body).and_then(|()| encoder.finish()) {
        Ok(packed) => packed.into(),
        Err(_) => Bytes::copy_from_slice(body),
    }
}

/// # Errors
/// It is not packed, or holds more than any message could.
pub(super) fn unpacked(packed: &[u8]) -> io::Result<Bytes> {
    let mut body = Vec::new();
    GzDecoder::new(packed).take(LARGEST + 1).read_to_end(&mut body)?;
    match body.len() as u64 > LARGEST {
        true => Err(io::Error::other("it is larger than any message")),
        false => Ok(body.into()),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn what_holds_more_than_any_message_is_not_unpacked() {
        let bomb = packed(&vec![0; usize::try_from(LARGEST).unwrap() + 1]);
        assert!(unpacked(&bomb).is_err());
    }

    proptest! {
        #[test]
        fn what_is_packed_comes_out_whole(body in prop::collection::vec(any::<u8>(), 0..2000)) {
            prop_assert_eq!(unpacked(&packed(&body)).unwrap(), body);
        }

        #[test]
        fn garbage_is_an_error_and_no_panic(body in prop::collection::vec(any::<u8>(), 0..200)) {
            prop_assume!(!body.starts_with(&[0x1f, 0x8b]));
            prop_assert!(unpacked(&body).is_err());
        }
    }
}
