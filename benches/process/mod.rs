//! A `stoop run` of its own, and what its metrics and the system say of it.

pub mod usage;

use std::{
    process::Stdio,
    time::{Duration, Instant},
};

use serde_json::{Value, json};
use tempfile::TempDir;
use testbed::Port;
use tokio::process::{Child, Command};

/// A cluster that nobody asks for anything; playbooks want one to be configured.
const NOWHERE: &str = "\
apiVersion: v1
kind: Config
clusters: [{name: nowhere, cluster: {server: \"http://127.0.0.1:9\"}}]
users: [{name: nobody, user: {}}]
contexts: [{name: nowhere, context: {cluster: nowhere, user: nobody}}]
current-context: nowhere
";
/// Between two looks.
const LOOK: Duration = Duration::from_millis(50);
/// The longest that a worker takes to be ready: its group waits for its members first.
const START: Duration = Duration::from_secs(60);

/// It ends when it is dropped.
pub struct Process {
    child: Child,
    port: Port,
    _folder: TempDir,
}

impl Process {
    /// A worker of one subscription, not yet ready. `more` are further sections of its configuration; without a kubeconfig it
    /// has a cluster that isn't there.
    pub fn start(
        subscription: &Value,
        playbooks: &str,
        kubeconfig: Option<&str>,
        more: Value,
    ) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let port = Port::reserve().unwrap();
        let mut config = json!({
            "playbooks": ["playbooks.yaml"],
            "health": {"listen": port.address()},
            "control": {"listen": "127.0.0.1:0"},
            "subscriptions": {"bench": subscription},
        });
        config.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        let write = |name: &str, text: &str| std::fs::write(folder.path().join(name), text);
        write("playbooks.yaml", playbooks).unwrap();
        write("stoop.yaml", &config.to_string()).unwrap();
        write("kubeconfig", kubeconfig.unwrap_or(NOWHERE)).unwrap();
        let child = Command::new(env!("CARGO_BIN_EXE_stoop"))
            .arg("run")
            .current_dir(folder.path())
            // A testbed in the shell would add a subscription of its own.
            .env_remove("STOOP_SUBSCRIPTIONS__FALCO__KAFKA__BROKERS")
            .env("KUBECONFIG", folder.path().join("kubeconfig"))
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .kill_on_drop(true)
            .spawn()
            .unwrap();
        Self { child, port, _folder: folder }
    }

    /// Waits until it takes events.
    pub async fn ready(&mut self) {
        let since = Instant::now();
        let url = format!("http://{}/readyz", self.port.address());
        while !reqwest::get(&url).await.is_ok_and(|answer| answer.status().is_success()) {
            self.lives();
            assert!(since.elapsed() < START, "a worker isn't ready");
            tokio::time::sleep(LOOK).await;
        }
    }

    /// How many events it is done with, as its metrics say; none before it listens.
    pub async fn done(&mut self) -> usize {
        self.lives();
        let url = format!("http://{}/metrics", self.port.address());
        let Ok(answer) = reqwest::get(url).await else { return 0 };
        let metrics = answer.text().await.unwrap();
        let of = ["stoop_messages_total{fate=\"skipped\"", "stoop_settled_total{how=\"acked\""];
        let lines = metrics.lines().filter(|line| of.iter().any(|start| line.starts_with(start)));
        lines.filter_map(|line| line.rsplit(' ').next()?.parse::<usize>().ok()).sum()
    }

    /// As the system calls it.
    pub fn id(&self) -> u32 {
        self.child.id().unwrap()
    }

    fn lives(&mut self) {
        assert!(self.child.try_wait().unwrap().is_none(), "a worker ended");
    }
}

/// The most that a worker had resident until it was done with so many messages of a subscription, in MiB.
pub async fn peak(subscription: &Value, messages: usize, playbooks: &str, more: Value) -> f64 {
    let mut worker = Process::start(subscription, playbooks, None, more);
    while worker.done().await < messages {
        tokio::time::sleep(LOOK).await;
    }
    usage::high_water(worker.id())
}
