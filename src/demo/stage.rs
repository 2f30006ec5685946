//! What the story is played on: a cluster with pods, somebody to be told, a worker and its configuration.

use std::path::{Path, PathBuf};
use std::time::Duration;

use axum::http::{Method, StatusCode};
use playbooks::act::{Api, ConnectError, Scene};
use playbooks::decide::Priority;
use serde_json::{Value, json};
use tempfile::TempDir;

use super::http::Http;
use super::kubernetes::{Request, Server};
use super::pager::Pager;
use super::worker::{self, INTAKE, Worker};

/// How long anything may take before it counts as broken; the whole story takes a few seconds.
const PATIENCE: Duration = Duration::from_secs(20);

pub(super) const RULE: &str = "Terminal shell in container";

const PLAYBOOK: &str = "\
apiVersion: stoop.dev/v1alpha1
kind: Playbook
metadata:
  name: shell-in-container
spec:
  mode: enforce
  match:
    rules: [Terminal shell in container]
    priority: '>= Notice'
  actions:
    - delete: {gracePeriod: 1s, owners: [ReplicaSet, StatefulSet]}
    - notify: {to: [pager]}
";

pub(super) struct Stage {
    pub(super) cluster: Server,
    pub(super) pager: Pager,
    pub(super) http: Http,
    pub(super) worker: Worker,
    /// Sees the cluster as `stoop event` does.
    witness: Api,
    folder: TempDir,
}

