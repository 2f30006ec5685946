//! What the pump costs on JetStream, beside a loop on the bare client that gives the same guarantee: every ack confirmed.
//!
//! Both sides read the same messages from streams of their own, filled before, and take turns; the clock starts with the
//! first message. A table gives each pair's ratio, and the medians.
//! `cargo bench -p brokers --features servers --bench nats`

use std::{
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
    time::{Duration, Instant},
};

use async_nats::jetstream::{
    self,
    consumer::{AckPolicy, PullConsumer, pull},
    context::Context,
    stream::{self, RetentionPolicy},
};
use brokers::{
    Delivery, Settled,
    nats::{self, Config},
    pool::Pool,
    pump::{self, Intake, Passed},
};
use futures::{StreamExt as _, stream::FuturesUnordered};
use testbed::nats::Nats;
use tokio::sync::{Semaphore, watch};
use tokio_util::sync::CancellationToken;

const MESSAGES: u64 = 200_000;
const PAIRS: usize = 5;
/// How many messages either side holds at a time.
const SLOTS: usize = 256;

/// What Falco says of a shell in a container, of the usual length.
const EVENT: &str = r#"{"uuid":"7a3c1f60-6bb4-4b0e-9a57-3d6f1f2b8c11","output":"10:15:42.123456789: Notice A shell was spawned in a container with an attached terminal (evt_type=execve user=root user_uid=0 process=bash proc_exepath=/usr/bin/bash parent=runc command=bash terminal=34816 container_id=5f0c6a2b1d3e container_name=web)","priority":"Notice","rule":"Terminal shell in container","time":"2026-01-01T10:15:42.123456789Z","source":"syscall","tags":["container","maturity_stable","mitre_execution","shell"],"hostname":"node-1","output_fields":{"container.id":"5f0c6a2b1d3e","container.name":"web","evt.time":1767262542123456789,"k8s.ns.name":"shop","k8s.pod.name":"web-7d4b9","proc.cmdline":"bash","proc.name":"bash","proc.pname":"runc","proc.tty":34816,"user.name":"root","user.uid":0}}"#;

/// One run: how long, and with how much of the processors.
#[derive(Clone, Copy)]
struct Run {
    wall: Duration,
    cpu: Duration,
}

/// Counts messages that are settled, and knows when the first came.
#[derive(Default)]
struct Clock {
    settled: AtomicU64,
    first: Mutex<Option<(Instant, Duration)>>,
    done: CancellationToken,
}

impl Clock {
    fn start(&self) {
        let mut first = self.first.lock().unwrap_or_else(PoisonError::into_inner);
        first.get_or_insert_with(|| (Instant::now(), cpu()));
    }

    fn settled(&self) {
        if self.settled.fetch_add(1, Ordering::Relaxed) + 1 == MESSAGES {
            self.done.cancel();
        }
    }

    async fn run(&self) -> Run {
        self.done.cancelled().await;
        let first = self.first.lock().unwrap_or_else(PoisonError::into_inner);
        let (at, cpu_then) = first.expect("the first message was seen");
        Run { wall: at.elapsed(), cpu: cpu() - cpu_then }
    }
}

/// The processor time of this process so far.
fn cpu() -> Duration {
    let stat = std::fs::read_to_string("/proc/self/stat").expect("Linux's /proc");
    let after_name = stat.rsplit_once(')').map_or("", |(_, rest)| rest);
    let ticks: u64 =
        after_name.split_whitespace().skip(11).take(2).filter_map(|n| n.parse::<u64>().ok()).sum();
    Duration::from_millis(ticks * 10)
}

/// A work queue with all the messages, and its consumer.
async fn filled(context: &Context) -> (String, PullConsumer) {
    let name = format!("BENCH-{:016x}", fastrand::u64(..));
    let config = stream::Config {
        name: name.clone(),
        subjects: vec![format!("{name}.>")],
        retention: RetentionPolicy::WorkQueue,
        ..stream::Config::default()
    };
    let stream = context.create_stream(config).await.expect("a stream");
    let config = pull::Config {
        durable_name: Some("stoop".to_owned()),
        ack_policy: AckPolicy::Explicit,
        max_ack_pending: 50_000,
        ..pull::Config::default()
    };
    let consumer = stream.create_consumer(config).await.expect("a consumer");
    let subject = format!("{name}.notice.shell");
    let mut sent = FuturesUnordered::new();
    for _ in 0..MESSAGES {
        let publish = context.publish(subject.clone(), EVENT.into()).await.expect("a publish");
        sent.push(std::future::IntoFuture::into_future(publish));
        if sent.len() >= 1000 {
            sent.next().await.expect("one is on its way").expect("an ack");
        }
    }
    while let Some(ack) = sent.next().await {
        ack.expect("an ack");
    }
    (name, consumer)
}

