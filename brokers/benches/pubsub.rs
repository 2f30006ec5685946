//! What the pump costs on Pub/Sub, beside a loop on the bare subscriber that gives the same guarantee: best effort, or every
//! ack confirmed.
//!
//! Emulators are slower than any client, so the server is a stub that costs less than one: a process of its own, which makes
//! its messages up as they are pulled. The sides take turns; the clock starts with the first message. A table gives each
//! pair's ratio, and the medians. `cargo bench -p brokers --features servers --bench pubsub`

use std::{
    env,
    io::{self, BufRead as _, BufReader, Write as _},
    process::{Child, ChildStdin, ChildStdout, Command, Stdio},
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
    time::{Duration, Instant},
};

use brokers::{
    Delivery, Settled,
    pool::Pool,
    pubsub::{self, Config, Limits},
    pump::{self, Intake, Passed},
};
use google_cloud_auth::credentials::anonymous;
use google_cloud_pubsub::{
    client::Subscriber,
    subscriber::{MessageStream, handler::Handler},
};
use testbed::pubsub::fake::Fake;
use tokio::sync::{Semaphore, watch};
use tokio_util::sync::CancellationToken;

const MESSAGES: u64 = 200_000;
/// As many where each ack is confirmed: the client sends them ten times a second, whatever there is.
const CONFIRMED: u64 = 20_000;
const PAIRS: usize = 5;
/// How many messages either side works on at a time.
const SLOTS: usize = 256;
/// The least ratio that will do.
const GOAL: f64 = 0.85;
/// Makes this program the stub, with confirmed acks (1) or without (0).
const STUB: &str = "STOOP_BENCH_STUB";
const SUBSCRIPTION: &str = "projects/fake/subscriptions/stoop";

/// What Falco says of a shell in a container, of the usual length.
const EVENT: &str = r#"{"uuid":"7a3c1f60-6bb4-4b0e-9a57-3d6f1f2b8c11","output":"10:15:42.123456789: Notice A shell was spawned in a container with an attached terminal (evt_type=execve user=root user_uid=0 process=bash proc_exepath=/usr/bin/bash parent=runc command=bash terminal=34816 container_id=5f0c6a2b1d3e container_name=web)","priority":"Notice","rule":"Terminal shell in container","time":"2026-01-01T10:15:42.123456789Z","source":"syscall","tags":["container","maturity_stable","mitre_execution","shell"],"hostname":"node-1","output_fields":{"container.id":"5f0c6a2b1d3e","container.name":"web","evt.time":1767262542123456789,"k8s.ns.name":"shop","k8s.pod.name":"web-7d4b9","proc.cmdline":"bash","proc.name":"bash","proc.pname":"runc","proc.tty":34816,"user.name":"root","user.uid":0}}"#;

/// One run: how long, and with how much of the processors.
#[derive(Clone, Copy)]
struct Run {
    wall: Duration,
    cpu: Duration,
}

/// Counts messages that are settled, and knows when the first came.
struct Clock {
    messages: u64,
    settled: AtomicU64,
    first: Mutex<Option<(Instant, Duration)>>,
    done: CancellationToken,
}

impl Clock {
    fn of(messages: u64) -> Self {
        let (settled, first, done) =
            (AtomicU64::new(0), Mutex::default(), CancellationToken::new());
        Self { messages, settled, first, done }
    }

    fn start(&self) {
        let mut first = self.first.lock().unwrap_or_else(PoisonError::into_inner);
        first.get_or_insert_with(|| (Instant::now(), cpu("self")));
    }

    fn settled(&self) {
        if self.settled.fetch_add(1, Ordering::Relaxed) + 1 == self.messages {
            self.done.cancel();
        }
    }

    async fn run(&self) -> Run {
        self.done.cancelled().await;
        let first = self.first.lock().unwrap_or_else(PoisonError::into_inner);
        let (at, cpu_then) = first.expect("the first message was seen");
        Run { wall: at.elapsed(), cpu: cpu("self") - cpu_then }
    }
}

