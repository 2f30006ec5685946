//! A worker on a journal, the real program, against the in-memory Kubernetes API; and events for it.

use std::{collections::BTreeMap, process::Stdio, time::Duration};

use playbooks::{
    act::{Api, Scene},
    decide::Priority,
};
use reqwest::{Method, RequestBuilder};
use serde_json::{Value, json};
use stoop::demo::kubernetes::Server;
use tempfile::TempDir;
use testbed::Port;
use tokio::process::{Child, Command};

const PLAYBOOKS: &str = "\
apiVersion: stoop.dev/v1alpha1
kind: Playbook
metadata: {name: shell-in-container}
spec:
  mode: enforce
  match: {rules: [Terminal shell in container]}
  actions: [label: {key: quarantine, value: 'yes'}, notify: {to: [log]}]
---
apiVersion: stoop.dev/v1alpha1
kind: Playbook
metadata: {name: asks-first}
spec:
  mode: enforce
  approval: required
  match: {rules: [Detect crypto miners*]}
  actions: [delete: {gracePeriod: 1s, owners: [ReplicaSet, Standalone]}]
---
apiVersion: stoop.dev/v1alpha1
kind: Playbook
metadata: {name: watches}
spec:
  match: {rules: [Contact K8s API Server From Container, Terminal shell in container]}
  actions: [isolate: {expireAfter: 1h, accept: [Unproven]}]
---
apiVersion: stoop.dev/v1alpha1
kind: Playbook
metadata: {name: wary}
spec:
  match: {rules: [Strange*], when: 'fields[\"proc.name\"] > 1'}
  actions: [notify: {to: [log]}]
";

pub(crate) const SHELL: &str = "Terminal shell in container";
pub(crate) const MINER: &str = "Detect crypto miners using the Stratum protocol";

pub(crate) struct Stage {
    folder: TempDir,
    pub(crate) cluster: Server,
    pub(crate) control: Port,
    intake: Port,
    health: Port,
    worker: Option<Child>,
}

