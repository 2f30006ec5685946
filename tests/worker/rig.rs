//! A worker between a broker and an API server, both in memory.

use std::{collections::BTreeMap, path::Path, sync::Arc, time::Duration};

use brokers::{
    Error, Pool,
    memory::{Buried, Memory},
    pump,
};
use jiff::Timestamp;
use playbooks::{
    act::{Api, ClusterId, ClusterPolicy, Engine, EngineParts, Links, Notifiers, Scene, Sink},
    decide::{Mode, Priority},
};
use serde_json::{Value, json};
use stoop::{
    audit::Audit,
    config,
    demo::kubernetes::Server,
    worker::{Worker, assemble},
};
use tempfile::TempDir;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use super::{
    paper::{Pager, Paper},
    stage::Stage,
};

const RULE: &str = "Terminal shell in container";
const PATIENCE: Duration = Duration::from_secs(60);
const CALLS: Duration = Duration::from_secs(10);

/// A worker, and all that it meets but brokers.
pub struct Rig {
    pub worker: Arc<Worker>,
    pub stage: Arc<Stage>,
    pub audit: Paper,
    pub pager: Pager,
    pub server: Arc<Server>,
    api: Api,
    config: config::Config,
    _folder: TempDir,
}

/// One broker, and the pump from it to the worker.
pub struct Subscription {
    pub broker: Memory,
    stop: CancellationToken,
    pumping: JoinHandle<Result<(), Error>>,
}

/// A playbook in enforce mode for every event of a test, but for what `spec` says otherwise.
pub fn playbook(name: &str, spec: Value) -> String {
    let mut whole = json!({"mode": "enforce", "match": {"rules": [RULE]}});
    let Value::Object(spec) = spec else { panic!("a spec has keys") };
    spec.into_iter().for_each(|(key, value)| whole[key] = value);
    let metadata = json!({"name": name});
    json!({"apiVersion": "stoop.dev/v1alpha1", "kind": "Playbook", "metadata": metadata, "spec": whole})
        .to_string()
}

/// An action that plays a part.
pub fn play(part: &str) -> Value {
    json!({"play": {"part": part}})
}

/// The same, of a verified pod.
pub fn play_on_pod(part: &str) -> Value {
    json!({"play": {"part": part, "target": true}})
}

/// An action that deletes a pod without owners.
pub fn delete() -> Value {
    json!({"delete": {"owners": ["Standalone"]}})
}

/// An event about no pod that this worker knows.
pub fn event(fields: Value) -> Value {
    let now = Timestamp::now().to_string();
    json!({
        "output": "a shell", "priority": "Notice", "rule": RULE, "time": now, "source": "syscall",
        "output_fields": fields,
    })
}

/// A dead letter's header.
pub fn header(letter: &Buried, name: &str) -> String {
    let value = letter.headers.iter().find(|(header, _)| header == name).map(|(_, value)| value);
    value.map(|value| String::from_utf8(value.to_vec()).unwrap()).unwrap_or_default()
}