/// The processor time of a process so far.
fn cpu(process: &str) -> Duration {
    let stat = std::fs::read_to_string(format!("/proc/{process}/stat")).expect("Linux's /proc");
    let after_name = stat.rsplit_once(')').map_or("", |(_, rest)| rest);
    let ticks: u64 =
        after_name.split_whitespace().skip(11).take(2).filter_map(|n| n.parse::<u64>().ok()).sum();
    Duration::from_millis(ticks * 10)
}

/// The stub in its process, which ends with its standard input.
struct Stub {
    process: Child,
    input: ChildStdin,
    messages: u64,
    output: BufReader<ChildStdout>,
    address: String,
}

impl Stub {
    fn start(confirms: bool) -> Self {
        let mut process = Command::new(env::current_exe().expect("this program"))
            .env(STUB, if confirms { "1" } else { "0" })
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .expect("the stub starts");
        let input = process.stdin.take().expect("it is piped");
        let output = BufReader::new(process.stdout.take().expect("it is piped"));
        let mut stub =
            Self { process, input, messages: messages(confirms), output, address: String::new() };
        stub.address = stub.line();
        stub
    }

    /// Makes all messages ready anew.
    fn fill(&mut self) {
        writeln!(self.input, "fill").expect("the stub listens");
        self.line();
    }

    fn line(&mut self) -> String {
        let mut line = String::new();
        self.output.read_line(&mut line).expect("the stub speaks");
        line.trim().to_owned()
    }

    fn cpu(&self) -> Duration {
        cpu(&self.process.id().to_string())
    }
}

impl Drop for Stub {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

/// How many messages are taken from a stub.
fn messages(confirms: bool) -> u64 {
    if confirms { CONFIRMED } else { MESSAGES }
}

/// What the stub's process does.
async fn be_the_stub(confirms: bool) {
    let messages = messages(confirms);
    let fake = Fake::start(confirms).await.expect("a port");
    println!("{}", fake.address());
    let commands = tokio::task::spawn_blocking(move || {
        for _ in io::stdin().lines() {
            fake.flood(EVENT, messages);
            println!("filled");
        }
    });
    commands.await.expect("no panic");
}

async fn raw(address: &str) -> MessageStream {
    let limits = Limits::default();
    let client = Subscriber::builder()
        .with_endpoint(format!("http://{address}"))
        .with_credentials(anonymous::Builder::new().build())
        .build()
        .await
        .expect("a client");
    client
        .subscribe(SUBSCRIPTION)
        .set_max_lease(limits.lease)
        .set_max_outstanding_messages(i64::from(limits.messages))
        .set_max_outstanding_bytes(limits.bytes.cast_signed())
        .build()
}

/// Takes messages as the client brings them, and acks each in a task of its own, confirmed if the stub does.
async fn raw_keeping(address: String, count: u64) -> Run {
    let (clock, slots) = (Arc::new(Clock::of(count)), Arc::new(Semaphore::new(SLOTS)));
    let mut messages = raw(&address).await;
    for _ in 0..count {
        let (message, handler) = messages.next().await.expect("a message").expect("no error");
        clock.start();
        let slot = slots.clone().acquire_owned().await.expect("a slot");
        let clock = clock.clone();
        tokio::spawn(async move {
            match handler {
                Handler::ExactlyOnce(handler) => handler.confirmed_ack().await.expect("an ack"),
                handler => handler.ack(),
            }
            drop((message, slot));
            clock.settled();
        });
    }
    clock.run().await
}

/// Takes messages as the client brings them, and acks each without waiting.
async fn raw_skipping(address: String, count: u64) -> Run {
    let clock = Clock::of(count);
    let mut messages = raw(&address).await;
    while !clock.done.is_cancelled() {
        let (_, handler) = messages.next().await.expect("a message").expect("no error");
        clock.start();
        handler.ack();
        clock.settled();
    }
    clock.run().await
}

/// The pump, with a filter that keeps all, and an ack in a task a message.
async fn pump_keeping(address: String, count: u64) -> Run {
    let clock = Arc::new(Clock::of(count));
    let counting = clock.clone();
    let handle = move |delivery: Delivery| {
        counting.start();
        let clock = counting.clone();
        tokio::spawn(async move {
            let settled = delivery.ack().await;
            assert!(matches!(settled, Settled::Durable | Settled::Accepted), "{settled:?}");
            clock.settled();
        });
    };
    pump(address, clock, |_| true, handle).await
}

/// The pump, with a filter that skips all.
async fn pump_skipping(address: String, count: u64) -> Run {
    let clock = Arc::new(Clock::of(count));
    let counting = clock.clone();
    let wants = move |_: &[u8]| {
        counting.start();
        counting.settled();
        false
    };
    pump(address, clock, wants, |_| ()).await
}

async fn pump<W, H>(address: String, clock: Arc<Clock>, wants: W, handle: H) -> Run
where
    W: Fn(&[u8]) -> bool + Send + Sync + 'static,
    H: FnMut(Delivery) + Send + 'static,
{
    let endpoint = format!("http://{address}");
    let config =
        serde_json::json!({"project": "fake", "subscription": "stoop", "endpoint": endpoint});
    let config: Config = serde_json::from_value(config).expect("a configuration");
    let connected = pubsub::connect(&config, Limits::default()).await;
    let (receiver, ledger) = connected.expect("a connection");
    let (_hold, hold) = watch::channel(false);
    let stop = CancellationToken::new();
    let intake = Intake {
        pool: Pool::new(SLOTS, 64 << 20),
        hold,
        passed: Arc::new(Passed::default()),
        stop: stop.clone(),
        drain: Duration::from_secs(5),
    };
    let pump = tokio::spawn(pump::run(receiver, ledger, intake, wants, handle));
    let run = clock.run().await;
    stop.cancel();
    pump.await.expect("no panic").expect("a clean end");
    run
}

fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    values[values.len() / 2]
}

