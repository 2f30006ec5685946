//! A fake of Pub/Sub's data plane for what no emulator does: calls that fail, streams that are reset, credentials that
//! expire; and so cheap that a client's own cost can be measured. One topic, one subscription, nothing on disk. Leases end,
//! and what is handed back rests, as at Google's.

mod grpc;
mod state;
mod wire;

use std::{
    collections::HashMap,
    convert::Infallible,
    future::pending,
    net::SocketAddr,
    ops::Deref,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use bytes::Bytes;
use hyper::{Request, Response, body::Incoming, service::service_fn};
use hyper_util::{
    rt::{TokioExecutor, TokioIo},
    server::conn::auto,
};
use tokio::{
    io::{AsyncRead, AsyncWrite},
    net::TcpListener,
    sync::{mpsc, watch},
    task::JoinHandle,
    time::{Instant, sleep_until},
};

use tokio_rustls::TlsAcceptor;

use super::tokens::{Given, Tokens};
use crate::{error::Error, pki::Authority};
use grpc::Body;
use state::{Next, State};
use wire::{Acknowledge, ModifyAckDeadline, Publish, PublishResponse, StreamingPullRequest};

pub use grpc::Code;

/// A fake server; it ends when this is dropped.
#[derive(Debug)]
pub struct Fake {
    address: SocketAddr,
    shared: Arc<Shared>,
    task: JoinHandle<()>,
}

/// A fake that guards itself as Google does: it is behind TLS, and wants to see a token.
#[derive(Debug)]
pub struct Guarded {
    fake: Fake,
    ca: String,
}

#[derive(Debug)]
struct Shared {
    exactly_once: bool,
    /// Whose tokens are wanted.
    tokens: Option<Arc<Given>>,
    state: Mutex<State>,
    /// Counts what streams have to look at.
    changed: watch::Sender<u64>,
}

/// What is answered instead of an answer.
#[derive(Clone, Copy, Debug, Default)]
pub struct Faults {
    /// To a stream that is opened, and to those that are open.
    pub pull: Option<Code>,
    /// To an acknowledgement.
    pub acknowledge: Option<Code>,
    /// To a publication.
    pub publish: Option<Code>,
    /// To whoever asks for the subscription.
    pub get: Option<Code>,
}

impl Fake {
    /// Starts it on a free port.
    ///
    /// # Errors
    /// If none can be bound.
    pub async fn start(exactly_once: bool) -> Result<Self, Error> {
        Self::start_as(exactly_once, None, None).await
    }

    /// Starts it behind TLS, for who shows one of these tokens.
    ///
    /// # Errors
    /// If no port can be bound, or no certificate made.
    pub async fn guarded(tokens: &Tokens) -> Result<Guarded, Error> {
        let authority = Authority::new()?;
        let tls = authority.acceptor("pubsub")?;
        let fake = Self::start_as(false, Some(tls), Some(tokens.holding())).await?;
        Ok(Guarded { fake, ca: authority.pem().to_owned() })
    }

    async fn start_as(
        exactly_once: bool,
        tls: Option<TlsAcceptor>,
        tokens: Option<Arc<Given>>,
    ) -> Result<Self, Error> {
        let bound = TcpListener::bind(("127.0.0.1", 0)).await;
        let listener = bound.map_err(Error::io("can't bind a port"))?;
        let address = listener.local_addr().map_err(Error::io("can't tell the port"))?;
        let shared = Arc::new(Shared {
            exactly_once,
            tokens,
            state: Mutex::default(),
            changed: watch::Sender::new(0),
        });
        let task = tokio::spawn(serve(listener, tls, shared.clone()));
        Ok(Self { address, shared, task })
    }

    /// Where it is, as `host:port`.
    #[must_use]
    pub fn address(&self) -> String {
        self.address.to_string()
    }

    /// Makes a message ready.
    pub fn publish(&self, payload: impl Into<Bytes>) {
        self.shared.state().publish(payload.into());
        self.shared.tell();
    }

    /// Makes `count` messages ready that are all alike, so cheap that they cost next to nothing. They are never ready again,
    /// so streams that are open end first: one whose client is about to leave would take some with it.
    pub fn flood(&self, payload: impl Into<Bytes>, count: u64) {
        self.reset_streams();
        self.shared.state().flood = Some((payload.into(), count));
        self.shared.tell();
    }

    /// What calls fail from now on.
    pub fn fail(&self, faults: Faults) {
        self.shared.state().faults = faults;
        self.shared.tell();
    }

    /// Ends all streams as Google's servers do now and then.
    pub fn reset_streams(&self) {
        self.shared.state().streams += 1;
        self.shared.tell();
    }

    /// The bodies and attributes of what was published through the API.
    #[must_use]
    pub fn publications(&self) -> Vec<(Bytes, HashMap<String, String>)> {
        let state = self.shared.state();
        state.published.iter().map(|m| (m.data.clone(), m.attributes.clone())).collect()
    }

    /// How many messages were not acknowledged.
    #[must_use]
    pub fn unsettled(&self) -> usize {
        self.shared.state().unsettled()
    }

    /// How many of them are with a client.
    #[must_use]
    pub fn leased(&self) -> usize {
        self.shared.state().leased(Instant::now())
    }
}

impl Drop for Fake {
    fn drop(&mut self) {
        self.task.abort();
        self.reset_streams();
    }
}

impl Guarded {
    /// The certificate that clients have to trust, PEM.
    #[must_use]
    pub fn ca(&self) -> &str {
        &self.ca
    }
}

impl Deref for Guarded {
    type Target = Fake;

    fn deref(&self) -> &Fake {
        &self.fake
    }
}

impl Shared {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn knows(&self, request: &Request<Incoming>) -> bool {
        let shown = request.headers().get("authorization").and_then(|shown| shown.to_str().ok());
        self.tokens.as_ref().is_none_or(|tokens| shown.is_some_and(|shown| tokens.holds(shown)))
    }

    fn tell(&self) {
        self.changed.send_modify(|count| *count += 1);
    }
}

async fn serve(listener: TcpListener, tls: Option<TlsAcceptor>, shared: Arc<Shared>) {
    while let Ok((connection, _)) = listener.accept().await {
        // Small answers shall not wait for each other.
        let _ = connection.set_nodelay(true);
        let (tls, shared) = (tls.clone(), shared.clone());
        tokio::spawn(async move {
            match tls {
                None => converse(connection, shared).await,
                // Who doesn't trust the certificate goes away again.
                Some(tls) => {
                    if let Ok(connection) = tls.accept(connection).await {
                        converse(connection, shared).await;
                    }
                }
            }
        });
    }
}

async fn converse<C>(connection: C, shared: Arc<Shared>)
where
    C: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let service = service_fn(move |request| answer(shared.clone(), request));
    let mut server = auto::Builder::new(TokioExecutor::new());
    server.http2().initial_stream_window_size(4 << 20).initial_connection_window_size(16 << 20);
    // A client that goes away in the middle is what it is for.
    let _ = server.serve_connection(TokioIo::new(connection), service).await;
}

