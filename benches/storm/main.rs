//! Storms: ten thousand events about one pod, and a thousand pods attacked at once.
//!
//! The API server is sockets that answer after a while and count, so that what it takes is not the worker's time. What the
//! worker takes for an event is the time from the moment at which the broker hands it over, a permit being free, until it
//! is acknowledged, less the time from the first byte of each request about its pod until its answer was written.

#![allow(clippy::unwrap_used, reason = "a benchmark that can't go on should stop")]
#![allow(clippy::indexing_slicing, reason = "the same")]
#![allow(unreachable_pub, reason = "nothing is reached from outside a benchmark")]

mod broker;
mod cluster;

use std::{
    sync::{Arc, Mutex},
    time::{Duration, Instant},
};

use brokers::{Pool, pump};
use jiff::{SignedDuration, Timestamp};
use playbooks::{
    act::{Api, Registry},
    decide::Mode,
};
use stoop::{audit::Audit, config, worker::assemble};
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

use self::{
    broker::{Here, Settles},
    cluster::Cluster,
};

const ROUNDS: usize = 7;
const ABOUT_ONE: usize = 10_000;
const PODS: usize = 1_000;
/// The configured concurrency, and what an API server takes for an answer under it.
const LOADS: [(usize, Duration); 2] =
    [(128, Duration::from_millis(50)), (16, Duration::from_millis(5))];
const PATIENCE: Duration = Duration::from_secs(60);

/// When what happened to one event.
#[derive(Clone, Copy, Debug, Default)]
pub struct Times {
    handed: Option<Instant>,
    waited: Duration,
    settled: Option<Instant>,
}

/// By the event's number.
pub type Book = Arc<Mutex<Vec<Times>>>;

/// What one storm came to.
struct Storm {
    times: Vec<Times>,
    requests: usize,
    most_at_once: usize,
}

#[tokio::main]
async fn main() {
    rustls::crypto::ring::default_provider().install_default().unwrap();
    let now = Timestamp::now();
    about_one(now).await;
    for (concurrency, answer) in LOADS {
        about_many(now, concurrency, answer).await;
    }
}

async fn about_one(now: Timestamp) {
    let (concurrency, answer) = (128, Duration::from_millis(5));
    let (mut rates, mut requests) = (Vec::new(), 0);
    for _ in 0..ROUNDS {
        let events = (0..ABOUT_ONE).map(|number| event(now, number, 0)).collect();
        let storm = run(events, "budget: 10 per 5m", concurrency, answer).await;
        let first = storm.times.iter().filter_map(|it| it.handed).min().unwrap();
        let last = storm.times.iter().filter_map(|it| it.settled).max().unwrap();
        rates.push(ABOUT_ONE as f64 / (last - first).as_secs_f64() / 1e3);
        requests = requests.max(storm.requests);
    }
    rates.sort_by(f64::total_cmp);
    println!("{ABOUT_ONE} events about one pod, {concurrency} at once, answers take {answer:?}");
    println!(
        "  settled, k/s, median and least      {:>7.1} {:>7.1}   goal >= 20",
        rates[ROUNDS / 2],
        rates[0]
    );
    println!("  requests, at the most               {requests:>7}           goal < 20");
}

async fn about_many(now: Timestamp, concurrency: usize, answer: Duration) {
    let (mut at_once, mut first, mut later) = (0, Vec::new(), Vec::new());
    for _ in 0..ROUNDS {
        let events = (0..PODS).map(|number| event(now, number, number)).collect();
        let storm = run(events, "attempts: 5", concurrency, answer).await;
        at_once = at_once.max(storm.most_at_once);
        // Those are answered while the worker opens its connections.
        let (wave, rest) = storm.times.split_at(concurrency);
        first.extend(wave.iter().map(Times::own));
        later.extend(rest.iter().map(Times::own));
    }
    println!("{PODS} pods at once, {concurrency} at once, answers take {answer:?}");
    println!("  requests at once, at the most       {at_once:>7}           goal <= {concurrency}");
    for (name, mut own) in [("first wave", first), ("behind it ", later)] {
        own.sort();
        let at = |share: f64| own[((own.len() - 1) as f64 * share) as usize].as_secs_f64() * 1e3;
        println!(
            "  share, ms, p50 and p99, {name}  {:>7.2} {:>7.2}   goal p99 < 5",
            at(0.5),
            at(0.99)
        );
    }
}