fn rate(run: Run, messages: u64) -> f64 {
    messages as f64 / run.wall.as_secs_f64() / 1000.0
}

fn per_100k(cpu: Duration, messages: u64) -> f64 {
    cpu.as_secs_f64() * 100_000.0 / messages as f64
}

async fn compare<A, B>(
    name: &str,
    stub: &mut Stub,
    raw: impl Fn(String, u64) -> A,
    ours: impl Fn(String, u64) -> B,
) where
    A: Future<Output = Run>,
    B: Future<Output = Run>,
{
    println!(
        "\n{name}\n  raw k/s   pump k/s   ratio   CPU s per 100 k: raw   pump   the stub beside it"
    );
    let (mut ratios, messages) = (Vec::new(), stub.messages);
    for _ in 0..PAIRS {
        stub.fill();
        let before = stub.cpu();
        let a = raw(stub.address.clone(), messages).await;
        let beside = stub.cpu() - before;
        stub.fill();
        let b = ours(stub.address.clone(), messages).await;
        ratios.push(rate(b, messages) / rate(a, messages));
        println!(
            "  {:7.0}   {:8.0}   {:5.2}   {:21.3}   {:.3}   {:.3}",
            rate(a, messages),
            rate(b, messages),
            rate(b, messages) / rate(a, messages),
            per_100k(a.cpu, messages),
            per_100k(b.cpu, messages),
            per_100k(beside, messages)
        );
    }
    println!("  median ratio {:.2}, goal at least {GOAL}", median(ratios));
}

#[tokio::main]
async fn main() {
    if let Ok(confirms) = env::var(STUB) {
        return be_the_stub(confirms == "1").await;
    }
    // Somebody else's process-wide choice is as good.
    let _ = rustls::crypto::ring::default_provider().install_default();
    println!("{MESSAGES} events of {} bytes, {SLOTS} at a time", EVENT.len());
    let mut stub = Stub::start(false);
    compare("kept, acked at the best effort", &mut stub, raw_keeping, pump_keeping).await;
    compare("skipped by the filter", &mut stub, raw_skipping, pump_skipping).await;
    let mut stub = Stub::start(true);
    compare("kept, each ack confirmed", &mut stub, raw_keeping, pump_keeping).await;
}
