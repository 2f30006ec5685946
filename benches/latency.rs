//! How long the worker itself takes, idle: from the broker handing over an event to the first byte of the verifying GET, and
//! from the end of the last GET's answer to the first byte of the delete.
//!
//! The API server here is a socket that notes when bytes come and answers at once, so that only the worker's time is seen.

#![allow(clippy::unwrap_used, reason = "a benchmark that can't go on should stop")]
#![allow(unreachable_pub, reason = "nothing is reached from outside a benchmark")]

use std::{
    sync::{Arc, Mutex},
    time::{Duration, Instant},
};

use async_trait::async_trait;
use brokers::{
    AckStrength, Attempt, Attempts, Borrowed, Capabilities, DeadLetter, DeadLetterError, Demand,
    Error, Lease, Ledger, Message, MessageId, Pool, Receiver, Settled, pump,
};
use playbooks::{
    act::{Api, Registry},
    decide::Mode,
};
use stoop::{audit::Audit, config, worker::assemble};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
    sync::mpsc,
};
use tokio_util::sync::CancellationToken;

const EVENTS: usize = 2_000;
const PATIENCE: Duration = Duration::from_secs(5);

const PLAYBOOK: &str = "
apiVersion: stoop.dev/v1alpha1
kind: Playbook
metadata: {name: shell}
spec:
  mode: enforce
  match: {rules: [\"Terminal shell in container\"]}
  actions:
    - delete: {gracePeriod: 1s, owners: [Standalone]}
";

/// When what happened to the event under way.
#[derive(Clone, Copy, Debug, Default)]
struct Times {
    handed: Option<Instant>,
    get: Option<Instant>,
    got: Option<Instant>,
    delete: Option<Instant>,
}

type Shared = Arc<Mutex<Times>>;

/// Hands over one event at a time, and notes when.
struct OneByOne {
    events: mpsc::Receiver<Vec<u8>>,
    times: Shared,
}

struct Body(Vec<u8>);

impl Borrowed for Body {
    fn payload(&self) -> &[u8] {
        &self.0
    }

    fn detach(self) -> Message {
        Message {
            id: MessageId::in_stream("bench".into(), 0),
            payload: self.0.into(),
            key: None,
            headers: Vec::new(),
            published: None,
            attempt: Attempt::Unknown,
        }
    }
}

impl Receiver for OneByOne {
    type Message<'a> = Body;
    type Key = ();

    async fn next(&mut self) -> Result<(Body, (), Lease), Error> {
        match self.events.recv().await {
            Some(event) => {
                self.times.lock().unwrap().handed = Some(Instant::now());
                Ok((Body(event), (), Lease::new()))
            }
            None => std::future::pending().await,
        }
    }

    fn demand(&mut self, _: Demand) {}
}

/// Says when an event is settled.
struct Settles(mpsc::Sender<()>);

#[async_trait]
impl Ledger<()> for Settles {
    fn capabilities(&self) -> Capabilities {
        Capabilities {
            ack: AckStrength::Durable,
            attempts: Attempts::Unknown,
            dead_letters: true,
            longest_lease: None,
        }
    }

    fn skip(&self, (): ()) {}

    async fn ack(&self, (): &()) -> Settled {
        self.0.send(()).await.unwrap();
        Settled::Durable
    }

    async fn dead_letter(
        &self,
        (): &(),
        _: &Message,
        letter: &DeadLetter,
    ) -> Result<Settled, DeadLetterError> {
        panic!("nothing should fail here: {letter:?}")
    }

    fn release(&self, (): ()) {}

    async fn close(&self, _: tokio::time::Instant) -> Result<(), Error> {
        Ok(())
    }
}

#[tokio::main]
async fn main() {
    rustls::crypto::ring::default_provider().install_default().unwrap();
    let times = Shared::default();
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(serve(listener, times.clone()));

    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("playbook.yaml");
    std::fs::write(&file, PLAYBOOK).unwrap();
    let config = config::parse("bench", &format!("playbooks: [{}]", file.display()), []).unwrap();
    let cluster =
        Api::from_config(kube::Config::new(format!("http://{address}").parse().unwrap()), PATIENCE);
    let (registry, audit) = (Registry::standard(), Audit::to(std::io::sink()));
    let worker = assemble::worker(&config, &registry, cluster, Mode::Enforce, audit).unwrap();

    let (publish, events) = mpsc::channel(1);
    let (settle, mut settled) = mpsc::channel(1);
    let stop = CancellationToken::new();
    let intake = pump::Intake {
        pool: Pool::new(128, 64 << 20),
        hold: worker.outages.hold("bench"),
        passed: Arc::default(),
        stop: stop.clone(),
        drain: PATIENCE,
    };
    let receiver = OneByOne { events, times: times.clone() };
    let pumping = tokio::spawn(async move {
        worker.serve("bench", receiver, Arc::new(Settles(settle)), intake).await
    });
    let (mut first_byte, mut to_delete) = (Vec::new(), Vec::new());
    for number in 0..EVENTS {
        publish.send(event(number)).await.unwrap();
        settled.recv().await.unwrap();
        let seen = std::mem::take(&mut *times.lock().unwrap());
        first_byte.push(seen.get.unwrap() - seen.handed.unwrap());
        to_delete.push(seen.delete.unwrap() - seen.got.unwrap());
        // Idle is what is asked for: the worker's threads have gone to sleep by then.
        tokio::time::sleep(Duration::from_millis(2)).await;
    }
    stop.cancel();
    pumping.await.unwrap().unwrap();
    println!("{EVENTS} events one by one, microseconds\n");
    println!("{:<52} {:>7} {:>7} {:>7}   goal", "", "p50", "p99", "max");
    show("from the broker's hand to the GET's first byte", first_byte, "p99 < 1000");
    show("from the GET's answer to the DELETE's first byte", to_delete, "nothing to speak of");
}

fn show(what: &str, mut times: Vec<Duration>, goal: &str) {
    // The first event opens the connection.
    times.remove(0);
    times.sort();
    let at = |share: f64| times[((times.len() - 1) as f64 * share) as usize].as_micros();
    println!("{what:<52} {:>7} {:>7} {:>7}   {goal}", at(0.5), at(0.99), at(1.0));
}

fn event(number: usize) -> Vec<u8> {
    let now = jiff::Timestamp::now();
    format!(
        "{{\"output\":\"a shell\",\"priority\":\"Notice\",\"rule\":\"Terminal shell in container\",\"time\":\"{now}\",\"output_fields\":\
         {{\"container.id\":\"6ac7d190134e\",\"k8s.ns.name\":\"shop\",\"k8s.pod.name\":\"web-{number}\",\"proc.name\":\"sh\"}},\
         \"source\":\"syscall\"}}"
    )
    .into_bytes()
}

async fn serve(listener: TcpListener, times: Shared) {
    loop {
        let (socket, _) = listener.accept().await.unwrap();
        socket.set_nodelay(true).unwrap();
        tokio::spawn(converse(socket, times.clone()));
    }
}

/// Answers GETs with the pod that was asked for, and DELETEs with success; what kinds there are with none of ours.
async fn converse(mut socket: TcpStream, times: Shared) {
    let mut request = Vec::new();
    loop {
        let mut part = [0; 4096];
        let read = socket.read(&mut part).await.unwrap_or(0);
        if read == 0 {
            return;
        }
        let now = Instant::now();
        if request.is_empty() {
            let mut times = times.lock().unwrap();
            match &part[..read] {
                // Asked now and then, beside the events.
                kinds if kinds.starts_with(b"GET /apis ") => {}
                // The pod's, and behind it its namespace's.
                get if get.starts_with(b"GET") => times.get = times.get.or(Some(now)),
                _ => times.delete = Some(now),
            }
        }
        request.extend_from_slice(&part[..read]);
        let text = String::from_utf8_lossy(&request);
        let Some((head, body)) = text.split_once("\r\n\r\n") else { continue };
        let length = head.lines().find_map(|line| {
            line.to_ascii_lowercase().strip_prefix("content-length: ")?.parse().ok()
        });
        if body.len() < length.unwrap_or(0) {
            continue;
        }
        let path = head.split(' ').nth(1).unwrap_or_default();
        let is_get = head.starts_with("GET") && path != "/apis";
        let answer = match path.rsplit('/').next().unwrap_or_default() {
            "apis" => GROUPS.to_owned(),
            name if is_get => pod(name.split('?').next().unwrap_or_default()),
            _ => SUCCESS.to_owned(),
        };
        let answer = format!(
            "HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: {}\r\n\r\n{answer}",
            answer.len()
        );
        request.clear();
        socket.write_all(answer.as_bytes()).await.unwrap();
        if is_get {
            times.lock().unwrap().got = Some(Instant::now());
        }
    }
}

/// The cluster keeps no Responses.
const GROUPS: &str = r#"{"kind":"APIGroupList","apiVersion":"v1","groups":[]}"#;
const SUCCESS: &str = r#"{"kind":"Status","apiVersion":"v1","metadata":{},"status":"Success"}"#;

fn pod(name: &str) -> String {
    format!(
        r#"{{"kind":"Pod","apiVersion":"v1","metadata":{{"name":"{name}","namespace":"shop","uid":"uid-of-{name}","creationTimestamp":"2026-01-01T00:00:00Z"}},"spec":{{"containers":[{{"name":"app","image":"app"}}],"nodeName":"node-a"}},"status":{{"phase":"Running","containerStatuses":[{{"name":"app","image":"app","imageID":"app","ready":true,"restartCount":0,"containerID":"containerd://6ac7d190134e6ac7d190134e6ac7d190134e6ac7d190134e6ac7d190134e6ac7"}}]}}}}"#
    )
}
