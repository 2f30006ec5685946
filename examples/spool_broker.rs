//! A broker from outside: a folder of files, one message each, behind the same contract as Kafka.
//!
//! `cargo run --example spool_broker` fills a temporary folder, drains it through the pump, and shows what was acknowledged
//! and what went to the dead letters. No crate of stoop was changed for it: a broker is a `Receiver` and a `Ledger`.

use std::{
    collections::VecDeque,
    fs::{self, File},
    io::{self, Write},
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};

use async_trait::async_trait;
use brokers::{
    AckStrength, Attempt, Attempts, Borrowed, Capabilities, DeadLetter, DeadLetterError, Demand,
    Error, Lease, Ledger, Message, MessageId, Pool, Receiver, Settled,
    pump::{self, Intake, Passed},
};
use bytes::Bytes;
use jiff::Timestamp;
use tokio::{sync::watch, time::Instant};
use tokio_util::sync::CancellationToken;

/// Messages are the files of `new`; what failed for good is moved to `dead`, its reason beside it.
struct Spool {
    new: PathBuf,
    dead: PathBuf,
}

/// A file read into memory: this broker has no buffer to lend from.
struct Read {
    id: MessageId,
    payload: Vec<u8>,
}

impl Borrowed for Read {
    fn payload(&self) -> &[u8] {
        &self.payload
    }

    fn detach(self) -> Message {
        Message {
            id: self.id,
            payload: Bytes::from(self.payload),
            key: None,
            headers: Vec::new(),
            published: None,
            attempt: Attempt::Unknown,
        }
    }
}

struct Files {
    stream: Arc<str>,
    left: VecDeque<PathBuf>,
    sequence: u64,
    lease: Lease,
    flowing: bool,
}

impl Files {
    fn of(spool: &Spool) -> io::Result<Self> {
        let mut left: Vec<_> = fs::read_dir(&spool.new)?
            .map(|entry| entry.map(|e| e.path()))
            .collect::<Result<_, _>>()?;
        left.sort();
        Ok(Self {
            stream: "spool".into(),
            left: left.into(),
            sequence: 0,
            lease: Lease::new(),
            flowing: true,
        })
    }
}

impl Receiver for Files {
    type Message<'a> = Read;
    type Key = PathBuf;

    async fn next(&mut self) -> Result<(Read, PathBuf, Lease), Error> {
        let path = match self.left.front() {
            Some(path) if self.flowing => path.clone(),
            _ => std::future::pending().await,
        };
        let payload = tokio::fs::read(&path)
            .await
            .map_err(|error| Error::client(format!("reading {}", path.display()), error))?;
        // Taken out only after the last await: a call that is given up loses nothing.
        self.left.pop_front();
        self.sequence += 1;
        let id = MessageId::in_stream(self.stream.clone(), self.sequence);
        Ok((Read { id, payload }, path, self.lease.clone()))
    }

    fn demand(&mut self, demand: Demand) {
        self.flowing = demand == Demand::Flow;
    }
}

#[async_trait]
impl Ledger<PathBuf> for Spool {
    fn capabilities(&self) -> Capabilities {
        Capabilities {
            ack: AckStrength::Accepted,
            attempts: Attempts::Unknown,
            dead_letters: true,
            longest_lease: None,
        }
    }

    fn skip(&self, path: PathBuf) {
        // A file that stays is delivered again, which costs work and loses nothing.
        let _ = fs::remove_file(path);
    }

    async fn ack(&self, path: &PathBuf) -> Settled {
        match fs::remove_file(path) {
            Ok(()) => Settled::Accepted,
            Err(error) => Settled::Unknown(error.to_string()),
        }
    }

    async fn dead_letter(
        &self,
        path: &PathBuf,
        message: &Message,
        letter: &DeadLetter,
    ) -> Result<Settled, DeadLetterError> {
        bury(&self.dead, path, message, letter)
            .map_err(|error| DeadLetterError::Unavailable(error.into()))?;
        Ok(self.ack(path).await)
    }

    fn release(&self, _: PathBuf) {
        // Unsettled is where it lies: in `new`.
    }

    async fn close(&self, _: Instant) -> Result<(), Error> {
        Ok(())
    }
}

/// Durable before the message is settled: the body and the reason, both synced.
fn bury(dead: &Path, path: &Path, message: &Message, letter: &DeadLetter) -> io::Result<()> {
    let name = path.file_name().unwrap_or(path.as_os_str());
    let mut body = File::create(dead.join(name))?;
    body.write_all(&message.payload)?;
    body.sync_all()?;
    let mut reason = File::create(dead.join(name).with_extension("reason"))?;
    for (name, value) in letter.headers(message) {
        writeln!(reason, "{name}: {}", String::from_utf8_lossy(&value))?;
    }
    reason.sync_all()
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let folder = tempfile::tempdir()?;
    let spool = Spool { new: folder.path().join("new"), dead: folder.path().join("dead") };
    fs::create_dir(&spool.new)?;
    fs::create_dir(&spool.dead)?;
    for (name, body) in
        [("1.json", "good"), ("2.json", "unwanted"), ("3.json", "bad"), ("4.json", "good")]
    {
        fs::write(spool.new.join(name), body)?;
    }

    let dead = spool.dead.clone();
    let receiver = Files::of(&spool)?;
    let stop = CancellationToken::new();
    let (_hold, hold) = watch::channel(false);
    let passed = Arc::new(Passed::default());
    let intake = Intake {
        pool: Pool::new(2, 1 << 20),
        hold,
        passed: passed.clone(),
        stop: stop.clone(),
        drain: Duration::from_secs(5),
    };
    let (settled, mut settlements) = tokio::sync::mpsc::unbounded_channel();
    let pumping = pump::run(
        receiver,
        Arc::new(spool),
        intake,
        |payload: &[u8]| payload != b"unwanted",
        move |delivery| {
            let settled = settled.clone();
            tokio::spawn(async move {
                let id = delivery.message().id.clone();
                let what = if delivery.message().payload.as_ref() == b"good" {
                    format!("acknowledged {:?}", delivery.ack().await)
                } else {
                    let now = Timestamp::now();
                    let letter = DeadLetter {
                        reason: "malformed".into(),
                        error: "not good".into(),
                        attempts: 1,
                        first_failed: now,
                        last_failed: now,
                        failed: Vec::new(),
                        worker: "example".into(),
                    };
                    match delivery.dead_letter(&letter).await {
                        Ok(_) => "dead-lettered".to_owned(),
                        Err((_, error)) => format!("kept: {error}"),
                    }
                };
                // The receiving end outlives every task.
                let _ = settled.send(format!("{id}: {what}"));
            });
        },
    );
    let watching = async {
        for _ in 0..3 {
            if let Some(line) = settlements.recv().await {
                println!("{line}");
            }
        }
        stop.cancel();
    };
    tokio::join!(pumping, watching).0?;
    println!("skipped {}", passed.skipped.load(std::sync::atomic::Ordering::Relaxed));
    println!("\ndead letter 3.json:\n{}", fs::read_to_string(dead.join("3.reason"))?);
    Ok(())
}
