//! docker-compose.yml, as compose itself reads it, and what it starts: there is no container engine here, so the same program is
//! run with the same files on the servers of the testbed.

use std::{
    fs,
    path::Path,
    process::{Child, ChildStdin, Command, Output, Stdio},
    sync::LazyLock,
    time::Duration,
};

use k8s_openapi::api::core::v1::Pod;
use kube::{Api, Client, ResourceExt as _};
use serde_json::Value;
use tempfile::TempDir;
use testbed::{
    cluster::{Access, Cluster},
    kafka::Kafka,
    leashed,
    nats::Nats,
    pubsub::PubSub,
};

use crate::{chart, cluster::apply};

const PROFILES: [&str; 4] = ["all", "kafka", "nats", "pubsub"];

fn repository() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// The project with these variables, all checked.
fn project(variables: &[(&str, &str)]) -> Value {
    static COMPOSE: LazyLock<std::path::PathBuf> =
        LazyLock::new(|| testbed::compose::provision().expect("compose"));
    let mut command = Command::new(&*COMPOSE);
    command.arg("docker-compose.yml").current_dir(repository()).env_clear();
    let ran = command.envs(variables.iter().copied()).output().expect("it starts");
    assert!(ran.status.success(), "{variables:?}: {}", String::from_utf8_lossy(&ran.stderr));
    serde_json::from_slice(&ran.stdout).expect("JSON")
}

#[test]
fn each_profile_has_its_brokers_and_everything_else() {
    let brokers = ["kafka", "nats", "pubsub"];
    for profile in PROFILES {
        let project = project(&[("COMPOSE_PROFILES", profile)]);
        let services = project["services"].as_object().expect("services");
        for broker in brokers {
            let wanted = profile == "all" || profile == broker;
            assert_eq!(services.contains_key(broker), wanted, "{profile}: {broker}");
        }
        let others = services.keys().filter(|name| !brokers.contains(&name.as_str()));
        assert_eq!(others.count(), 10, "{profile}");
        let setup = services["setup"]["command"].as_array().expect("a command");
        assert_eq!(setup[2], format!("/etc/stoop/{profile}.yaml"));
    }
    assert_eq!(project(&[]), project(&[("COMPOSE_PROFILES", "all")]), "all is what .env says");
}

#[test]
fn nothing_is_of_whatever_version_came_last_or_open_beyond_loopback() {
    let project = project(&[]);
    for (name, service) in project["services"].as_object().expect("services") {
        let image = service["image"].as_str().expect("an image");
        let tag = image.rsplit_once(':').map(|(_, tag)| tag);
        assert!(tag.is_some_and(|tag| tag != "latest"), "{name}: {image}");
        for port in service["ports"].as_array().into_iter().flatten() {
            assert_eq!(port["host_ip"], "127.0.0.1", "{name}");
        }
        for volume in service["volumes"].as_array().into_iter().flatten() {
            let source = volume["source"].as_str().unwrap_or_default();
            // The engine has its socket where there is one.
            let is_there = Path::new(source).exists() || source == "/var/run/docker.sock";
            assert!(volume["type"] != "bind" || is_there, "{name}: {source}");
        }
    }
}

#[test]
fn who_is_waited_for_can_say_that_it_is_well() {
    let project = project(&[]);
    let services = project["services"].as_object().expect("services");
    for (name, service) in services {
        for (on, how) in service["depends_on"].as_object().into_iter().flatten() {
            if how["condition"] == "service_healthy" {
                assert!(services[on]["healthcheck"].is_object(), "{name} waits for {on}");
            }
        }
    }
}

/// The folder that the containers have at `/etc/stoop`, with the servers' addresses here.
struct Etc {
    folder: TempDir,
    kubeconfig: String,
    pubsub: String,
}

impl Etc {
    fn of(access: &Access, kafka: &Kafka, nats: &Nats, pubsub: &PubSub) -> Etc {
        let folder = tempfile::tempdir().expect("a folder");
        let from = repository().join("deploy/compose/stoop");
        let text = fs::read_to_string(from.join("all.yaml")).expect("a configuration");
        let text = text
            .replace("kafka:9092", kafka.bootstrap())
            .replace("nats://nats:4222", nats.url())
            .replace("/etc/stoop/playbooks", &from.join("playbooks").to_string_lossy());
        fs::write(folder.path().join("all.yaml"), text).expect("a file");
        let kubeconfig = access.kubeconfig().to_string_lossy().into_owned();
        Etc { folder, kubeconfig, pubsub: pubsub.address().to_owned() }
    }

