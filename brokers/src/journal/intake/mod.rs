//! The journal's intake: takes events over HTTP, and answers 200 when they are on the disk.
//!
//! What lives here: reading a request, judging who sent it and whether it holds events, and the answer. What may not:
//! storing them; that is left in the [`Inbox`](super::inbox::Inbox).

mod auth;
mod body;
mod rejection;
mod serve;
mod split;
mod tls;

use std::{fmt, net::SocketAddr, sync::Arc};

use bytes::Bytes;
use http_body_util::Full;
use hyper::{
    HeaderMap, Method, Request, Response, StatusCode,
    body::{Body as _, Incoming},
    header::{self, HeaderName, HeaderValue},
};
use jiff::Timestamp;
use settings::{ByteSize, Secret};
use tokio::net::TcpListener;
use tokio_rustls::TlsAcceptor;
use tokio_util::sync::CancellationToken;

use self::{auth::Guard, rejection::Refusal};
pub use self::{rejection::Rejection, split::Validate};
use super::{Keeper, batch::Ended, config::Config, inbox::NotTaken, ledger::wait, record::Event};
use crate::{contract::Error, pool::Pool};

/// How many requests are read and written to disk at once, and how many bytes of them.
const REQUESTS: usize = 4096;
const REQUEST_BYTES: usize = 64 << 20;

/// The longest header that is kept with an event.
const HEADER_LIMIT: usize = 256;

const ABOUT: &str =
    "POST one event as JSON here, or an array of events. 200 means that they are on the disk.\n";

/// What the configuration says about the intake, checked and bound.
pub(super) struct Door {
    listener: TcpListener,
    address: SocketAddr,
    tls: Option<TlsAcceptor>,
    guard: Guard,
}

impl Door {
    pub(super) async fn open(config: &Config) -> Result<Self, Error> {
        let token = config.token.as_ref().map(Secret::read).transpose();
        let token =
            token.map_err(|e| Error::Configuration(format!("the journal's `token`: {e}")))?;
        let tls = config.tls.as_ref().map(|tls| tls.acceptor("the journal's")).transpose()?;
        let refused = |e: std::io::Error| {
            let address = config.listen;
            Error::Configuration(format!(
                "the journal can't listen on {address} ({e}): change `listen`, or stop what listens there"
            ))
        };
        let listener = TcpListener::bind(config.listen).await.map_err(refused)?;
        let address = listener.local_addr().map_err(refused)?;
        Ok(Self { listener, address, tls, guard: Guard::new(token) })
    }
}

/// The journal's HTTP side. It listens from the start, and answers once it is [served](Self::serve).
pub struct Intake {
    listener: TcpListener,
    address: SocketAddr,
    tls: Option<TlsAcceptor>,
    desk: Arc<Desk>,
}

impl fmt::Debug for Intake {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Intake").field("address", &self.address).finish_non_exhaustive()
    }
}

/// What every request needs.
struct Desk {
    keeper: Arc<Keeper>,
    guard: Guard,
    reading: Pool,
    limit: u64,
    validate: Arc<dyn Validate>,
}

impl Intake {
    pub(super) fn new(
        door: Door,
        keeper: Arc<Keeper>,
        limit: ByteSize,
        validate: Arc<dyn Validate>,
    ) -> Self {
        let Door { listener, address, tls, guard } = door;
        let reading = Pool::new(REQUESTS, REQUEST_BYTES);
        let desk = Desk { keeper, guard, reading, limit: limit.get(), validate };
        Self { listener, address, tls, desk: Arc::new(desk) }
    }

    /// Where it listens: the port is known even if the configuration left it open.
    pub fn local_addr(&self) -> SocketAddr {
        self.address
    }

    /// Answers requests until `stop`, which is the pump's too: then nothing new is accepted, and what is under way gets a
    /// few seconds to end. Dropping the future closes the listener and every connection.
    pub async fn serve(self, stop: CancellationToken) {
        let Self { listener, tls, desk, .. } = self;
        let answer = move |request| {
            let desk = desk.clone();
            async move { desk.answer(request).await }
        };
        serve::serve(listener, tls, answer, stop).await;
    }
}

type Answer = Response<Full<Bytes>>;

impl Desk {
    async fn answer(&self, request: Request<Incoming>) -> Answer {
        match (request.uri().path(), request.method()) {
            ("/", &Method::POST) => self.post(request).await,
            ("/", &Method::GET | &Method::HEAD) => Response::new(Full::from(ABOUT)),
            ("/", _) => {
                let mut answer = empty(StatusCode::METHOD_NOT_ALLOWED);
                answer
                    .headers_mut()
                    .insert(header::ALLOW, HeaderValue::from_static("GET, HEAD, POST"));
                answer
            }
            _ => empty(StatusCode::NOT_FOUND),
        }
    }

    async fn post(&self, request: Request<Incoming>) -> Answer {
        let counters = &self.keeper.shared.counters;
        match self.take(request).await {
            Ok(events) => {
                counters.accepted(events);
                empty(StatusCode::OK)
            }
            Err(refusal) => {
                counters.rejected(refusal.rejection);
                refusal.into_answer()
            }
        }
    }

    /// Makes a request's events durable, all of them or none, and says how many there were.
    async fn take(&self, request: Request<Incoming>) -> Result<usize, Refusal> {
        let (head, body) = request.into_parts();
        self.guard.admit(&head.headers)?;
        let expected = body.size_hint().exact().unwrap_or(self.limit).min(self.limit);
        let _reading = self
            .reading
            .try_acquire(usize::try_from(expected).unwrap_or(usize::MAX))
            .ok_or_else(|| Rejection::Busy.because("too many requests at once"))?;
        let body = body::read(&head.headers, body, self.limit).await?;
        let payloads = split::split(body, self.validate.as_ref())
            .map_err(|why| Rejection::Malformed.because(why))?;

        let received = Timestamp::now();
        let traceparent = kept(&head.headers, &HeaderName::from_static("traceparent"));
        let content_type = kept(&head.headers, &header::CONTENT_TYPE);
        let events: Vec<Event> = payloads
            .into_iter()
            .map(|payload| Event {
                received,
                traceparent: traceparent.clone(),
                content_type: content_type.clone(),
                payload,
            })
            .collect();
        let count = events.len();
        let inbox = &self.keeper.shared.inbox;
        let answer = inbox.append(events).map_err(|e| refusal(&e))?;
        wait(Ok(answer)).await.map_err(|e| refusal(&NotTaken::Ended(e)))?;
        Ok(count)
    }
}

fn empty(status: StatusCode) -> Answer {
    let mut answer = Answer::default();
    *answer.status_mut() = status;
    answer
}

fn refusal(not_taken: &NotTaken) -> Refusal {
    let rejection = match not_taken {
        NotTaken::Full => Rejection::Full,
        NotTaken::NeverFits => Rejection::TooLarge,
        NotTaken::Ended(Ended::Closed) => Rejection::Closed,
        NotTaken::Ended(Ended::Failed(_)) => Rejection::Failed,
    };
    rejection.because(not_taken.to_string())
}

/// A header that travels with the event, if it is plain text and short.
fn kept(headers: &HeaderMap, name: &HeaderName) -> Option<String> {
    let value = headers.get(name)?.to_str().ok()?;
    (!value.is_empty() && value.len() <= HEADER_LIMIT).then(|| value.to_owned())
}
