//! What the pump costs on Kafka, beside a loop on the bare client that gives the same guarantee.
//!
//! Both sides have the same consumer settings, read the same topic, and take turns; each run has a fresh group, and its
//! clock starts with the first message. A table gives each pair's ratio, and the medians.
//! `cargo bench -p brokers --features servers --bench kafka`

use std::{
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
    time::{Duration, Instant},
};

use brokers::{
    Delivery,
    kafka::{self, Config, Timing},
    pool::Pool,
    pump::{self, Intake, Passed},
};
use rdkafka::{
    ClientConfig, Message as _, Offset, TopicPartitionList,
    admin::{AdminClient, AdminOptions, NewTopic, TopicReplication},
    client::DefaultClientContext,
    consumer::{CommitMode, Consumer as _, StreamConsumer},
    producer::{BaseProducer, BaseRecord, Producer as _},
};
use serde::Deserialize;
use testbed::kafka::Kafka;
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

const MESSAGES: u64 = 600_000;
const PAIRS: usize = 5;
const PARTITIONS: i32 = 4;

/// What Falco says of a shell in a container, of the usual length.
const EVENT: &str = r#"{"uuid":"7a3c1f60-6bb4-4b0e-9a57-3d6f1f2b8c11","output":"10:15:42.123456789: Notice A shell was spawned in a container with an attached terminal (evt_type=execve user=root user_uid=0 process=bash proc_exepath=/usr/bin/bash parent=runc command=bash terminal=34816 container_id=5f0c6a2b1d3e container_name=web)","priority":"Notice","rule":"Terminal shell in container","time":"2026-01-01T10:15:42.123456789Z","source":"syscall","tags":["container","maturity_stable","mitre_execution","shell"],"hostname":"node-1","output_fields":{"container.id":"5f0c6a2b1d3e","container.name":"web","evt.time":1767262542123456789,"k8s.ns.name":"shop","k8s.pod.name":"web-7d4b9","proc.cmdline":"bash","proc.name":"bash","proc.pname":"runc","proc.tty":34816,"user.name":"root","user.uid":0}}"#;

#[derive(Deserialize)]
#[allow(dead_code, reason = "decoding is the work that is measured")]
struct Envelope<'a> {
    #[serde(borrow)]
    rule: std::borrow::Cow<'a, str>,
    #[serde(borrow)]
    priority: std::borrow::Cow<'a, str>,
    #[serde(borrow)]
    output: std::borrow::Cow<'a, str>,
    #[serde(borrow)]
    output_fields: &'a serde_json::value::RawValue,
}

/// One run: how long, and with how much of the processors.
#[derive(Clone, Copy)]
struct Run {
    wall: Duration,
    cpu: Duration,
}

/// Counts messages, and knows when the first and the last came.
#[derive(Default)]
struct Clock {
    seen: AtomicU64,
    first: Mutex<Option<(Instant, Duration)>>,
    done: CancellationToken,
}

