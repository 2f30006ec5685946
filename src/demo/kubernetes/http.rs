//! The wire: a request is read, recorded, disturbed or carried out, and answered.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use axum::{
    Json,
    extract::{Request as HttpRequest, State},
    http::{StatusCode, request::Parts},
    response::{IntoResponse, Response},
};
use bytes::Bytes;
use serde_json::Value;

use super::{
    call::Call,
    status::{body, failure},
    traffic::{Fault, Request, Traffic},
    world::World,
};

/// The greatest body that is read, as in the API server.
const BODY_LIMIT: usize = 3 << 20;

pub(super) struct Shared {
    pub(super) traffic: Traffic,
    world: Mutex<World>,
}

impl Shared {
    pub(super) fn new(world: World) -> Shared {
        Shared { traffic: Traffic::new(), world: Mutex::new(world) }
    }

    pub(super) fn world(&self) -> MutexGuard<'_, World> {
        // A rule of a test that panics must not take the server with it.
        self.world.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

pub(super) async fn handle(State(shared): State<Arc<Shared>>, request: HttpRequest) -> Response {
    let (parts, content) = request.into_parts();
    let Ok(content) = axum::body::to_bytes(content, BODY_LIMIT).await else {
        let refused = failure(413, "RequestEntityTooLarge", "the request body is too large");
        return (StatusCode::PAYLOAD_TOO_LARGE, Json(body(&refused))).into_response();
    };
    let (ticket, fault) = shared.traffic.received(Request {
        method: parts.method.clone(),
        path: parts.uri.path().to_owned(),
        query: parts.uri.query().unwrap_or_default().to_owned(),
        body: serde_json::from_slice(&content).unwrap_or_default(),
        answered: None,
    });
    let (status, answer) = match fault {
        None => carry_out(&shared, &parts, content),
        Some(Fault::Answer(status)) => (status, broken(status)),
        Some(Fault::Hang) => return std::future::pending().await,
        Some(Fault::LoseAnswer) => {
            carry_out(&shared, &parts, content);
            return std::future::pending().await;
        }
    };
    tokio::time::sleep(shared.traffic.delay()).await;
    ticket.answered(status);
    match answer {
        Value::String(text) => (status, text).into_response(),
        answer => (status, Json(answer)).into_response(),
    }
}

fn carry_out(shared: &Shared, parts: &Parts, content: Bytes) -> (StatusCode, Value) {
    let answer = Call::read(parts, content).and_then(|call| shared.world().answer(&call));
    let (code, answer) = answer.unwrap_or_else(|refused| (refused.code, body(&refused)));
    (StatusCode::from_u16(code).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR), answer)
}

fn broken(status: StatusCode) -> Value {
    let reason = status.canonical_reason().unwrap_or_default().replace(' ', "");
    body(&failure(status.as_u16(), &reason, "a fault was asked for"))
}