    /// The service's own command line.
    fn arguments(&self, project: &Value, service: &str) -> Vec<String> {
        let command = project["services"][service]["command"].as_array().expect("a command");
        let etc = self.folder.path().to_string_lossy();
        let texts = command.iter().map(|text| text.as_str().expect("text"));
        texts.map(|text| text.replace("/etc/stoop", &etc)).collect()
    }

    fn around(&self, command: &mut Command, health: u16) {
        command.env_clear().env("PATH", std::env::var_os("PATH").unwrap_or_default());
        command.env("HOME", self.folder.path());
        command.env("KUBECONFIG", &self.kubeconfig).env("PUBSUB_EMULATOR_HOST", &self.pubsub);
        command.env("STOOP_HEALTH__LISTEN", format!("127.0.0.1:{health}"));
    }

    fn runs(&self, project: &Value, service: &str) {
        let mut command = Command::new(env!("CARGO_BIN_EXE_stoop"));
        command.args(self.arguments(project, service));
        self.around(&mut command, 0);
        let Output { status, stdout, stderr } = command.output().expect("it starts");
        let said = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        assert!(status.success(), "{service}: {}{}", said(&stdout), said(&stderr));
    }

    fn worker(&self, project: &Value, health: u16) -> Running {
        let mut command = leashed(env!("CARGO_BIN_EXE_stoop"));
        command.args(self.arguments(project, "worker"));
        self.around(&mut command, health);
        command.stdout(Stdio::null()).stderr(Stdio::null());
        Running::of(command.spawn().expect("it starts"))
    }
}

/// A worker on a leash; dropping it ends it.
pub(crate) struct Running {
    child: Child,
    _leash: Option<ChildStdin>,
}

impl Running {
    pub(crate) fn of(mut child: Child) -> Running {
        let leash = child.stdin.take();
        Running { child, _leash: leash }
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

#[tokio::test]
async fn setup_two_workers_and_the_sender_delete_the_victim_on_all_three_brokers() {
    let access = Cluster::shared().await.expect("a cluster");
    let (kafka, nats) = (Kafka::start().await.expect("Kafka"), Nats::start().await.expect("NATS"));
    let pubsub = PubSub::start().await.expect("Pub/Sub");
    let client = access.client().await.expect("a client");
    for file in ["deploy/helm/stoop/crds/stoop.yaml", "deploy/compose/k3s/victims.yaml"] {
        let text = fs::read_to_string(repository().join(file)).expect("a file");
        for object in chart::documents(&text) {
            apply(&client, &object).await;
        }
    }
    let (project, etc) = (project(&[]), Etc::of(access, &kafka, &nats, &pubsub));
    etc.runs(&project, "setup");
    let ports = [testbed::Port::reserve(), testbed::Port::reserve()].map(|it| it.expect("a port"));
    let _workers = ports.each_ref().map(|port| etc.worker(&project, port.number()));

    let mut before = victim(&client, None).await;
    for subscription in ["falco", "falco-nats", "falco-pubsub"] {
        let mut to = project.clone();
        let command = to["services"]["sender"]["command"].as_array_mut().expect("a command");
        *command.last_mut().expect("a subscription") = subscription.into();
        etc.runs(&to, "sender");
        let after = victim(&client, Some(&before)).await;
        assert_ne!(before, after, "{subscription}");
        before = after;
    }
}

/// The uid of the running victim, once it isn't `other`.
async fn victim(client: &Client, other: Option<&str>) -> String {
    let pods = Api::<Pod>::namespaced(client.clone(), "shop");
    let found = testbed::until("another victim", Duration::from_secs(60), async || {
        let pod = pods.get_opt("web-0").await.map_err(|error| error.to_string())?;
        let pod = pod.ok_or("none")?;
        let running = pod.status.as_ref().and_then(|it| it.phase.as_deref()) == Some("Running");
        let stays = running && pod.metadata.deletion_timestamp.is_none();
        let another = pod.uid().filter(|uid| stays && Some(uid.as_str()) != other);
        another.ok_or_else(|| format!("{:?}", pod.metadata.uid))
    });
    found.await.expect("a victim")
}
