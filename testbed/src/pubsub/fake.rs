//! A fake of Pub/Sub's data plane for what no emulator does: calls that fail, streams that are reset, credentials that
//! expire; and so cheap that a client's own cost can be measured. One topic, one subscription, nothing on disk. It does
//! not take leases away by itself.

mod grpc;
mod wire;

use std::{
    collections::{HashMap, VecDeque},
    convert::Infallible,
    net::SocketAddr,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use bytes::Bytes;
use hyper::{Request, Response, body::Incoming, service::service_fn};
use hyper_util::{
    rt::{TokioExecutor, TokioIo},
    server::conn::auto,
};
use tokio::{
    net::TcpListener,
    sync::{mpsc, watch},
    task::JoinHandle,
};

use crate::error::Error;
use grpc::Body;
use wire::{
    Acknowledge, ModifyAckDeadline, Publish, PublishResponse, PubsubMessage, Received,
    StreamingPullResponse,
};

pub use grpc::Code;

/// How many messages go into one frame.
const FRAME: usize = 100;

/// A fake server; it ends when this is dropped.
#[derive(Debug)]
pub struct Fake {
    address: SocketAddr,
    shared: Arc<Shared>,
    task: JoinHandle<()>,
}

#[derive(Debug)]
struct Shared {
    exactly_once: bool,
    state: Mutex<State>,
    /// Counts what streams have to look at.
    changed: watch::Sender<u64>,
}

#[derive(Debug, Default)]
struct State {
    ready: VecDeque<PubsubMessage>,
    leased: HashMap<String, PubsubMessage>,
    published: Vec<PubsubMessage>,
    last: u64,
    faults: Faults,
    /// Streams opened before this one end.
    streams: u64,
    /// For measuring: so many messages all alike, by whoever pulls them.
    flood: Option<(Bytes, u64)>,
}

/// What a stream does next.
enum Next {
    Frame(Bytes),
    End(Code),
    Nothing,
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
        let bound = TcpListener::bind(("127.0.0.1", 0)).await;
        let listener = bound.map_err(Error::io("can't bind a port"))?;
        let address = listener.local_addr().map_err(Error::io("can't tell the port"))?;
        let shared = Arc::new(Shared {
            exactly_once,
            state: Mutex::default(),
            changed: watch::Sender::new(0),
        });
        let task = tokio::spawn(serve(listener, shared.clone()));
        Ok(Self { address, shared, task })
    }

    /// Where it is, as `host:port`.
    #[must_use]
    pub fn address(&self) -> String {
        self.address.to_string()
    }

    /// Makes a message ready.
    pub fn publish(&self, payload: impl Into<Bytes>) {
        self.shared
            .state()
            .publish(PubsubMessage { data: payload.into(), ..PubsubMessage::default() });
        self.shared.tell();
    }

    /// Makes `count` messages ready that are all alike, so cheap that they cost next to nothing. They are never ready again.
    pub fn flood(&self, payload: impl Into<Bytes>, count: u64) {
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

    /// How many messages were not acknowledged.
    #[must_use]
    pub fn unsettled(&self) -> usize {
        let state = self.shared.state();
        state.ready.len() + state.leased.len()
    }

    /// How many of them are with a client.
    #[must_use]
    pub fn leased(&self) -> usize {
        self.shared.state().leased.len()
    }

    /// What was published through the API.
    #[must_use]
    pub fn published(&self) -> usize {
        self.shared.state().published.len()
    }
}

impl Drop for Fake {
    fn drop(&mut self) {
        self.task.abort();
        self.reset_streams();
    }
}

impl Shared {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn tell(&self) {
        self.changed.send_modify(|count| *count += 1);
    }
}

impl State {
    fn publish(&mut self, mut message: PubsubMessage) -> String {
        self.last += 1;
        let id = self.last.to_string();
        message.message_id.clone_from(&id);
        self.ready.push_back(message);
        id
    }

    /// What a stream does next that was opened as the `opened`th.
    fn next(&mut self, opened: u64, exactly_once: bool) -> Next {
        if let Some(code) = self.faults.pull {
            return Next::End(code);
        }
        if self.streams > opened {
            return Next::End(Code::Unavailable);
        }
        self.take(exactly_once).map_or(Next::Nothing, Next::Frame)
    }

    /// What is ready.
    fn take(&mut self, exactly_once: bool) -> Option<Bytes> {
        let mut received = Vec::new();
        if let Some((payload, left)) = &mut self.flood {
            let size = (*left).min(FRAME as u64);
            for _ in 0..size {
                self.last += 1;
                let message_id = self.last.to_string();
                let message =
                    PubsubMessage { data: payload.clone(), message_id, ..PubsubMessage::default() };
                received.push(Received {
                    ack_id: format!("f{}", self.last),
                    message: Some(message),
                    delivery_attempt: 0,
                });
            }
            *left -= size;
            if *left == 0 {
                self.flood = None;
            }
        }
        while received.len() < FRAME
            && let Some(message) = self.ready.pop_front()
        {
            self.last += 1;
            let ack_id = format!("a{}", self.last);
            self.leased.insert(ack_id.clone(), message.clone());
            received.push(Received { ack_id, message: Some(message), delivery_attempt: 0 });
        }
        (!received.is_empty()).then(|| {
            let properties = wire::Properties { exactly_once_delivery_enabled: exactly_once };
            let response = StreamingPullResponse {
                received_messages: received,
                subscription_properties: Some(properties),
            };
            grpc::frame(&response)
        })
    }
}

async fn serve(listener: TcpListener, shared: Arc<Shared>) {
    while let Ok((connection, _)) = listener.accept().await {
        // Small answers shall not wait for each other.
        let _ = connection.set_nodelay(true);
        let shared = shared.clone();
        tokio::spawn(async move {
            let service = service_fn(move |request| answer(shared.clone(), request));
            let mut server = auto::Builder::new(TokioExecutor::new());
            server
                .http2()
                .initial_stream_window_size(4 << 20)
                .initial_connection_window_size(16 << 20);
            // A client that goes away in the middle is what it is for.
            let _ = server.serve_connection(TokioIo::new(connection), service).await;
        });
    }
}

async fn answer(
    shared: Arc<Shared>,
    request: Request<Incoming>,
) -> Result<Response<Body>, Infallible> {
    let path = request.uri().path().to_owned();
    let faults = shared.state().faults;
    Ok(match path.rsplit('/').next().unwrap_or_default() {
        "StreamingPull" => match faults.pull {
            Some(code) => grpc::refusal(code),
            None => pull(shared, request.into_body()),
        },
        "Acknowledge" => match (faults.acknowledge, grpc::read::<Acknowledge>(request).await) {
            (None, Some(asked)) => {
                let mut state = shared.state();
                asked.ack_ids.iter().for_each(|id| drop(state.leased.remove(id)));
                grpc::done(&())
            }
            (code, _) => grpc::refusal(code.unwrap_or(Code::Internal)),
        },
        "ModifyAckDeadline" => {
            let Some(asked) = grpc::read::<ModifyAckDeadline>(request).await else {
                return Ok(grpc::refusal(Code::Internal));
            };
            if asked.ack_deadline_seconds == 0 {
                let mut state = shared.state();
                let back: Vec<_> =
                    asked.ack_ids.iter().filter_map(|id| state.leased.remove(id)).collect();
                state.ready.extend(back);
                drop(state);
                shared.tell();
            }
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
fn pull(shared: Arc<Shared>, from_client: Incoming) -> Response<Body> {
    let (frames, body) = mpsc::channel(8);
    tokio::spawn(async move {
        // Keeps the client's half open.
        let _from_client = from_client;
        let opened = shared.state().streams;
        let mut changed = shared.changed.subscribe();
        loop {
            changed.mark_unchanged();
            let next = shared.state().next(opened, shared.exactly_once);
            let sent = match next {
                Next::Frame(frame) => frames.send(grpc::data(frame)).await.is_ok(),
                Next::End(code) => {
                    // Who has gone needs no end.
                    let _ = frames.send(grpc::end(code)).await;
                    false
                }
                Next::Nothing => tokio::select! {
                    _ = changed.changed() => true,
                    () = frames.closed() => false,
                },
            };
            if !sent {
                return;
            }
        }
    });
    grpc::stream(body)
}
