//! Several `stoop run` processes on one group.

use std::{
    process::Stdio,
    time::{Duration, Instant},
};

use futures::future::join_all;
use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::process::{Child, Command};

/// A cluster that nobody asks for anything.
const NOWHERE: &str = "\
apiVersion: v1
kind: Config
clusters: [{name: nowhere, cluster: {server: \"http://127.0.0.1:9\"}}]
users: [{name: nobody, user: {}}]
contexts: [{name: nowhere, context: {cluster: nowhere, user: nobody}}]
current-context: nowhere
";

/// Its processes end when it is dropped.
pub struct Fleet {
    workers: Vec<Worker>,
    _folder: TempDir,
}

struct Worker {
    process: Child,
    port: u16,
}

/// What it took the fleet to be done.
pub struct Took {
    /// Processor time of all workers together, their start included.
    pub processors: Duration,
    /// From the first event that was done to the last.
    pub wall: Duration,
    /// Events done, those that were done twice counted twice.
    pub answered: usize,
}

impl Fleet {
    /// So many workers of one subscription, each ready.
    pub async fn start(
        size: usize,
        subscription: &Value,
        playbooks: &str,
        kubeconfig: Option<&str>,
    ) -> Fleet {
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join("playbooks.yaml"), playbooks).unwrap();
        std::fs::write(folder.path().join("kubeconfig"), kubeconfig.unwrap_or(NOWHERE)).unwrap();
        let start = |number: usize| {
            let port = free_port();
            let config = json!({
                "playbooks": ["playbooks.yaml"],
                "health": {"listen": format!("127.0.0.1:{port}")},
                "control": {"listen": "127.0.0.1:0"},
                "subscriptions": {"scale": subscription},
            });
            let file = format!("{number}.yaml");
            std::fs::write(folder.path().join(&file), config.to_string()).unwrap();
            let process = Command::new(env!("CARGO_BIN_EXE_stoop"))
                .args(["run", "--config", &file])
                .current_dir(folder.path())
                // A testbed in the shell would add a subscription of its own.
                .env_remove("STOOP_SUBSCRIPTIONS__FALCO__KAFKA__BROKERS")
                .env("KUBECONFIG", folder.path().join("kubeconfig"))
                .stdout(Stdio::null())
                .stderr(Stdio::null())
                .kill_on_drop(true)
                .spawn()
                .unwrap();
            Worker { process, port }
        };
        let mut workers: Vec<Worker> = (0..size).map(start).collect();
        join_all(workers.iter_mut().map(Worker::ready)).await;
        Fleet { workers, _folder: folder }
    }

    pub fn size(&self) -> usize {
        self.workers.len()
    }

    /// Waits until so many events are done.
    pub async fn done(&self, events: usize) -> Took {
        let mut first = None;
        loop {
            let answered = join_all(self.workers.iter().map(Worker::answered)).await.iter().sum();
            if answered > 0 {
                first.get_or_insert_with(Instant::now);
            }
            if answered >= events {
                let processors = self.workers.iter().map(Worker::processors).sum();
                let wall = first.map_or(Duration::ZERO, |first: Instant| first.elapsed());
                return Took { processors, wall, answered };
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    }
}

impl Worker {
    async fn ready(&mut self) {
        let url = format!("http://127.0.0.1:{}/readyz", self.port);
        while !reqwest::get(&url).await.is_ok_and(|answer| answer.status().is_success()) {
            assert!(self.process.try_wait().unwrap().is_none(), "a worker can't start");
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    }

    /// How many events it is done with.
    async fn answered(&self) -> usize {
        let url = format!("http://127.0.0.1:{}/metrics", self.port);
        let metrics = reqwest::get(&url).await.unwrap().text().await.unwrap();
        let of = ["stoop_messages_total{fate=\"skipped\"", "stoop_settled_total{how=\"acked\""];
        let lines = metrics.lines().filter(|line| of.iter().any(|start| line.starts_with(start)));
        lines.filter_map(|line| line.rsplit(' ').next()?.parse::<usize>().ok()).sum()
    }

    /// The processor time that it has had so far, in both modes.
    fn processors(&self) -> Duration {
        let path = format!("/proc/{}/stat", self.process.id().unwrap());
        let stat = std::fs::read_to_string(path).unwrap();
        // The program's name, in brackets, may hold blanks; utime and stime are fields 14 and 15, in ticks of 10 ms.
        let fields: Vec<&str> = stat.rsplit(") ").next().unwrap().split(' ').collect();
        let ticks: u64 = fields[11].parse::<u64>().unwrap() + fields[12].parse::<u64>().unwrap();
        Duration::from_millis(ticks * 10)
    }
}

/// One that nobody listens on at this moment.
fn free_port() -> u16 {
    std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port()
}