impl Clock {
    #[inline]
    fn tick(&self) {
        let before = self.seen.fetch_add(1, Ordering::Relaxed);
        if before == 0 {
            *self.first.lock().unwrap_or_else(PoisonError::into_inner) =
                Some((Instant::now(), cpu()));
        }
        if before + 1 == MESSAGES {
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

fn config(bootstrap: &str, topic: &str) -> Config {
    Config {
        brokers: vec![bootstrap.to_owned()],
        topic: Some(topic.to_owned()),
        group: format!("bench-{:016x}", fastrand::u64(..)),
        ..Config::default()
    }
}

fn topic(config: &Config) -> &str {
    config.topic.as_deref().expect("its topic is named")
}

/// The bare client, with the settings that `kafka::connect` uses.
fn raw(config: &Config) -> Arc<StreamConsumer> {
    let mut client = ClientConfig::new();
    for (key, value) in [
        ("bootstrap.servers", config.brokers.join(",").as_str()),
        ("group.id", &config.group),
        ("enable.auto.commit", "false"),
        ("enable.auto.offset.store", "false"),
        ("auto.offset.reset", "earliest"),
        ("check.crcs", "true"),
        ("partition.assignment.strategy", "cooperative-sticky"),
        ("max.poll.interval.ms", "90000"),
        ("fetch.queue.backoff.ms", "10"),
        ("queued.max.messages.kbytes", "16384"),
        ("fetch.max.bytes", "8388608"),
    ] {
        client.set(key, value);
    }
    let consumer: StreamConsumer = client.create().expect("a consumer");
    consumer.subscribe(&[topic(config)]).expect("a subscription");
    Arc::new(consumer)
}

/// Commits once a second where receiving has come to.
async fn commit(consumer: Arc<StreamConsumer>, config: Config, ends: Arc<[AtomicU64]>) {
    loop {
        tokio::time::sleep(Duration::from_secs(1)).await;
        let mut list = TopicPartitionList::new();
        for (partition, end) in (0..).zip(ends.iter()) {
            let offset = Offset::Offset(end.load(Ordering::Relaxed).cast_signed());
            list.add_partition_offset(topic(&config), partition, offset).expect("an offset");
        }
        let consumer = consumer.clone();
        let committed =
            tokio::task::spawn_blocking(move || consumer.commit(&list, CommitMode::Sync));
        drop(committed.await);
    }
}

fn ends() -> Arc<[AtomicU64]> {
    (0..PARTITIONS).map(|_| AtomicU64::new(0)).collect()
}

/// Counts, and commits once a second.
async fn raw_counting(config: Config) -> Run {
    let (consumer, ends, clock) = (raw(&config), ends(), Clock::default());
    let commits = tokio::spawn(commit(consumer.clone(), config, ends.clone()));
    while !clock.done.is_cancelled() {
        let message = consumer.recv().await.expect("a message");
        let partition = usize::try_from(message.partition()).expect("a partition");
        ends[partition].store(message.offset().cast_unsigned() + 1, Ordering::Relaxed);
        clock.tick();
    }
    commits.abort();
    clock.run().await
}

/// A task a message that decodes it, and a tracker of what is complete.
async fn raw_with_tasks(config: Config) -> Run {
    let (consumer, ends, clock) = (raw(&config), ends(), Arc::new(Clock::default()));
    let commits = tokio::spawn(commit(consumer.clone(), config, ends.clone()));
    let trackers: Arc<[Mutex<Open>]> = (0..PARTITIONS).map(|_| Mutex::default()).collect();
    for _ in 0..MESSAGES {
        let message = consumer.recv().await.expect("a message");
        let partition = usize::try_from(message.partition()).expect("a partition");
        let offset = message.offset();
        locked(&trackers[partition]).received(offset);
        let message = message.detach();
        let (trackers, ends, clock) = (trackers.clone(), ends.clone(), clock.clone());
        tokio::spawn(async move {
            decode(message.payload().unwrap_or_default());
            let end = locked(&trackers[partition]).completed(offset);
            ends[partition].store(end.cast_unsigned(), Ordering::Relaxed);
            clock.tick();
        });
    }
    let run = clock.run().await;
    commits.abort();
    run
}

/// The least tracker that commits nothing too early.
#[derive(Default)]
struct Open {
    open: std::collections::BTreeSet<i64>,
    end: i64,
}

impl Open {
    fn received(&mut self, offset: i64) {
        self.open.insert(offset);
        self.end = offset + 1;
    }

    fn completed(&mut self, offset: i64) -> i64 {
        self.open.remove(&offset);
        self.open.first().copied().unwrap_or(self.end)
    }
}

fn locked<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

fn decode(payload: &[u8]) {
    let envelope: Envelope<'_> = serde_json::from_slice(payload).expect("an event");
    std::hint::black_box(envelope);
}

/// The pump, with a filter that skips all.
async fn pump_skipping(config: Config) -> Run {
    let clock = Arc::new(Clock::default());
    let counting = clock.clone();
    let wants = move |_: &[u8]| {
        counting.tick();
        false
    };
    pump(config, clock, wants, |_| ()).await
}

/// The pump, with a filter that keeps all and a task a message that decodes it.
async fn pump_keeping(config: Config) -> Run {
    let clock = Arc::new(Clock::default());
    let counting = clock.clone();
    let handle = move |delivery: Delivery| {
        let clock = counting.clone();
        tokio::spawn(async move {
            decode(&delivery.message().payload);
            delivery.ack().await;
            clock.tick();
        });
    };
    pump(config, clock, |_| true, handle).await
}

async fn pump<W, H>(config: Config, clock: Arc<Clock>, wants: W, handle: H) -> Run
where
    W: Fn(&[u8]) -> bool + Send + Sync + 'static,
    H: FnMut(Delivery) + Send + 'static,
{
    let (receiver, ledger) = kafka::connect(&config, Timing::default()).expect("a connection");
    let (_hold, hold) = watch::channel(false);
    let stop = CancellationToken::new();
    let intake = Intake {
        pool: Pool::new(256, 64 << 20),
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

fn fill(bootstrap: &str, topic: &str) {
    let mut client = ClientConfig::new();
    client.set("bootstrap.servers", bootstrap);
    let admin: AdminClient<DefaultClientContext> = client.create().expect("an admin client");
    let new = NewTopic::new(topic, PARTITIONS, TopicReplication::Fixed(1));
    let made = admin.create_topics([&new], &AdminOptions::new());
    futures::executor::block_on(made).expect("a topic");
    client.set("linger.ms", "20").set("queue.buffering.max.messages", "200000");
    let producer: BaseProducer = client.create().expect("a producer");
    for n in 0..MESSAGES {
        let partition = i32::try_from(n % 4).expect("a partition");
        loop {
            let record = BaseRecord::<(), str>::to(topic).partition(partition).payload(EVENT);
            match producer.send(record) {
                Ok(()) => break,
                Err(_) => producer.poll(Duration::from_millis(50)),
            };
        }
    }
    producer.flush(Duration::from_secs(60)).expect("all events published");
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
    config: impl Fn() -> Config,
    raw: impl Fn(Config) -> A,
    ours: impl Fn(Config) -> B,
) where
    A: Future<Output = Run>,
    B: Future<Output = Run>,
{
    println!("\n{name}\n  raw k/s   pump k/s   ratio   CPU s per 100 k: raw   pump");
    let mut ratios = Vec::new();
    for _ in 0..PAIRS {
        let (a, b) = (raw(config()).await, ours(config()).await);
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
    let kafka = Kafka::shared().await.unwrap_or_else(|error| panic!("no Kafka: {error}"));
    let topic = format!("bench-{:016x}", fastrand::u64(..));
    let (bootstrap, name) = (kafka.bootstrap().to_owned(), topic.clone());
    tokio::task::spawn_blocking(move || fill(&bootstrap, &name)).await.expect("a filled topic");
    let config = || config(kafka.bootstrap(), &topic);
    println!("{MESSAGES} events of {} bytes, {PARTITIONS} partitions", EVENT.len());
    compare("skipped by the filter", config, raw_counting, pump_skipping).await;
    compare("kept, decoded in a task each", config, raw_with_tasks, pump_keeping).await;
}
