//! As much of gRPC as a fake needs: <https://github.com/grpc/grpc/blob/master/doc/PROTOCOL-HTTP2.md>

use std::convert::Infallible;

use bytes::{BufMut as _, Bytes, BytesMut};
use http_body_util::{BodyExt as _, Full, StreamBody, combinators::UnsyncBoxBody};
use hyper::{
    HeaderMap, Request, Response, StatusCode,
    body::{Frame, Incoming},
    header::HeaderValue,
};
use prost::Message;
use tokio::sync::mpsc;

use super::state::BACKOFF;

pub(super) type Body = UnsyncBoxBody<Bytes, Infallible>;
pub(super) type Part = Result<Frame<Bytes>, Infallible>;

/// Length and kind before each message.
const PREFIX: usize = 5;

/// Why a call failed: <https://grpc.github.io/grpc/core/md_doc_statuscodes.html>
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Code {
    /// There is no such thing.
    NotFound = 5,
    /// It isn't allowed.
    PermissionDenied = 7,
    /// It can't be done as things are.
    FailedPrecondition = 9,
    /// Something broke.
    Internal = 13,
    /// Try again.
    Unavailable = 14,
    /// Nobody knows who asks.
    Unauthenticated = 16,
}

impl Code {
    fn http(self) -> (StatusCode, &'static str) {
        match self {
            Self::NotFound => (StatusCode::NOT_FOUND, "NOT_FOUND"),
            Self::PermissionDenied => (StatusCode::FORBIDDEN, "PERMISSION_DENIED"),
            Self::FailedPrecondition => (StatusCode::BAD_REQUEST, "FAILED_PRECONDITION"),
            Self::Internal => (StatusCode::INTERNAL_SERVER_ERROR, "INTERNAL"),
            Self::Unavailable => (StatusCode::SERVICE_UNAVAILABLE, "UNAVAILABLE"),
            Self::Unauthenticated => (StatusCode::UNAUTHORIZED, "UNAUTHENTICATED"),
        }
    }
}

/// A message with its prefix.
pub(super) fn frame(message: &impl Message) -> Bytes {
    let length = message.encoded_len();
    let mut frame = BytesMut::with_capacity(PREFIX + length);
    frame.put_u8(0);
    frame.put_u32(u32::try_from(length).unwrap_or(u32::MAX));
    frame.extend_from_slice(&message.encode_to_vec());
    frame.freeze()
}

/// The one message of a call.
pub(super) async fn read<M: Message + Default>(request: Request<Incoming>) -> Option<M> {
    let body = request.into_body().collect().await.ok()?.to_bytes();
    M::decode(body.get(PREFIX..)?).ok()
}

/// The first message of a stream, which comes in a frame of its own.
pub(super) async fn first<M: Message + Default>(body: &mut Incoming) -> Option<M> {
    let frame = body.frame().await?.ok()?.into_data().ok()?;
    M::decode(frame.get(PREFIX..)?).ok()
}

pub(super) fn data(frame: Bytes) -> Part {
    Ok(Frame::data(frame))
}

pub(super) fn end(code: Code) -> Part {
    Ok(trailers(code as i32))
}

fn trailers(code: i32) -> Frame<Bytes> {
    let mut trailers = HeaderMap::new();
    trailers.insert("grpc-status", HeaderValue::from(code));
    Frame::trailers(trailers)
}

fn response(body: Body) -> Response<Body> {
    let mut response = Response::new(body);
    response.headers_mut().insert("content-type", HeaderValue::from_static("application/grpc"));
    response
}

/// One message, and all is well.
pub(super) fn done(message: &impl Message) -> Response<Body> {
    let parts: [Part; 2] = [data(frame(message)), Ok(trailers(0))];
    response(StreamBody::new(futures::stream::iter(parts)).boxed_unsync())
}

pub(super) fn refusal(code: Code) -> Response<Body> {
    response(StreamBody::new(futures::stream::iter([end(code)])).boxed_unsync())
}

pub(super) fn stream(mut parts: mpsc::Receiver<Part>) -> Response<Body> {
    let parts = futures::stream::poll_fn(move |context| parts.poll_recv(context));
    response(StreamBody::new(parts).boxed_unsync())
}

/// What `GET` says of the subscription.
pub(super) fn rest(
    fault: Option<Code>,
    path: &str,
    id: &str,
    exactly_once: bool,
) -> Response<Body> {
    let (status, json) = match fault {
        Some(code) => {
            let (status, name) = code.http();
            let error =
                serde_json::json!({"code": status.as_u16(), "message": "as told", "status": name});
            (status, serde_json::json!({"error": error}))
        }
        None => {
            let name = path.trim_start_matches("/v1/");
            let topic = format!("projects/fake/topics/{id}");
            let backoff = format!("{}s", BACKOFF.as_secs_f64());
            let retry = serde_json::json!({"minimumBackoff": backoff, "maximumBackoff": backoff});
            // Of a topic it is asked which it has.
            let like = serde_json::json!({
                "subscriptions": [name], "name": name, "topic": topic, "retryPolicy": retry, "enableExactlyOnceDelivery": exactly_once,
            });
            (StatusCode::OK, like)
        }
    };
    let mut response = Response::new(Full::new(Bytes::from(json.to_string())).boxed_unsync());
    *response.status_mut() = status;
    response.headers_mut().insert("content-type", HeaderValue::from_static("application/json"));
    response
}
