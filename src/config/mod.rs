//! The configuration: `stoop.yaml`, overridden key by key from the environment.
//!
//! Only what the file says and whether it contradicts itself lives here. A broker's or a notifier's own keys belong to its
//! crate, and what the parts do with their values is theirs.

mod audit;
mod destination;
mod env;
mod load;
mod refuse;
mod responses;
mod subscription;
mod usable;

use std::{
    collections::{BTreeMap, BTreeSet},
    net::{Ipv4Addr, SocketAddr},
    path::PathBuf,
};

use brokers::journal::Tls;
use playbooks::act::{EvidenceConfig, FunctionConfig, NotifierConfig};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use settings::{ByteSize, Secret, Span};

pub use audit::Audit;
pub use destination::{Destination, Place};
pub use load::{Error, load, load_usable, parse};
pub use responses::{Approvals, Responses};
pub use subscription::{Broker, Subscription};

/// A worker's configuration. Every key has a default.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "camelCase", default)]
pub struct Config {
    /// The cluster that this worker acts in.
    pub cluster: Cluster,
    /// Playbook files, and folders of them.
    pub playbooks: Vec<PathBuf>,
    /// Whether the cluster's ClusterPlaybook and Playbook objects are in force beside the files.
    pub playbook_objects: bool,
    /// Streams of events, by name. Without any, the worker runs on a journal.
    pub subscriptions: BTreeMap<String, Subscription>,
    /// Where playbooks forward events to, by name.
    pub destinations: BTreeMap<String, Destination>,
    /// Functions that playbooks call, by name.
    pub functions: BTreeMap<String, FunctionConfig>,
    /// Where notifications go, by name.
    pub notifiers: BTreeMap<String, NotifierConfig>,
    /// The notifiers that are told of every refused, failed or dead-lettered containment.
    pub default_notifiers: Vec<String>,
    /// The probes and metrics.
    pub health: Health,
    /// The page, and what tools ask of a running worker.
    pub control: Control,
    /// stoop's own namespace, in which nothing is ever a target.
    pub namespace: String,
    /// What stops all containment at once.
    pub kill_switch: KillSwitch,
    /// Where captures are kept; without it no playbook can capture.
    pub evidence: Option<EvidenceConfig>,
    /// The namespace of capture jobs, apart from `namespace`.
    pub capture_namespace: Option<String>,
    /// What capture jobs run: an image by its digest.
    pub capture_image: Option<String>,
    /// Bounds.
    pub limits: Limits,
    /// What is protected beyond what the code protects already.
    pub protect: Protect,
    /// Where audit lines go.
    pub audit: Audit,
    /// What becomes of the Response objects.
    pub responses: Responses,
    /// How people are asked.
    pub approvals: Approvals,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            cluster: Cluster::default(),
            playbooks: Vec::new(),
            playbook_objects: false,
            subscriptions: BTreeMap::new(),
            destinations: BTreeMap::new(),
            functions: BTreeMap::new(),
            notifiers: BTreeMap::new(),
            default_notifiers: Vec::new(),
            health: Health::default(),
            control: Control::default(),
            namespace: "stoop".to_owned(),
            kill_switch: KillSwitch::default(),
            evidence: None,
            capture_namespace: None,
            capture_image: None,
            limits: Limits::default(),
            protect: Protect::default(),
            audit: Audit::default(),
            responses: Responses::default(),
            approvals: Approvals::default(),
        }
    }
}

impl Config {
    /// The subscriptions by name: those that are configured, or else a journal called `intake`.
    pub fn streams(&self) -> BTreeMap<String, Subscription> {
        match self.subscriptions.is_empty() {
            true => {
                let journal = Subscription::of_journal(brokers::journal::Config::default());
                BTreeMap::from([("intake".to_owned(), journal)])
            }
            false => self.subscriptions.clone(),
        }
    }

    /// Whether one of them is a journal, whose file its worker alone can have open.
    pub fn has_journal(&self) -> bool {
        let is_journal = |stream: &Subscription| matches!(stream.broker(), Ok(Broker::Journal(_)));
        self.streams().values().any(is_journal)
    }
}

