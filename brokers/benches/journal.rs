//! The journal's intake over HTTP against redb's group commit alone: 64 publishers on either side, every event durable
//! before its publisher goes on.
//!
//! `cargo bench -p brokers --bench journal`
#![allow(
    clippy::print_stdout,
    clippy::unwrap_used,
    reason = "a benchmark prints, and stops at an error"
)]

use std::{
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
        mpsc,
    },
    time::{Duration, Instant},
};

use brokers::{
    Ledger as _,
    journal::{Capacity, Config, Journal},
};
use redb::{Database, TableDefinition};
use settings::ByteSize;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
    runtime::Runtime,
    sync::oneshot,
    task::JoinSet,
};
use tokio_util::sync::CancellationToken;

const PUBLISHERS: usize = 64;
const EVENT: usize = 750;
const EVENTS: usize = 30_000;
const PAIRS: usize = 11;
const GOAL: f64 = 0.5;

fn main() {
    println!("{PUBLISHERS} publishers, {EVENTS} events of {EVENT} bytes, every one durable");
    println!("| pair | redb's group commit | journal over HTTP | ratio |");
    println!("|---|---|---|---|");
    let mut ratios = Vec::new();
    for pair in 1..=PAIRS {
        let (alone, http) = (rate(redb_alone), rate(journal));
        println!("| {pair} | {alone:.0}/s | {http:.0}/s | {:.2} |", http / alone);
        ratios.push(http / alone);
    }
    ratios.sort_by(f64::total_cmp);
    println!("median ratio {:.2}, to be at least {GOAL}", ratios[PAIRS / 2]);
}

fn rate(run: fn(&Runtime) -> Duration) -> f64 {
    let runtime = Runtime::new().unwrap();
    EVENTS as f64 / run(&runtime).as_secs_f64()
}

/// What is still to be published, by all publishers together.
#[derive(Clone)]
struct Left(Arc<AtomicUsize>);

impl Left {
    fn new() -> Self {
        Self(Arc::new(AtomicUsize::new(EVENTS)))
    }

    fn one(&self) -> bool {
        self.0
            .fetch_update(Ordering::Relaxed, Ordering::Relaxed, |left| left.checked_sub(1))
            .is_ok()
    }
}

type Append = (Vec<u8>, oneshot::Sender<()>);

/// One thread with the same settings as the journal's: takes what waits, commits, answers.
fn redb_alone(runtime: &Runtime) -> Duration {
    const TABLE: TableDefinition<'_, u64, &[u8]> = TableDefinition::new("events");
    let folder = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).unwrap();
    let database = Database::builder()
        .set_cache_size(16 << 20)
        .create(folder.path().join("alone.redb"))
        .unwrap();
    let (appends, waiting) = mpsc::channel::<Append>();
    let writer = std::thread::spawn(move || commit_groups(&database, &waiting, TABLE));
    let left = Left::new();
    let begin = Instant::now();
    runtime.block_on(async {
        let mut publishers = JoinSet::new();
        for _ in 0..PUBLISHERS {
            let (appends, left) = (appends.clone(), left.clone());
            publishers.spawn(async move {
                while left.one() {
                    let (done, durable) = oneshot::channel();
                    appends.send((vec![b'x'; EVENT], done)).unwrap();
                    durable.await.unwrap();
                }
            });
        }
        publishers.join_all().await;
    });
    let took = begin.elapsed();
    drop(appends);
    writer.join().unwrap();
    took
}

fn commit_groups(
    database: &Database,
    waiting: &mpsc::Receiver<Append>,
    table: TableDefinition<'_, u64, &[u8]>,
) {
    let mut sequence = 0;
    while let Ok(first) = waiting.recv() {
        let mut tx = database.begin_write().unwrap();
        tx.set_quick_repair(true);
        let mut done = Vec::with_capacity(PUBLISHERS);
        {
            let mut events = tx.open_table(table).unwrap();
            for (event, reply) in std::iter::once(first).chain(waiting.try_iter()) {
                sequence += 1;
                events.insert(sequence, event.as_slice()).unwrap();
                done.push(reply);
            }
        }
        tx.commit().unwrap();
        for reply in done {
            reply.send(()).unwrap();
        }
    }
}

/// The journal as a worker runs it, and keep-alive connections that cost as little as can be.
fn journal(runtime: &Runtime) -> Duration {
    let folder = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).unwrap();
    let config = Config {
        path: folder.path().to_owned(),
        listen: "127.0.0.1:0".parse().unwrap(),
        capacity: Capacity { messages: 1_000_000, bytes: ByteSize::mib(1024) },
        ..Config::default()
    };
    runtime.block_on(async {
        let Journal { receiver, ledger, intake, .. } =
            Journal::open(&config, |_: &[u8]| Ok(())).await.unwrap();
        let address = intake.local_addr();
        let stop = CancellationToken::new();
        let serving = tokio::spawn(intake.serve(stop.clone()));
        let left = Left::new();
        let begin = Instant::now();
        let mut publishers = JoinSet::new();
        for _ in 0..PUBLISHERS {
            let left = left.clone();
            publishers.spawn(async move {
                let mut stream = TcpStream::connect(address).await.unwrap();
                stream.set_nodelay(true).unwrap();
                let request = request();
                let mut answer = [0; 512];
                while left.one() {
                    stream.write_all(&request).await.unwrap();
                    read_answer(&mut stream, &mut answer).await;
                }
            });
        }
        publishers.join_all().await;
        let took = begin.elapsed();
        drop(receiver);
        stop.cancel();
        serving.await.unwrap();
        ledger.close(tokio::time::Instant::now() + Duration::from_secs(10)).await.unwrap();
        took
    })
}

fn request() -> Vec<u8> {
    let mut request = format!(
        "POST / HTTP/1.1\r\nhost: journal\r\nuser-agent: Falcosidekick\r\n\
         content-type: application/json\r\ncontent-length: {EVENT}\r\n\r\n"
    )
    .into_bytes();
    request.resize(request.len() + EVENT, b'x');
    request
}

/// Reads one answer, which has no body.
async fn read_answer(stream: &mut TcpStream, buffer: &mut [u8; 512]) {
    let mut length = 0;
    while !buffer[..length].ends_with(b"\r\n\r\n") {
        let read = stream.read(&mut buffer[length..]).await.unwrap();
        assert!(read > 0, "the intake hung up");
        length += read;
    }
    assert!(buffer.starts_with(b"HTTP/1.1 200 OK\r\n"), "{}", String::from_utf8_lossy(buffer));
    assert!(buffer[..length].windows(17).any(|part| part == b"content-length: 0"));
}