/// Takes messages as the client brings them, and acks each in a task of its own, confirmed.
async fn raw_confirmed(context: Context, consumer: PullConsumer) -> Run {
    let (clock, slots) = (Arc::new(Clock::default()), Arc::new(Semaphore::new(SLOTS)));
    let mut messages =
        consumer.stream().max_messages_per_batch(512).messages().await.expect("messages");
    let client = context.client();
    for _ in 0..MESSAGES {
        let message = messages.next().await.expect("a message").expect("no error");
        clock.start();
        let slot = slots.clone().acquire_owned().await.expect("a slot");
        let (client, clock) = (client.clone(), clock.clone());
        tokio::spawn(async move {
            let reply = message.reply.clone().expect("a reply subject");
            let answer = client.request(reply, "+ACK".into()).await.expect("an answer");
            assert!(answer.payload.is_empty() && answer.status.is_none());
            drop(slot);
            clock.settled();
        });
    }
    clock.run().await
}

/// Takes messages as the client brings them, and acks each without waiting.
async fn raw_skipping(_: Context, consumer: PullConsumer) -> Run {
    let clock = Clock::default();
    let mut messages =
        consumer.stream().max_messages_per_batch(512).messages().await.expect("messages");
    while !clock.done.is_cancelled() {
        let message = messages.next().await.expect("a message").expect("no error");
        clock.start();
        message.ack().await.expect("an ack sent");
        clock.settled();
    }
    clock.run().await
}

/// The pump, with a filter that keeps all, and a confirmed ack in a task a message.
async fn pump_keeping(config: Config) -> Run {
    let clock = Arc::new(Clock::default());
    let counting = clock.clone();
    let handle = move |delivery: Delivery| {
        counting.start();
        let clock = counting.clone();
        tokio::spawn(async move {
            assert_eq!(delivery.ack().await, Settled::Durable);
            clock.settled();
        });
    };
    pump(config, clock, |_| true, handle).await
}

/// The pump, with a filter that skips all.
async fn pump_skipping(config: Config) -> Run {
    let clock = Arc::new(Clock::default());
    let counting = clock.clone();
    let wants = move |_: &[u8]| {
        counting.start();
        counting.settled();
        false
    };
    pump(config, clock, wants, |_| ()).await
}

async fn pump<W, H>(config: Config, clock: Arc<Clock>, wants: W, handle: H) -> Run
where
    W: Fn(&[u8]) -> bool + Send + Sync + 'static,
    H: FnMut(Delivery) + Send + 'static,
{
    let (receiver, ledger) = nats::connect(&config, SLOTS).expect("a connection");
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

fn rate(run: Run) -> f64 {
    MESSAGES as f64 / run.wall.as_secs_f64() / 1000.0
}

fn cpu_per_100k(run: Run) -> f64 {
    run.cpu.as_secs_f64() * 100_000.0 / MESSAGES as f64
}

async fn compare<A, B>(
    name: &str,
    url: &str,
    context: &Context,
    raw: impl Fn(Context, PullConsumer) -> A,
    ours: impl Fn(Config) -> B,
) where
    A: Future<Output = Run>,
    B: Future<Output = Run>,
{
    println!("\n{name}\n  raw k/s   pump k/s   ratio   CPU s per 100 k: raw   pump");
    let mut ratios = Vec::new();
    for _ in 0..PAIRS {
        let (stream, consumer) = filled(context).await;
        let a = raw(context.clone(), consumer).await;
        context.delete_stream(stream).await.expect("gone");
        let (stream, _consumer) = filled(context).await;
        let config = serde_json::json!({"servers": [url], "stream": stream, "consumer": "stoop"});
        let b = ours(serde_json::from_value(config).expect("a configuration")).await;
        context.delete_stream(stream).await.expect("gone");
        ratios.push(rate(b) / rate(a));
        println!(
            "  {:7.0}   {:8.0}   {:5.2}   {:21.3}   {:.3}",
            rate(a),
            rate(b),
            rate(b) / rate(a),
            cpu_per_100k(a),
            cpu_per_100k(b)
        );
    }
    println!("  median ratio {:.2}", median(ratios));
}

#[tokio::main]
async fn main() {
    let nats = Nats::shared().await.unwrap_or_else(|error| panic!("no NATS: {error}"));
    let client = async_nats::connect(nats.url().to_owned()).await.expect("a connection");
    let context = jetstream::new(client);
    println!("{MESSAGES} events of {} bytes, {SLOTS} at a time", EVENT.len());
    compare("kept, each ack confirmed", nats.url(), &context, raw_confirmed, pump_keeping).await;
    compare("skipped by the filter", nats.url(), &context, raw_skipping, pump_skipping).await;
}