/// Why the stage can't be set, or the story can't go on.
#[derive(Debug, thiserror::Error)]
pub(super) enum Error {
    #[error("a port or a temporary folder can't be had")]
    Io(#[from] std::io::Error),
    #[error("the cluster can't be filled")]
    Cluster(#[source] Box<kube::core::Status>),
    #[error("the cluster can't be reached")]
    Connect(#[from] ConnectError),
    #[error("waited {PATIENCE:?} in vain until {0}")]
    Waited(&'static str),
    #[error("there is no pod that begins with {0}")]
    NoPod(String),
    #[error("the intake answered {status}: {why}")]
    NotTaken { status: StatusCode, why: String },
    #[error("the event can't be made")]
    Event(#[from] playbooks::act::Failure),
    #[error("the worker can't be asked")]
    Worker(#[from] super::http::Error),
    #[error(transparent)]
    Process(#[from] worker::Error),
}

impl Stage {
    pub(super) async fn set() -> Result<Stage, Error> {
        let cluster = Server::start().await?;
        for object in objects() {
            cluster.create(object).map_err(Error::Cluster)?;
        }
        let pager = Pager::start().await?;
        let folder = tempfile::Builder::new().prefix("stoop-demo-").tempdir()?;
        write(folder.path(), &cluster, &pager)?;
        let worker = start(folder.path()).await?;
        let witness = Api::from_config(cluster.config(), PATIENCE)?;
        Ok(Stage { cluster, pager, http: Http::new(), worker, witness, folder })
    }

    /// Starts another worker on what the last one left behind.
    pub(super) async fn restart(&mut self) -> Result<(), Error> {
        self.worker = start(self.folder.path()).await?;
        Ok(())
    }

    pub(super) fn kubeconfig(&self) -> PathBuf {
        self.folder.path().join("kubeconfig")
    }

    pub(super) fn intake(&self) -> String {
        format!("http://{}/", self.worker.intake)
    }

    /// What Falco would say now about this pod.
    pub(super) async fn falco(&self, pod: &Pod) -> Result<Value, Error> {
        let scene = Scene {
            rule: RULE.to_owned(),
            priority: Priority::Notice,
            container: None,
            fields: Default::default(),
        };
        Ok(self.witness.testify(&pod.namespace, &pod.name, &scene).await?)
    }

    pub(super) async fn post(&self, body: impl ToString) -> Result<(StatusCode, String), Error> {
        Ok(self.http.post(&self.intake(), body.to_string().into_bytes()).await?)
    }

    pub(super) fn pods(&self, namespace: &str) -> impl Iterator<Item = Pod> {
        self.cluster.pods(namespace).into_iter().map(|pod| Pod::of(&pod))
    }

    /// The first pod whose name begins like this.
    pub(super) fn pod(&self, namespace: &str, prefix: &str) -> Result<Pod, Error> {
        let found = self.pods(namespace).find(|pod| pod.name.starts_with(prefix));
        found.ok_or_else(|| Error::NoPod(format!("{namespace}/{prefix}")))
    }

    pub(super) fn is_alive(&self, pod: &Pod) -> bool {
        self.pods(&pod.namespace).any(|other| other.uid == pod.uid)
    }

    /// Every request so far that would change something.
    pub(super) fn writes(&self) -> Vec<Request> {
        let mut requests = self.cluster.requests();
        requests.retain(|request| request.method != Method::GET);
        requests
    }

    pub(super) async fn metric(&self, name: &str, labels: &[&str]) -> Result<f64, Error> {
        Ok(self.worker.metric(&self.http, name, labels).await?)
    }

    /// How many events the worker has settled like this since it started.
    pub(super) async fn settled(&self, how: &str) -> Result<f64, Error> {
        self.metric("stoop_settled_total", &[&format!("how=\"{how}\"")]).await
    }

    /// Waits until the worker has settled so many like this.
    pub(super) async fn until_settled(&self, how: &str, count: f64) -> Result<(), Error> {
        within("the event is settled", async {
            while self.settled(how).await? < count {
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
            Ok(())
        })
        .await?
    }
}

/// A pod, as far as the story goes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Pod {
    pub(super) namespace: String,
    pub(super) name: String,
    pub(super) uid: String,
}

impl Pod {
    fn of(object: &Value) -> Pod {
        let text = |field: &str| object["metadata"][field].as_str().unwrap_or_default().to_owned();
        Pod { namespace: text("namespace"), name: text("name"), uid: text("uid") }
    }

    /// Where the API has it.
    pub(super) fn path(&self) -> String {
        format!("/api/v1/namespaces/{}/pods/{}", self.namespace, self.name)
    }
}

impl std::fmt::Display for Pod {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}/{} (uid {})", self.namespace, self.name, short(&self.uid))
    }
}

/// As much of a uid as tells it from others on one screen.
pub(super) fn short(uid: &str) -> String {
    format!("{}…", uid.split('-').next().unwrap_or_default())
}

/// Waits, but not for ever.
pub(super) async fn within<T>(
    what: &'static str,
    event: impl Future<Output = T>,
) -> Result<T, Error> {
    tokio::time::timeout(PATIENCE, event).await.map_err(|_| Error::Waited(what))
}

async fn start(folder: &Path) -> Result<Worker, Error> {
    let (config, kubeconfig) = (folder.join("stoop.yaml"), folder.join("kubeconfig"));
    Ok(within("the worker is ready", Worker::start(&config, &kubeconfig)).await??)
}

fn write(folder: &Path, cluster: &Server, pager: &Pager) -> std::io::Result<()> {
    // JSON is YAML.
    let config = json!({
        "cluster": {"name": "demo"},
        "playbooks": [folder.join("playbooks")],
        "subscriptions": {
            INTAKE: {"journal": {"path": folder.join("journal"), "listen": "127.0.0.1:0"}},
        },
        "notifiers": {"pager": {"webhook": {"url": pager.url()}}},
        "defaultNotifiers": ["pager"],
        "health": {"listen": "127.0.0.1:0"},
    });
    std::fs::write(folder.join("stoop.yaml"), format!("{config:#}\n"))?;
    std::fs::write(folder.join("kubeconfig"), cluster.kubeconfig())?;
    std::fs::create_dir(folder.join("playbooks"))?;
    std::fs::write(folder.join("playbooks/shell-in-container.yaml"), PLAYBOOK)
}

fn objects() -> Vec<Value> {
    let namespaces = ["shop", "kube-system"]
        .map(|name| json!({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name}}));
    let nodes = ["node-a", "node-b"]
        .map(|name| json!({"apiVersion": "v1", "kind": "Node", "metadata": {"name": name}}));
    let workloads = [
        workload("Deployment", "shop", "web", 2),
        workload("StatefulSet", "shop", "db", 1),
        workload("Deployment", "kube-system", "coredns", 1),
    ];
    nodes.into_iter().chain(namespaces).chain(workloads).collect()
}

fn workload(kind: &str, namespace: &str, name: &str, replicas: u32) -> Value {
    let image = format!("registry.example/{name}:1.0");
    json!({
        "apiVersion": "apps/v1",
        "kind": kind,
        "metadata": {"namespace": namespace, "name": name},
        "spec": {
            "replicas": replicas,
            "selector": {"matchLabels": {"app": name}},
            "template": {
                "metadata": {"labels": {"app": name}},
                "spec": {"containers": [{"name": name, "image": image}]},
            },
        },
    })
}