impl Stage {
    /// A worker with these keys of `control`, which runs.
    pub(crate) async fn set(control: Value) -> Stage {
        drop(rustls::crypto::ring::default_provider().install_default());
        let cluster = Server::start().await.unwrap();
        cluster.keep_responses("stoop").unwrap();
        let node = json!({"apiVersion": "v1", "kind": "Node", "metadata": {"name": "node-a"}});
        cluster.create(node).unwrap();
        for name in ["shop", "kube-system"] {
            let namespace =
                json!({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name}});
            cluster.create(namespace).unwrap();
        }
        let folder = tempfile::tempdir().unwrap();
        let mut stage = Stage {
            folder,
            cluster,
            control: Port::reserve().unwrap(),
            intake: Port::reserve().unwrap(),
            health: Port::reserve().unwrap(),
            worker: None,
        };
        stage.write(control);
        stage.start().await;
        stage
    }

    fn write(&self, more: Value) {
        let folder = self.folder.path();
        let mut control = json!({"listen": self.control.address()});
        let keys = more.as_object().unwrap().clone();
        keys.into_iter().for_each(|(key, value)| control[key] = value);
        let journal = json!({"path": folder.join("journal"), "listen": self.intake.address()});
        let config = json!({
            "cluster": {"name": "prod-1"},
            "playbooks": ["playbooks.yaml"],
            "subscriptions": {"intake": {"journal": journal}},
            "health": {"listen": self.health.address()},
            "control": control,
        });
        std::fs::write(folder.join("stoop.yaml"), config.to_string()).unwrap();
        std::fs::write(folder.join("playbooks.yaml"), PLAYBOOKS).unwrap();
        std::fs::write(folder.join("kubeconfig"), self.cluster.kubeconfig()).unwrap();
    }

    /// Starts the worker, and waits until it is ready.
    pub(crate) async fn start(&mut self) {
        let mut command = Command::new(env!("CARGO_BIN_EXE_stoop"));
        command.arg("run").current_dir(self.folder.path());
        command.env_clear().env("HOME", self.folder.path()).env("HOSTNAME", "stoop-7c9f-x2x4q");
        command.env("KUBECONFIG", self.folder.path().join("kubeconfig"));
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
        self.worker = Some(command.kill_on_drop(true).spawn().unwrap());
        let ready = format!("http://{}/readyz", self.health.address());
        until("the worker is ready", async || {
            client().get(&ready).send().await.is_ok_and(|answer| answer.status() == 200)
        })
        .await;
    }

    /// SIGKILL.
    pub(crate) async fn kill(&mut self) {
        self.worker.take().unwrap().kill().await.unwrap();
    }

    /// SIGTERM, and waits for its end.
    pub(crate) async fn leave(&mut self) {
        let mut worker = self.worker.take().unwrap();
        let pid = worker.id().unwrap().to_string();
        assert!(Command::new("kill").args(["-TERM", &pid]).status().await.unwrap().success());
        assert!(worker.wait().await.unwrap().success());
    }

    /// A pod that runs.
    pub(crate) fn pod(&self, name: &str) {
        let pod = json!({
            "apiVersion": "v1", "kind": "Pod",
            "metadata": {"namespace": "shop", "name": name, "labels": {"app": "web"}},
            "spec": {"containers": [{"name": "web", "image": "registry.example/web:1.0"}]},
        });
        self.cluster.create(pod).unwrap();
    }

    /// What Falco would say now of that pod.
    pub(crate) async fn event(&self, rule: &str, pod: &str, priority: Priority) -> Value {
        let api = Api::from_config(self.cluster.config(), Duration::from_secs(10)).unwrap();
        let (rule, fields) = (rule.to_owned(), BTreeMap::new());
        let scene = Scene { rule, priority, container: None, fields };
        api.testify("shop", pod, &scene).await.unwrap()
    }

    /// The same, seen by the worker.
    pub(crate) async fn happen(&self, rule: &str, pod: &str, priority: Priority) -> Value {
        let event = self.event(rule, pod, priority).await;
        self.post(&event).await;
        event
    }

    pub(crate) async fn post(&self, event: &Value) {
        let url = format!("http://{}/", self.intake.address());
        let answer = client().post(url).body(event.to_string()).send().await.unwrap();
        assert_eq!(answer.status(), 200);
    }

    /// A question to the control port, with what every one needs.
    pub(crate) fn ask(&self, method: Method, path: &str) -> RequestBuilder {
        self.bare(method, path).header("stoop-control", "1")
    }

    /// The same without.
    pub(crate) fn bare(&self, method: Method, path: &str) -> RequestBuilder {
        client().request(method, format!("http://{}{path}", self.control.address()))
    }

    /// What the control port says there.
    pub(crate) async fn get(&self, path: &str) -> Value {
        let answer = self.ask(Method::GET, path).send().await.unwrap();
        assert_eq!(answer.status(), 200, "{path}");
        answer.json().await.unwrap()
    }

    /// Waits until there is a response of this playbook in this phase, and gives it.
    pub(crate) async fn response(&self, playbook: &str, phase: &str) -> Value {
        let mut found = Value::Null;
        until(&format!("{playbook} is {phase}"), async || {
            let all = self.get("/v1/responses").await;
            let mut items = all["items"].as_array().unwrap().iter();
            let is_it = |it: &&Value| it["playbook"] == playbook && it["phase"] == phase;
            found = items.find(is_it).cloned().unwrap_or_default();
            !found.is_null()
        })
        .await;
        found
    }
}

pub(crate) fn client() -> reqwest::Client {
    reqwest::Client::builder().no_proxy().build().unwrap()
}

pub(crate) async fn until(what: &str, mut holds: impl AsyncFnMut() -> bool) {
    let waiting = async {
        while !holds().await {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    let waited = tokio::time::timeout(Duration::from_secs(60), waiting).await;
    assert!(waited.is_ok(), "in vain: {what}");
}
