//! A worker is killed again and again under load: what was answered with 200 is not lost.

use std::{
    collections::HashSet,
    env, fs,
    io::{BufRead, BufReader, Write},
    path::Path,
    process::{Child, Command, Stdio},
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use brokers::{
    Delivery, Pool,
    journal::{Journal, Sequence},
    pump,
};
use tokio::sync::{Notify, watch};
use tokio_util::sync::CancellationToken;

use crate::support::{client, config, letter, object, open};

const KILLS: usize = 25;
const PUBLISHERS: usize = 8;
/// How long a worker may take to answer; one that is dead may leave a client waiting for ever.
const PATIENCE: Duration = Duration::from_secs(30);
/// Tells the test binary that it is to be the worker, and where.
const WORKER: &str = "JOURNAL_TEST_WORKER";

/// Not a test but the worker to be killed, run by the one below in a process of its own.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn worker() {
    let Some(folder) = env::var_os(WORKER) else { return };
    let folder = Path::new(&folder);
    let journal = Journal::open(&config(folder), object).await.unwrap();
    let mut stdout = std::io::stdout().lock();
    writeln!(stdout, "\nlistening {}", journal.intake.local_addr()).unwrap();
    drop(stdout);
    tokio::spawn(journal.intake.serve(CancellationToken::new()));
    let (_flowing, hold) = watch::channel(false);
    let intake = pump::Intake {
        pool: Pool::new(16, 1 << 20),
        hold,
        passed: Arc::default(),
        stop: CancellationToken::new(),
        drain: Duration::from_secs(1),
    };
    let log = fs::File::options().create(true).append(true).open(folder.join("done")).unwrap();
    let log = Arc::new(log);
    let wants = |payload: &[u8]| !payload.ends_with(b"0}");
    let handle = move |delivery| drop(tokio::spawn(work(delivery, log.clone())));
    pump::run(journal.receiver, journal.ledger, intake, wants, handle).await.unwrap();
}

/// Leaves its mark outside of the journal, and only then settles; some are given up, some fail at first.
async fn work(delivery: Delivery, log: Arc<fs::File>) {
    let body = delivery.message().payload.clone();
    if body.ends_with(b"1}") {
        delivery.dead_letter(&letter("failed")).await.map_err(|(_, error)| error).unwrap();
    } else if body.ends_with(b"2}") && delivery.handed() == 1 {
        delivery.retry(Duration::ZERO);
    } else {
        (&*log).write_all(&[&body[..], b"\n"].concat()).unwrap();
        delivery.ack().await;
    }
}

fn start(folder: &Path) -> (Child, String) {
    let mut child = Command::new(env::current_exe().unwrap())
        .args(["--exact", "kill::worker", "--nocapture"])
        .env(WORKER, folder)
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let lines = BufReader::new(child.stdout.take().unwrap()).lines().map_while(Result::ok);
    let address =
        lines.filter_map(|line| line.strip_prefix("listening ").map(str::to_owned)).next();
    (child, format!("http://{}/", address.expect("the worker opens the journal")))
}

/// Publishes until the worker is gone, and says what was confirmed.
async fn publish(
    url: String,
    next: Arc<AtomicUsize>,
    confirmed: Arc<AtomicUsize>,
    some: Arc<Notify>,
) -> Vec<String> {
    let client = client();
    let mut mine = Vec::new();
    loop {
        let n = next.fetch_add(1, Ordering::Relaxed);
        let body = format!("{{\"n\":{n}}}");
        match client.post(&url).body(body.clone()).timeout(PATIENCE).send().await {
            Ok(answer) if answer.status() == 200 => mine.push(body),
            Ok(answer) => panic!("{}", answer.status()),
            Err(_) => return mine,
        }
        confirmed.fetch_add(1, Ordering::Relaxed);
        some.notify_one();
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nothing_that_was_answered_is_lost_in_25_kills() {
    let folder = tempfile::tempdir().unwrap();
    let next = Arc::new(AtomicUsize::new(0));
    let mut answered = HashSet::new();
    for _ in 0..KILLS {
        let (mut child, url) = start(folder.path());
        let confirmed = Arc::new(AtomicUsize::new(0));
        let some = Arc::new(Notify::new());
        let publishers: Vec<_> = (0..PUBLISHERS)
            .map(|_| publish(url.clone(), next.clone(), confirmed.clone(), some.clone()))
            .map(tokio::spawn)
            .collect();
        let enough = fastrand::usize(1..300);
        while confirmed.load(Ordering::Relaxed) < enough {
            some.notified().await;
        }
        child.kill().unwrap();
        child.wait().unwrap();
        for publisher in publishers {
            answered.extend(publisher.await.unwrap());
        }
    }

    let mut kept: HashSet<String> = HashSet::new();
    let mut journal = open(&config(folder.path())).await;
    for _ in 0..journal.monitor.depth().unsettled.messages {
        kept.insert(String::from_utf8(journal.done().await.payload.to_vec()).unwrap());
    }
    let buried = journal.monitor.dead_letters(Sequence::default(), usize::MAX).await.unwrap();
    kept.extend(buried.iter().map(|b| String::from_utf8(b.message.payload.to_vec()).unwrap()));
    journal.close().await;
    let done = fs::read_to_string(folder.path().join("done")).unwrap();
    kept.extend(done.lines().map(str::to_owned));
    let lost: Vec<_> =
        answered.iter().filter(|body| !body.ends_with("0}") && !kept.contains(*body)).collect();
    assert!(lost.is_empty(), "of {} answered, lost: {lost:?}", answered.len());
    assert!(answered.len() >= KILLS);
}
