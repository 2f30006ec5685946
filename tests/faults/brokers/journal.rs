//! The embedded journal: it lives in its one worker, and is published to over HTTP.

use std::{
    cell::Cell,
    path::Path,
    time::{Duration, Instant},
};

use async_trait::async_trait;
use futures::{StreamExt as _, stream};
use tempfile::TempDir;
use testbed::{Port, proxy::Proxy};

use super::{Broker, Disk, Kind, Message, Wanted};
use crate::{
    id::Id,
    logs::{Letters, Observation, Partition, Settled},
    worker::Worker,
};

/// What a publisher waits for the answer: after that it doesn't know.
pub const ANSWER: Duration = Duration::from_secs(5);
const PUBLISHERS: usize = 16;
/// Dead letters that it takes until it is mended.
const FEW: usize = 32;
const MANY: usize = 100_000;

pub struct Journal {
    folder: TempDir,
    disk: Option<Disk>,
    intake: Port,
    proxy: Proxy,
    client: reqwest::Client,
    capacity: Cell<usize>,
    confirmed: Cell<usize>,
}

impl Journal {
    pub async fn new(wanted: Wanted) -> Self {
        let intake = Port::reserve().unwrap();
        let proxy = Proxy::to(intake.address().into()).await.unwrap();
        Self {
            folder: tempfile::tempdir().unwrap(),
            disk: wanted.small_disk.then(Disk::mount),
            intake,
            proxy,
            client: reqwest::Client::builder().timeout(ANSWER).build().unwrap(),
            capacity: Cell::new(if wanted.dead_letters { MANY } else { FEW }),
            confirmed: Cell::new(0),
        }
    }

    fn path(&self) -> &Path {
        self.disk.as_ref().map_or(self.folder.path(), Disk::path)
    }

    async fn post(&self, message: Message) -> Option<Id> {
        let url = format!("http://{}/", self.proxy.address());
        let answer = self.client.post(url).body(message.body).send().await.ok()?;
        answer.status().is_success().then(|| {
            self.confirmed.set(self.confirmed.get() + 1);
            message.id
        })
    }
}

#[async_trait(?Send)]
impl Broker for Journal {
    fn kind(&self) -> Kind {
        Kind::Journal
    }

    fn subscriptions(&self, _: bool, slots: usize) -> String {
        let (path, listen) = (self.path().display(), self.intake.address());
        let capacity = self.capacity.get();
        format!(
            "subscriptions: {{intake: {{concurrency: {slots}, journal: {{path: \"{path}\", listen: \"{listen}\", capacity: {{messages: {capacity}}}, bodyLimit: 2MiB}}}}}}\n"
        )
    }

    fn most_workers(&self) -> usize {
        1
    }

    fn lease(&self) -> Option<Duration> {
        None
    }

    fn proxy(&self) -> &Proxy {
        &self.proxy
    }

    async fn publish(&self, messages: Vec<Message>) -> Vec<Id> {
        let posted = stream::iter(messages).map(|message| self.post(message));
        posted.buffer_unordered(PUBLISHERS).filter_map(async |id| id).collect().await
    }

    /// What was confirmed before the worker was asked, and isn't among what it has left, is settled.
    async fn observe(&self, workers: &[Worker]) -> Option<Observation> {
        let confirmed = self.confirmed.get();
        let (_, text) = workers.first()?.get("/metrics").await.ok()?;
        let at = Instant::now();
        let gauge = |name: &str| {
            let line = text.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix('{'))?;
            line.rsplit(' ').next()?.parse::<usize>().ok()
        };
        let (lag, dead) = (gauge("stoop_lag")?, gauge("stoop_journal_dead_letters")?);
        let settled = confirmed.saturating_sub(lag);
        let partition = Partition { settled: settled as u64, end: (settled + lag) as u64 };
        Some(Observation {
            at,
            settled: Settled::Count(settled),
            letters: Letters::Count(dead),
            partitions: vec![partition],
        })
    }

    async fn letters(&self) -> Result<Vec<Id>, String> {
        use brokers::journal::{Config, Journal, Sequence};
        let config = Config {
            path: self.path().to_owned(),
            listen: "127.0.0.1:0".parse().unwrap(),
            ..Config::default()
        };
        let journal = Journal::open(&config, |_: &[u8]| Ok(())).await;
        let journal = journal.map_err(|error| error.to_string())?;
        let buried = journal.monitor.dead_letters(Sequence::default(), MANY).await;
        let buried = buried.map_err(|error| error.to_string())?;
        let id = |payload: &[u8]| Id::of(payload).expect("a dead letter of this round");
        Ok(buried.iter().map(|buried| id(&buried.message.payload)).collect())
    }

    async fn mend_dead_letters(&self) {
        self.capacity.set(MANY);
    }

    fn disk(&self) -> Option<&Disk> {
        self.disk.as_ref()
    }
}