/// Waits for a condition, with a paused clock too.
pub async fn until(what: &str, mut holds: impl FnMut() -> bool) {
    let waiting = async {
        while !holds() {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    assert!(tokio::time::timeout(PATIENCE, waiting).await.is_ok(), "in vain: {what}");
}

/// Half a minute is over, without anybody waiting for it.
pub async fn a_while_passes() {
    tokio::time::pause();
    tokio::time::advance(Duration::from_secs(31)).await;
    tokio::time::resume();
}

async fn server() -> Arc<Server> {
    // Another test may have been first.
    drop(rustls::crypto::ring::default_provider().install_default());
    Arc::new(Server::start().await.unwrap())
}

fn configured(playbooks: &Path, limits: Value) -> config::Config {
    let text = json!({"cluster": {"name": "ours"}, "playbooks": [playbooks], "limits": limits});
    config::parse("test", &text.to_string(), []).unwrap()
}

impl Rig {
    pub async fn new(playbooks: &[String]) -> Rig {
        Self::limited(playbooks, json!({})).await
    }

    /// One with these `limits`.
    pub async fn limited(playbooks: &[String], limits: Value) -> Rig {
        Self::with(server().await, playbooks, limits).await
    }

    /// One whose playbooks are in a folder of the test's.
    pub async fn reading(playbooks: &Path) -> Rig {
        let folder = tempfile::tempdir().unwrap();
        Self::before(server().await, folder, configured(playbooks, json!({}))).await
    }

    async fn with(server: Arc<Server>, playbooks: &[String], limits: Value) -> Rig {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("playbooks.yaml");
        std::fs::write(&file, playbooks.join("\n---\n")).unwrap();
        Self::before(server, folder, configured(&file, limits)).await
    }

    /// One that writes its responses down, if the cluster takes them.
    pub async fn recording(playbooks: &[String]) -> Rig {
        Self::new(playbooks).await.written()
    }

    /// One that writes its responses down, in a cluster that takes them.
    pub async fn keeping(playbooks: &[String]) -> Rig {
        let rig = Self::recording(playbooks).await;
        rig.server.keep_responses(&rig.config.namespace).unwrap();
        rig
    }

    /// One that keeps its responses, asks by these links and tells this sink in the pager's place.
    pub async fn asking(playbooks: &[String], links: Links, told: Arc<dyn Sink>) -> Rig {
        let mut rig = Self::new(playbooks).await;
        rig.server.keep_responses(&rig.config.namespace).unwrap();
        let records = assemble::records(&rig.config, rig.api.clone(), "asks").unwrap();
        let engine = engine(&rig.config, rig.api.clone(), told);
        let worker = Arc::into_inner(rig.worker).expect("nobody else has it yet");
        let engine = engine.recording(records.linking(Some(links)));
        rig.worker = Arc::new(Worker { engine, ..worker });
        rig
    }

    /// One that was started where no cluster could be reached.
    pub async fn without_cluster(mut self) -> Rig {
        let away = Api::connect(Some("no such context"), CALLS).await.err().expect("there is none");
        let (lines, registry) = (Audit::to(self.audit.clone()), self.stage.registry());
        self.worker =
            assemble::worker(&self.config, &registry, Err(away), Mode::Enforce, lines).unwrap();
        self
    }

    fn written(mut self) -> Rig {
        let identity = format!("worker-{}", fastrand::u64(..));
        let records = assemble::records(&self.config, self.api.clone(), identity).unwrap();
        let worker = Arc::into_inner(self.worker).expect("nobody else has it yet");
        let engine = worker.engine.recording(records);
        self.worker = Arc::new(Worker { engine, ..worker });
        self
    }

    /// Another worker, with the same configuration and on the same cluster.
    pub async fn another(&self) -> Rig {
        let folder = tempfile::tempdir().unwrap();
        let config = self.config.clone();
        let rig = Self::before(self.server.clone(), folder, config).await;
        if self.worker.engine.records().is_some() { rig.written() } else { rig }
    }

    /// Another worker on the same cluster, which writes its responses down, with other playbooks.
    pub async fn stranger(&self, playbooks: &[String]) -> Rig {
        Self::with(self.server.clone(), playbooks, json!({})).await.written()
    }

    async fn before(server: Arc<Server>, folder: TempDir, config: config::Config) -> Rig {
        let api = Api::from_config(server.config(), CALLS).unwrap();
        let api = api.at_most(config.limits.concurrency);
        let (stage, audit, pager) = (Stage::new(), Paper::default(), Pager::default());
        let (lines, registry) = (Audit::to(audit.clone()), stage.registry());
        let worker =
            assemble::worker(&config, &registry, Ok(api.clone()), Mode::Enforce, lines).unwrap();
        let engine = engine(&config, api.clone(), Arc::new(pager.clone()));
        let worker = Arc::into_inner(worker).expect("nobody else has it yet");
        let worker = Arc::new(Worker { engine, ..worker });
        Rig { worker, stage, audit, pager, server, api, config, _folder: folder }
    }

    /// Writes into the status of the pod that `create_pod` made that its only container has this id.
    pub async fn start_container(&self, id: &str) {
        let client = kube::Client::try_from(self.server.config()).unwrap();
        let pods = kube::Api::<k8s_openapi::api::core::v1::Pod>::namespaced(client, "shop");
        let container = json!({
            "name": "app", "image": "app", "imageID": "", "ready": true, "restartCount": 0,
            "containerID": format!("containerd://{id}"),
        });
        let status = json!({"status": {"containerStatuses": [container]}});
        let patch = kube::api::Patch::Merge(status);
        pods.patch_status("web", &Default::default(), &patch).await.unwrap();
    }

    /// Where the playbooks are read from.
    pub fn playbooks(&self) -> &Path {
        &self.config.playbooks[0]
    }

    /// A pod that no scheduler takes, so that it is gone at once when it is deleted.
    pub fn create_pod(&self) {
        self.create_pod_named("web");
    }

    /// The same, by another name.
    pub fn create_pod_named(&self, name: &str) {
        let namespace =
            json!({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "shop"}});
        // It may be there already, for an earlier pod of the name.
        drop(self.server.create(namespace));
        let pod = json!({
            "apiVersion": "v1", "kind": "Pod", "metadata": {"namespace": "shop", "name": name},
            "spec": {"schedulerName": "none", "containers": [{"name": "app", "image": "app"}]},
        });
        self.server.create(pod).unwrap();
    }

    /// Puts another pod in the place of the one that `create_pod` made.
    pub async fn replace_pod(&self) {
        let client = kube::Client::try_from(self.server.config()).unwrap();
        let pods = kube::Api::<k8s_openapi::api::core::v1::Pod>::namespaced(client, "shop");
        pods.delete("web", &Default::default()).await.unwrap();
        self.create_pod();
    }

    /// What Falco would say about the pod at `time`.
    pub async fn event_about_pod(&self, time: Timestamp) -> Value {
        self.event_about("web", time).await
    }

    /// The same about the pod of this name.
    pub async fn event_about(&self, name: &str, time: Timestamp) -> Value {
        let (rule, fields) = (RULE.to_owned(), BTreeMap::new());
        let scene = Scene { rule, priority: Priority::Notice, container: None, fields };
        let mut event = self.api.testify("shop", name, &scene).await.unwrap();
        event["time"] = json!(time.to_string());
        event["output_fields"]["evt.time"] = json!(i64::try_from(time.as_nanosecond()).unwrap());
        event
    }

    /// How many requests of this method there were.
    pub fn asked(&self, method: &str) -> usize {
        self.server.requests().iter().filter(|request| request.method == method).count()
    }

    /// Starts a subscription with these events, as the program does.
    pub fn subscribe(&self, events: impl IntoIterator<Item = Value>) -> Subscription {
        self.subscribe_for(PATIENCE, events)
    }

    /// The same, with a limit for its drain.
    pub fn subscribe_for(
        &self,
        drain: Duration,
        events: impl IntoIterator<Item = Value>,
    ) -> Subscription {
        let broker = Memory::new();
        let (receiver, ledger) = broker.connect();
        let stop = CancellationToken::new();
        let intake = pump::Intake {
            pool: Pool::new(128, 1 << 20),
            hold: self.worker.outages.hold("test"),
            passed: Arc::default(),
            stop: stop.clone(),
            drain,
        };
        let worker = self.worker.clone();
        let pumping =
            tokio::spawn(async move { worker.serve("test", receiver, ledger, intake).await });
        let subscription = Subscription { broker, stop, pumping };
        events.into_iter().for_each(|event| subscription.publish(&event));
        subscription
    }

    /// Ends a subscription, and waits until nobody works for the worker any more.
    pub async fn stop_using(&self, subscription: Subscription) {
        subscription.ended().await;
        self.is_idle().await;
    }

    /// Waits until nobody works for the worker any more: its responses are over, however they ended.
    pub async fn is_idle(&self) {
        until("every response is over", || Arc::strong_count(&self.worker) == 1).await;
    }
}

/// An engine that tells this sink: a configuration can't name one of a test.
fn engine(config: &config::Config, api: Api, told: Arc<dyn Sink>) -> Engine {
    let notifiers = Notifiers::default().with("pager", told).unwrap();
    Engine::new(EngineParts {
        api: Some(api),
        cluster: ClusterPolicy { name: Some(ClusterId::new("ours")), require: false },
        guardrails: assemble::guardrails(config).unwrap(),
        notifiers: Arc::new(notifiers.with_defaults(&["pager".to_owned()]).unwrap()),
        mode_cap: Mode::Enforce,
        action_timeout: config.limits.action_timeout.0,
    })
}

impl Subscription {
    pub fn publish(&self, event: &Value) {
        self.broker.publish(event.to_string().into(), None, Vec::new());
    }

    /// Waits until nothing is left on the broker.
    pub async fn is_settled(&self) {
        until("everything is settled", || self.broker.unsettled() == 0).await;
    }

    /// Stops taking in; what is out goes on.
    pub fn stop(&self) {
        self.stop.cancel();
    }

    /// Stops, and waits for the end.
    pub async fn ended(self) -> Memory {
        self.stop();
        self.pumping.await.unwrap().unwrap();
        self.broker
    }
}
