//! A folder with a journal and a playbook that fails on every event, and the program in it.

use std::{
    process::{Output, Stdio},
    time::Duration,
};

use serde_json::{Value, json};
use tempfile::TempDir;
use testbed::Port;
use tokio::process::{Child, Command};

/// Fails for good on every event: a number is no text.
const WARY: &str = "\
apiVersion: stoop.dev/v1alpha1
kind: Playbook
metadata: {name: wary}
spec:
  match: {when: 'fields[\"proc.name\"] > 1'}
  actions: [notify: {to: [log]}]
";

pub(crate) struct Desk {
    folder: TempDir,
    pub(crate) intake: Port,
    pub(crate) health: Port,
    pub(crate) control: Port,
}

/// A running worker. Dropping it kills it.
pub(crate) struct Worker {
    child: Child,
}

/// What became of a command.
#[derive(Debug)]
pub(crate) struct Ran {
    pub(crate) code: i32,
    pub(crate) out: String,
    pub(crate) err: String,
}

impl Desk {
    /// With more keys of `control`.
    pub(crate) fn new(control: &str) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let [intake, health, ours] = [(); 3].map(|()| Port::reserve().unwrap());
        let desk = Self { folder, intake, health, control: ours };
        let config = format!(
            "playbooks: [wary.yaml]\nhealth: {{listen: \"{}\"}}\n\
             control: {{listen: \"{}\"{control}}}\n\
             subscriptions: {{intake: {{journal: {{path: data, listen: \"{}\"}}}}}}\n",
            desk.health.address(),
            desk.control.address(),
            desk.intake.address()
        );
        std::fs::write(desk.folder.path().join("stoop.yaml"), config).unwrap();
        std::fs::write(desk.folder.path().join("wary.yaml"), WARY).unwrap();
        desk
    }

    /// Writes a file that the configuration names.
    pub(crate) fn write(&self, name: &str, text: &str) {
        std::fs::write(self.folder.path().join(name), text).unwrap();
    }

    fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_stoop"));
        command.args(arguments).current_dir(self.folder.path());
        command.env_clear().env("HOME", self.folder.path()).stdin(Stdio::null());
        command.stdout(Stdio::piped()).stderr(Stdio::piped()).kill_on_drop(true);
        command
    }

    pub(crate) async fn call(&self, arguments: &[&str]) -> Ran {
        self.call_with(arguments, &[]).await
    }

    /// With variables in the environment.
    pub(crate) async fn call_with(&self, arguments: &[&str], variables: &[(&str, &str)]) -> Ran {
        let mut command = self.command(arguments);
        command.envs(variables.iter().copied());
        let Output { status, stdout, stderr } = command.output().await.unwrap();
        let text = |bytes| String::from_utf8(bytes).unwrap();
        Ran { code: status.code().unwrap_or(-1), out: text(stdout), err: text(stderr) }
    }

    /// As [`Self::call`], and it has to succeed.
    pub(crate) async fn must(&self, arguments: &[&str]) -> String {
        let ran = self.call(arguments).await;
        assert_eq!(ran.code, 0, "stoop {arguments:?}: {ran:?}");
        ran.out
    }

    /// Starts a worker, and waits until it is ready.
    pub(crate) async fn work(&self) -> Worker {
        self.work_with(&[]).await
    }

    /// With variables in its environment.
    pub(crate) async fn work_with(&self, variables: &[(&str, &str)]) -> Worker {
        let mut command = self.command(&["run"]);
        command.envs(variables.iter().copied());
        command.stdout(Stdio::null()).stderr(Stdio::null());
        let worker = Worker { child: command.spawn().unwrap() };
        let ready = format!("http://{}/readyz", self.health.address());
        until("the worker is ready", async || {
            client().get(&ready).send().await.is_ok_and(|answer| answer.status() == 200)
        })
        .await;
        worker
    }

    /// Posts an event.
    pub(crate) async fn post(&self, rule: &str) {
        let url = format!("http://{}/", self.intake.address());
        let event = json!({
            "rule": rule, "priority": "Notice", "time": "2026-11-20T12:00:00Z", "source": "syscall",
            "output": "\u{1b}[31m", "output_fields": {"proc.name": "sh"},
        });
        let answer = client().post(url).body(event.to_string()).send().await.unwrap();
        assert_eq!(answer.status(), 200);
    }

    /// The dead letters, as `stoop dlq list --output json` says.
    pub(crate) async fn letters(&self) -> Vec<Value> {
        let listed = self.must(&["dlq", "list", "--output", "json"]).await;
        listed.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
    }

    /// Waits until there are so many.
    pub(crate) async fn has_letters(&self, count: usize) -> Vec<Value> {
        until(&format!("{count} dead letters"), async || self.letters().await.len() == count).await;
        self.letters().await
    }
}

impl Worker {
    /// SIGTERM, and waits for its end.
    pub(crate) async fn leave(mut self) {
        let pid = self.child.id().unwrap().to_string();
        assert!(Command::new("kill").args(["-TERM", &pid]).status().await.unwrap().success());
        assert!(self.child.wait().await.unwrap().success());
    }
}

pub(crate) fn client() -> reqwest::Client {
    drop(rustls::crypto::ring::default_provider().install_default());
    reqwest::Client::builder().no_proxy().build().unwrap()
}

pub(crate) async fn until(what: &str, mut holds: impl AsyncFnMut() -> bool) {
    let waiting = async {
        while !holds().await {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    assert!(
        tokio::time::timeout(Duration::from_secs(60), waiting).await.is_ok(),
        "in vain: {what}"
    );
}
