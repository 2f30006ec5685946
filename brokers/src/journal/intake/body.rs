//! Reads a request's body, no further than the limit and no longer than it may take.

use std::{pin::pin, task::Poll, time::Duration};

use bytes::{Bytes, BytesMut};
use futures::poll;
use http_body_util::BodyExt;
use hyper::{
    HeaderMap,
    body::{Body, Incoming},
    header,
};

use super::rejection::{Refusal, Rejection};

/// How long a body may take.
const PATIENCE: Duration = Duration::from_secs(30);

/// How much of a body that is too long is still read, so that the publisher gets to see the answer: it may write all
/// before it reads, and closing on it would reset the connection.
const COURTESY: u64 = 32 << 20;

/// The body, if it is at most `limit` bytes.
pub(super) async fn read(
    headers: &HeaderMap,
    body: Incoming,
    limit: u64,
) -> Result<Bytes, Refusal> {
    let too_large = || {
        Rejection::TooLarge.because(format!("the body is longer than the limit of {limit} bytes"))
    };
    let waits_for_our_word = headers.contains_key(header::EXPECT);
    let announced = body.size_hint().lower();
    if announced > COURTESY || (announced > limit && waits_for_our_word) {
        return Err(too_large());
    }
    let mut gathering = pin!(gather(body, limit));
    // Most bodies are there with their head, and need no clock.
    let gathered = match poll!(&mut gathering) {
        Poll::Ready(gathered) => Ok(gathered),
        Poll::Pending => tokio::time::timeout(PATIENCE, gathering).await,
    };
    match gathered {
        Ok(Ok(Some(body))) => Ok(body),
        Ok(Ok(None)) => Err(too_large()),
        Ok(Err(e)) => Err(Rejection::Malformed.because(format!("the body broke off: {e}"))),
        Err(_) => Err(Rejection::Slow.because(format!("the body took longer than {PATIENCE:?}"))),
    }
}

/// None if it is longer than `limit`.
async fn gather(body: Incoming, limit: u64) -> Result<Option<Bytes>, hyper::Error> {
    let mut body = pin!(body);
    let mut whole = Bytes::new();
    let mut more = BytesMut::new();
    let mut length = 0;
    while let Some(frame) = body.frame().await {
        let Ok(data) = frame?.into_data() else { continue };
        length += data.len() as u64;
        if length > COURTESY {
            break;
        }
        if length > limit {
            (whole, more) = (Bytes::new(), BytesMut::new());
        } else if whole.is_empty() {
            // Most bodies come in one piece, and stay where they are.
            whole = data;
        } else {
            more.extend_from_slice(&data);
        }
    }
    Ok(match length > limit {
        true => None,
        false if more.is_empty() => Some(whole),
        false => Some([whole, more.freeze()].concat().into()),
    })
}
