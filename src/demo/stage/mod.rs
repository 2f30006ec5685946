//! What the story is played on: a cluster with pods, somebody to be told, a worker and its configuration.

mod kept;
mod pod;
mod props;

use std::{
    path::{Path, PathBuf},
    time::Duration,
};

use axum::http::{Method, StatusCode};
use jiff::Timestamp;
use playbooks::{
    act::{Api, ConnectError, Scene},
    decide::Priority,
};
use serde_json::Value;
use tempfile::TempDir;

use super::{
    http::Http,
    kubernetes::{Request, Server},
    pager::Pager,
    program::{self, Place, Ran},
    worker::{self, Worker},
};
use kept::Capture;
pub(super) use pod::{Pod, short};

/// How long anything may take before it counts as broken; the whole story takes a few seconds.
const PATIENCE: Duration = Duration::from_secs(20);

pub(super) const RULE: &str = "Terminal shell in container";

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
    #[error("a port, a temporary folder or a process can't be had")]
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
        for object in props::objects() {
            cluster.create(object).map_err(Error::Cluster)?;
        }
        cluster.keep_responses(props::HOME).map_err(Error::Cluster)?;
        let pager = Pager::start().await?;
        let folder = tempfile::Builder::new().prefix("stoop-demo-").tempdir()?;
        props::write(folder.path(), &cluster, &pager)?;
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
    pub(super) async fn falco(&self, rule: &str, pod: &Pod) -> Result<Value, Error> {
        let scene = Scene {
            rule: rule.to_owned(),
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

    /// The pod as it is now; null where it is gone.
    pub(super) fn object(&self, pod: &Pod) -> Value {
        let pods = self.cluster.pods(&pod.namespace).into_iter();
        pods.into_iter().find(|object| Pod::of(object) == *pod).unwrap_or_default()
    }

    /// Every request so far that would change something, but for what stoop writes down of itself.
    pub(super) fn writes(&self) -> Vec<Request> {
        let mut requests = self.cluster.requests();
        requests.retain(|request| {
            request.method != Method::GET && !request.path.starts_with(props::NOTES)
        });
        requests
    }

    /// What stoop has written down of a pod.
    pub(super) fn response(&self, pod: &Pod) -> Value {
        let responses = self.cluster.responses().into_iter();
        let mut of_pod = responses.filter(|it| it["spec"]["target"]["uid"] == pod.uid.as_str());
        of_pod.next().unwrap_or_default()
    }

    /// The NetworkPolicies of a namespace.
    pub(super) async fn policies(&self, namespace: &str) -> Result<Vec<Value>, Error> {
        let url = format!(
            "{}/apis/networking.k8s.io/v1/namespaces/{namespace}/networkpolicies",
            self.cluster.url()
        );
        let (_, list) = self.http.get(&url).await?;
        let list: Value = serde_json::from_str(&list).map_err(std::io::Error::from)?;
        Ok(list["items"].as_array().cloned().unwrap_or_default())
    }

    /// What has been kept of pods.
    pub(super) fn captures(&self) -> Result<Vec<Capture>, Error> {
        Ok(kept::captures(&self.folder.path().join(props::EVIDENCE))?)
    }

    /// Calls `stoop` as a person would.
    pub(super) async fn stoop(&self, arguments: &[&str]) -> Result<Ran, Error> {
        let (config, kubeconfig) = (self.folder.path().join("stoop.yaml"), self.kubeconfig());
        let place = Place { config: &config, kubeconfig: &kubeconfig };
        Ok(within("the command ends", program::run(place, arguments)).await??)
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

/// Waits, but not for ever.
pub(super) async fn within<T>(
    what: &'static str,
    event: impl Future<Output = T>,
) -> Result<T, Error> {
    tokio::time::timeout(PATIENCE, event).await.map_err(|_| Error::Waited(what))
}

/// Waits until what is made now is younger than this object, by the whole seconds that Kubernetes counts in. Cancel safe.
pub(super) async fn second_after(object: &Value) {
    let made = object["metadata"]["creationTimestamp"].as_str().unwrap_or_default();
    while Timestamp::now().strftime("%Y-%m-%dT%H:%M:%SZ").to_string().as_str() <= made {
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

async fn start(folder: &Path) -> Result<Worker, Error> {
    let (config, kubeconfig) = (folder.join("stoop.yaml"), folder.join("kubeconfig"));
    let place = Place { config: &config, kubeconfig: &kubeconfig };
    Ok(within("the worker is ready", Worker::start(place)).await??)
}
