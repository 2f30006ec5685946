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

/// How often the folder is looked at for new files.
const LOOK_EVERY: Duration = Duration::from_millis(50);

/// Messages are the files of `new`, in order of name; what failed for good is moved to `dead`, its reason beside it.
///
/// A publisher renames a finished file into `new`, with a name after all that came before.
struct Spool {
    new: PathBuf,
    dead: PathBuf,
}

impl Spool {
    /// A spool in this folder, with what is in it already.
    fn open(folder: &Path) -> io::Result<Self> {
        let spool = Self { new: folder.join("new"), dead: folder.join("dead") };
        fs::create_dir_all(&spool.new)?;
        fs::create_dir_all(&spool.dead)?;
        Ok(spool)
    }
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
    folder: PathBuf,
    left: VecDeque<PathBuf>,
    /// The last file that was ever in `left`: what comes after it is new.
    last: PathBuf,
    sequence: u64,
    lease: Lease,
    flowing: bool,
}

impl Files {
    fn of(spool: &Spool) -> Self {
        Self {
            stream: "spool".into(),
            folder: spool.new.clone(),
            left: VecDeque::new(),
            last: PathBuf::new(),
            sequence: 0,
            lease: Lease::new(),
            flowing: true,
        }
    }

    /// Adds the files that have come since.
    fn look(&mut self) -> io::Result<()> {
        let files = fs::read_dir(&self.folder)?.map(|entry| entry.map(|file| file.path()));
        let mut files = files.collect::<Result<Vec<_>, _>>()?;
        files.retain(|file| *file > self.last);
        files.sort();
        if let Some(last) = files.last() {
            self.last.clone_from(last);
        }
        self.left.extend(files);
        Ok(())
    }
}

impl Receiver for Files {
    type Message<'a> = Read;
    type Key = PathBuf;

    async fn next(&mut self) -> Result<(Read, PathBuf, Lease), Error> {
        if !self.flowing {
            return std::future::pending().await;
        }
        let path = loop {
            if let Some(path) = self.left.front() {
                break path.clone();
            }
            self.look().map_err(|error| {
                Error::client(format!("looking into {}", self.folder.display()), error)
            })?;
            if self.left.is_empty() {
                tokio::time::sleep(LOOK_EVERY).await;
            }
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
    reason.sync_all()?;
    // Their names, too.
    File::open(dead)?.sync_all()
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let folder = tempfile::tempdir()?;
    let spool = Spool::open(folder.path())?;
    for (name, body) in
        [("1.json", "good"), ("2.json", "unwanted"), ("3.json", "bad"), ("4.json", "good")]
    {
        fs::write(spool.new.join(name), body)?;
    }

    let dead = spool.dead.clone();
    let receiver = Files::of(&spool);
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

/// The suite that every broker passes: this is all that one from outside has to write for it.
#[cfg(test)]
mod tests {
    use std::{
        any::Any,
        sync::atomic::{AtomicU64, Ordering},
    };

    use brokers::conformance::{Harness, Record};
    use tempfile::TempDir;

    use super::*;

    struct Bench {
        folder: TempDir,
        published: AtomicU64,
    }

    impl Bench {
        fn spool(&self) -> Spool {
            Spool::open(self.folder.path()).expect("a folder")
        }
    }

    #[async_trait]
    impl Harness for Bench {
        type Receiver = Files;
        type Ledger = Spool;
        const LEASES_END: bool = false;
        const KEEPS_KEY_AND_HEADERS: bool = false;

        async fn fresh() -> Self {
            Self { folder: tempfile::tempdir().expect("a folder"), published: AtomicU64::new(0) }
        }

        async fn connect(&self) -> (Files, Arc<Spool>) {
            let spool = self.spool();
            (Files::of(&spool), Arc::new(spool))
        }

        async fn publish(&self, records: Vec<Record>) {
            for record in records {
                let name = format!("{:08}.json", self.published.fetch_add(1, Ordering::Relaxed));
                let unfinished = self.folder.path().join(&name);
                fs::write(&unfinished, &record.payload).expect("a file");
                fs::rename(unfinished, self.spool().new.join(name)).expect("a rename");
            }
        }

        async fn unsettled(&self) -> u64 {
            fs::read_dir(self.spool().new).expect("a folder").count() as u64
        }

        async fn dead_letters(&self) -> Vec<Record> {
            let files = fs::read_dir(self.spool().dead).expect("a folder");
            let paths = files.map(|file| file.expect("a file").path());
            let bodies = paths.filter(|path| path.extension().is_some_and(|end| end == "json"));
            bodies.map(|body| read_back(&body)).collect()
        }

        /// Their folder is moved away, or back.
        async fn set_dead_letters_down(&self, down: bool) {
            let dead = self.folder.path().join("dead");
            let away = self.folder.path().join("away");
            let (from, to) = if down { (dead, away) } else { (away, dead) };
            fs::rename(from, to).expect("a rename");
        }

        async fn revoke(&self) -> Box<dyn Any + Send> {
            unreachable!("a spool's lease is its process")
        }

        async fn lose(&self) -> Box<dyn Any + Send> {
            unreachable!("a spool's lease is its process")
        }
    }

    fn read_back(body: &Path) -> Record {
        let reason = fs::read_to_string(body.with_extension("reason")).expect("a reason");
        let headers = reason.lines().filter_map(|line| line.split_once(": "));
        Record {
            payload: fs::read(body).expect("a body").into(),
            key: None,
            headers: headers
                .map(|(name, value)| (name.to_owned(), value.to_owned().into()))
                .collect(),
        }
    }

    brokers::conformance!(Bench);
}