impl Times {
    /// The time that was the worker's.
    fn own(&self) -> Duration {
        (self.settled.unwrap() - self.handed.unwrap()).saturating_sub(self.waited)
    }
}

/// A worker of its own takes these events, all there from the start.
async fn run(events: Vec<Vec<u8>>, limits: &str, concurrency: usize, answer: Duration) -> Storm {
    let book: Book = Arc::new(Mutex::new(vec![Times::default(); events.len()]));
    let cluster = Cluster::start(book.clone(), answer).await;
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("playbook.yaml");
    std::fs::write(&file, playbook(limits)).unwrap();
    let text = format!("playbooks: [{}]\nlimits: {{concurrency: {concurrency}}}", file.display());
    let config = config::parse("bench", &text, []).unwrap();
    let api = Api::from_config(kube::Config::new(cluster.url()), PATIENCE);
    let (registry, audit) = (Registry::standard(), Audit::to(std::io::sink()));
    let worker = assemble::worker(&config, &registry, api, Mode::Enforce, audit).unwrap();

    let (settle, mut settled) = mpsc::unbounded_channel();
    let (stop, count) = (CancellationToken::new(), events.len());
    let pool = Pool::new(concurrency, 64 << 20);
    let receiver = Here::new(events, pool.clone(), book.clone());
    let intake = pump::Intake {
        pool,
        hold: worker.outages.hold("bench"),
        passed: Arc::default(),
        stop: stop.clone(),
        drain: PATIENCE,
    };
    let ledger = Arc::new(Settles { book: book.clone(), settled: settle });
    let pumping =
        tokio::spawn(async move { worker.serve("bench", receiver, ledger, intake).await });
    for _ in 0..count {
        settled.recv().await.unwrap();
    }
    stop.cancel();
    pumping.await.unwrap().unwrap();
    let times = book.lock().unwrap().clone();
    Storm { times, requests: cluster.requests(), most_at_once: cluster.most_at_once() }
}

fn playbook(limits: &str) -> String {
    format!(
        "
apiVersion: stoop.dev/v1alpha1
kind: Playbook
metadata: {{name: shell}}
spec:
  mode: enforce
  match: {{rules: [\"Terminal shell in container\"]}}
  actions:
    - delete: {{gracePeriod: 1s, owners: [Standalone]}}
  limits: {{{limits}}}
"
    )
}

/// What Falco says about the pod of this number, each event a microsecond before the last.
fn event(now: Timestamp, number: usize, pod: usize) -> Vec<u8> {
    let time = now - SignedDuration::from_micros(i64::try_from(number).unwrap());
    let nanos = time.as_nanosecond();
    format!(
        "{{\"hostname\":\"node-a\",\"output\":\"{time}: Notice A shell was spawned in a container with an attached terminal \
         (evt_type=execve user=root user_uid=0 user_loginuid=-1 process=sh proc_exepath=/bin/busybox parent=runc command=sh \
         terminal=34816 exe_flags=EXE_WRITABLE|EXE_LOWER_LAYER container_id=6ac7d190134e container_name=app)\",\
         \"priority\":\"Notice\",\"rule\":\"Terminal shell in container\",\"source\":\"syscall\",\"tags\":[\"T1059\",\"container\",\
         \"maturity_stable\",\"mitre_execution\",\"shell\"],\"time\":\"{time}\",\"output_fields\":{{\"container.id\":\"6ac7d190134e\",\
         \"container.name\":\"app\",\"evt.time\":{nanos},\"evt.type\":\"execve\",\"k8s.ns.name\":\"shop-{pod}\",\
         \"k8s.pod.name\":\"web\",\"proc.cmdline\":\"sh\",\"proc.name\":\"sh\",\"proc.pname\":\"runc\",\"proc.tty\":34816,\
         \"user.name\":\"root\",\"user.uid\":0}}}}"
    )
    .into_bytes()
}