async fn answer(
    shared: Arc<Shared>,
    request: Request<Incoming>,
) -> Result<Response<Body>, Infallible> {
    let path = request.uri().path().to_owned();
    let mut faults = shared.state().faults;
    if !shared.knows(&request) {
        let no = Some(Code::Unauthenticated);
        faults = Faults { pull: no, acknowledge: no, publish: no, get: no };
    }
    Ok(match path.rsplit('/').next().unwrap_or_default() {
        "StreamingPull" => match faults.pull {
            Some(code) => grpc::refusal(code),
            None => pull(shared, request.into_body()),
        },
        "Acknowledge" => match (faults.acknowledge, grpc::read::<Acknowledge>(request).await) {
            (None, Some(asked)) => {
                shared.state().acknowledge(&asked.ack_ids);
                grpc::done(&())
            }
            (code, _) => grpc::refusal(code.unwrap_or(Code::Internal)),
        },
        "ModifyAckDeadline" => {
            let Some(asked) = grpc::read::<ModifyAckDeadline>(request).await else {
                return Ok(grpc::refusal(Code::Internal));
            };
            let lease = seconds(asked.ack_deadline_seconds);
            shared.state().modify(&asked.ack_ids, lease, Instant::now());
            shared.tell();
            grpc::done(&())
        }
        "Publish" => match (faults.publish, grpc::read::<Publish>(request).await) {
            (None, Some(asked)) => {
                let mut state = shared.state();
                let message_ids = asked.messages.iter().map(|_| "1".to_owned()).collect();
                state.published.extend(asked.messages);
                grpc::done(&PublishResponse { message_ids })
            }
            (code, _) => grpc::refusal(code.unwrap_or(Code::Internal)),
        },
        name => grpc::rest(faults.get, &path, name, shared.exactly_once),
    })
}

/// A stream that sends what is ready, until it is reset or fails, or its client goes away.
fn pull(shared: Arc<Shared>, mut from_client: Incoming) -> Response<Body> {
    let (frames, body) = mpsc::channel(8);
    tokio::spawn(async move {
        // Kept until the end, as is the client's half.
        let Some(asked) = grpc::first::<StreamingPullRequest>(&mut from_client).await else {
            let _ = frames.send(grpc::end(Code::Internal)).await;
            return;
        };
        let lease = seconds(asked.stream_ack_deadline_seconds);
        let opened = shared.state().streams;
        let mut changed = shared.changed.subscribe();
        loop {
            changed.mark_unchanged();
            let next = shared.state().next(opened, lease, shared.exactly_once, Instant::now());
            let sent = match next {
                Next::Frame(frame) => frames.send(grpc::data(frame)).await.is_ok(),
                Next::End(code) => {
                    // Who has gone needs no end.
                    let _ = frames.send(grpc::end(code)).await;
                    false
                }
                Next::Wait(due) => tokio::select! {
                    biased;
                    () = frames.closed() => false,
                    _ = changed.changed() => true,
                    () = until(due) => true,
                },
            };
            if !sent {
                return;
            }
        }
    });
    grpc::stream(body)
}

fn seconds(seconds: i32) -> Duration {
    Duration::from_secs(seconds.try_into().unwrap_or_default())
}

async fn until(due: Option<Instant>) {
    match due {
        Some(due) => sleep_until(due).await,
        None => pending().await,
    }
}
