//! The examples as they stand, with what a user fills in, and a worker under the role that is printed for them.

use std::path::{Path, PathBuf};

use serde_json::Value;
use testbed::{cluster::Access, pubsub::Tokens};

use super::{
    cluster::{self, apply, create_account},
    sinks::Sinks,
    stream::Stream,
};
use crate::worker::{Desk, PATIENCE, Worker};

macro_rules! examples {
    ($($name:literal),+ $(,)?) => {
        [$(($name, include_str!(concat!("../../../examples/playbooks/", $name)))),+]
    };
}

pub const EXAMPLES: [(&str, &str); 6] = examples![
    "stoop.yaml",
    "cryptominer.yaml",
    "delete-by-priority.yaml",
    "exec-audit.yaml",
    "shell-in-a-container.yaml",
    "unexpected-connection.yaml",
];

/// What another issuer, such as a cluster, says of the workload.
const SUBJECT: &str = "issued-by-the-cluster";

pub struct Setting<S> {
    pub cluster: &'static Access,
    /// stoop's own namespace.
    home: String,
    pub stream: S,
    pub sinks: Sinks,
    pub desk: Desk,
    /// Google's, where workloads show who they are.
    tokens: Tokens,
}

impl<S: Stream> Setting<S> {
    /// The examples of the folder; `enforced` is the file of the one that is to act, the others watch.
    pub async fn new(enforced: Option<&str>, stream: S) -> Self {
        Self::with(enforced, stream, &[]).await
    }

    /// The same, with more that a user fills in.
    pub async fn with(enforced: Option<&str>, stream: S, more: &[(&'static str, &str)]) -> Self {
        let (cluster, sinks) = (cluster::shared().await, Sinks::start().await);
        let home = cluster.create_namespace("stoop").await.unwrap();
        let tokens = Tokens::start(SUBJECT).await.unwrap();
        let mut desk = Desk::empty(cluster.kubeconfig());
        for (name, text) in EXAMPLES {
            match enforced == Some(name) {
                true => {
                    assert!(text.contains("\n  mode: observe"), "{name} is to watch at first");
                    desk.file(name, &text.replace("\n  mode: observe", "\n  mode: enforce"));
                }
                false => desk.file(name, text),
            }
        }
        let subject = desk.path().join("subject");
        desk.file("subject", SUBJECT);
        desk.file("google.json", &tokens.external_account(subject.to_str().unwrap()).to_string());
        std::fs::create_dir(desk.path().join("evidence")).unwrap();
        let evidence = format!("file://{}", desk.path().join("evidence").display());
        let filled_in = [
            ("STOOP_NAMESPACE", home.as_str()),
            ("SLACK_WEBHOOK", &sinks.slack_url()),
            ("STOOP_NOTIFIERS__FINDINGS__SECURITY_COMMAND_CENTER__ENDPOINT", sinks.address()),
            (
                "STOOP_NOTIFIERS__FINDINGS__SECURITY_COMMAND_CENTER__CREDENTIALS",
                "{file: google.json}",
            ),
            ("STOOP_EVIDENCE__URL", &evidence),
        ];
        for (name, value) in filled_in.iter().chain(more) {
            desk = desk.with(name, value);
        }
        for (name, value) in stream.settings() {
            desk = desk.with(name, &value);
        }
        let mut setting = Self { cluster, home, stream, sinks, desk, tokens };
        setting.desk.must(&["setup"]).await;
        setting.take_the_printed_role().await;
        setting
    }

    /// From now on nothing is done but what the examples' own role allows.
    async fn take_the_printed_role(&mut self) {
        let (cluster, home) = (self.cluster, &self.home);
        create_account(cluster, home, "stoop").await;
        let account = format!("{home}/stoop");
        let roles = self.desk.must(&["rbac", "--service-account", &account, "--name", home]).await;
        apply(cluster, &roles).await;
        self.desk.act_as(cluster.kubeconfig_of(home, "stoop").await.unwrap());
        // The authorizer hears of a new role a moment later.
        let granted = testbed::until("the role is enough", PATIENCE, async || {
            match self.desk.call(&["check", "--cluster"]).await {
                (0, ..) => Ok(()),
                (_, out, err) => Err(format!("{out}{err}")),
            }
        });
        granted.await.unwrap();
    }

    /// Waits until the worker has settled so many messages, and the broker knows it.
    pub async fn settled(&self, worker: &Worker, count: usize) {
        worker
            .wait("all events are settled", async || {
                let settled = worker.metric("stoop_settled_total", &[]).await
                    + worker.metric("stoop_messages_total", &["skipped"]).await;
                match settled >= count as f64 {
                    true => Ok(()),
                    false => Err(format!("{settled} of {count}")),
                }
            })
            .await;
    }

    /// Ends the worker, and looks whether the broker has anything left.
    pub async fn leaves_nothing(&self, worker: Worker) {
        assert_eq!(worker.terminate().await, 0);
        assert_eq!(self.stream.unsettled().await, 0, "it is delivered again");
    }

    /// How many tokens Google has given out.
    pub fn tokens_given(&self) -> u64 {
        self.tokens.given()
    }

    /// What captures have kept: the folder of each, and the names of its files.
    pub fn captures(&self) -> Vec<(String, Vec<String>)> {
        let root = self.desk.path().join("evidence");
        let captures = entries(&root).into_iter().flat_map(|day| entries(&day));
        captures
            .map(|capture| {
                let tries = entries(&capture).into_iter().filter(|path| path.is_dir());
                let files = tries.flat_map(|of| entries(&of));
                let name = capture.strip_prefix(&root).unwrap().display().to_string();
                let file = |path: PathBuf| path.file_name().unwrap().display().to_string();
                (name, files.map(file).collect())
            })
            .collect()
    }
}

fn entries(folder: &Path) -> Vec<PathBuf> {
    std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect()
}

/// The audit lines of one playbook.
pub fn lines_of(worker: &Worker, playbook: &str) -> Vec<Value> {
    worker.audit().into_iter().filter(|line| line["playbook"] == playbook).collect()
}

/// Each step's action, and what became of it.
pub fn steps(line: &Value) -> Vec<(String, String)> {
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    let steps = line["steps"].as_array().into_iter().flatten();
    steps.map(|step| (text(&step["action"]), text(&step["outcome"]))).collect()
}