/// The cluster that a worker acts in. The API server is found as kubectl finds it.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "camelCase", default)]
pub struct Cluster {
    /// Its name in events. An event of another cluster is passed over.
    pub name: Option<String>,
    /// Whether an event that names no cluster is refused.
    pub require: bool,
    /// The output field that names the cluster.
    pub field: String,
    /// Whether its network is known to enforce NetworkPolicies: without it no isolation is called effective.
    pub enforces_network_policies: bool,
    /// Whether it is known to enforce ClusterNetworkPolicies: without it a deny of that kind proves nothing.
    pub enforces_cluster_network_policies: bool,
}

impl Default for Cluster {
    fn default() -> Self {
        Self {
            name: None,
            require: false,
            field: "static.cluster".to_owned(),
            enforces_network_policies: false,
            enforces_cluster_network_policies: false,
        }
    }
}

/// The port for probes and metrics. It changes nothing, whoever asks.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Health {
    /// Where it listens.
    pub listen: SocketAddr,
}

impl Default for Health {
    fn default() -> Self {
        Self { listen: SocketAddr::from((Ipv4Addr::UNSPECIFIED, 2806)) }
    }
}

/// The port for the page, and for `stoop dlq` on a journal, whose file only its worker can have open.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Control {
    /// Where it listens. Beyond loopback only with `token` or `tls.clientCa`.
    pub listen: SocketAddr,
    /// What the page may change; nothing if left out.
    pub allow: BTreeSet<Change>,
    /// What whoever asks has to show as Bearer token.
    pub token: Option<Secret>,
    /// Serves HTTPS in place of HTTP.
    pub tls: Option<Tls>,
    /// How the commands that ask there call it, where it serves HTTPS.
    pub client: Option<ControlClient>,
}

/// Something that a person can change from the page.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema,
)]
#[serde(rename_all = "camelCase")]
pub enum Change {
    /// Say yes or no to a response that waits for an approval.
    Approve,
    /// Take back what a response has changed.
    Revert,
    /// Have a dead letter run again.
    Redrive,
    /// Take a dead letter away for good.
    Drop,
}

impl Change {
    /// As it is written.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Approve => "approve",
            Self::Revert => "revert",
            Self::Redrive => "redrive",
            Self::Drop => "drop",
        }
    }
}

/// What a command shows to the control port, and whom it trusts. All of it PEM files.
#[derive(Clone, Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct ControlClient {
    /// The authority that signed the control port's certificate; the system's if left out.
    pub ca: Option<PathBuf>,
    /// The name that the control port's certificate is for; the address of `listen` if left out.
    pub name: Option<String>,
    /// The command's own certificate, where the worker has a `tls.clientCa`.
    pub certificate: Option<PathBuf>,
    /// The private key of `certificate`.
    pub key: Option<PathBuf>,
}

impl Default for Control {
    fn default() -> Self {
        let listen = SocketAddr::from((Ipv4Addr::LOCALHOST, 2807));
        Self { listen, allow: BTreeSet::new(), token: None, tls: None, client: None }
    }
}

impl Control {
    /// Whether nothing is set of it, so that nobody has asked for the port.
    pub fn is_unset(&self) -> bool {
        self.listen == Self::default().listen
            && self.allow.is_empty()
            && self.token.is_none()
            && self.tls.is_none()
    }
}

/// What stops all containment at once; read before every action.
#[derive(Clone, Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "camelCase", default)]
pub struct KillSwitch {
    /// A file: containment stops while it exists, unless it says `off`.
    pub file: Option<PathBuf>,
    /// A ConfigMap in stoop's namespace: containment stops while its key `stop` says anything but `off`.
    pub config_map: Option<String>,
}

/// Bounds on what a worker holds and on how long it takes.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "camelCase", default)]
pub struct Limits {
    /// Events worked on at once, over all subscriptions.
    pub concurrency: usize,
    /// Bytes of events held at once.
    pub memory: ByteSize,
    /// How long a drain may take after SIGTERM.
    pub drain: Span,
    /// How long one request of an action may take.
    pub action_timeout: Span,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            concurrency: 256,
            memory: ByteSize::mib(64),
            drain: Span::from_secs(20),
            action_timeout: Span::from_secs(30),
        }
    }
}

/// Adds to what is protected; nothing here takes away.
#[derive(Clone, Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "camelCase", default)]
pub struct Protect {
    /// Namespaces, by name or glob.
    pub namespaces: Vec<String>,
    /// Whether a pod's own annotation exempts it, as its namespace's does: whoever may create a pod can then keep stoop
    /// away from it.
    pub pod_opt_out: bool,
}
