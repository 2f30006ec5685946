//! From a configuration to the parts of a worker. What contradicts itself is refused here, before anything starts.

use std::{path::PathBuf, sync::Arc};

use brokers::Pool;
use playbooks::{
    act::{
        Api, BreakerLimits, Captures, ClusterId, ClusterPolicy, ConfigError, ConnectError, Engine,
        EngineParts, Evidence, Exemptions, Functions, GuardrailOptions, Guardrails,
        KillSwitchOptions, Notifiers, OwnNode, OwnPod, Records, Registry, Resources,
    },
    decide::{Mode, PlaybookErrors},
};

use super::{
    Worker, bursts::Bursts, feed::Feed, forward::destinations, lanes::Lanes, outage::Outages,
    reload::InForce, rules::Rules,
};
use crate::{audit::Audit, config::Config, metrics::Metrics};

/// How many events may wait for a response of their burst, for each that may run.
const MEMBERS_PER_SLOT: usize = 64;

/// Why a worker can't be put together. Nothing was started.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// Faults in playbooks, each with its place and the fix.
    #[error(transparent)]
    Playbooks(#[from] PlaybookErrors),
    /// Faults in what the playbooks are configured with.
    #[error("{key}: {place}{error}{help}", place = place(.error), help = fix(.error))]
    Setting {
        /// The key of the configuration.
        key: &'static str,
        /// What is wrong with it.
        error: ConfigError,
    },
    /// Playbooks have targets, and there is no cluster.
    #[error("playbook {playbook} acts on pods, and no cluster can be reached with what is set")]
    Cluster {
        /// The first of those playbooks.
        playbook: String,
        /// What was tried.
        #[source]
        source: ConnectError,
    },
    /// The audit log can't be gone on with.
    #[error("audit.file: {path}", path = path.display())]
    Audit {
        /// Where it is.
        path: PathBuf,
        /// Why not.
        source: std::io::Error,
    },
    /// Playbooks are to be objects of a cluster, and there is none.
    #[error("playbookObjects: no cluster can be reached with what is set, or leave it out")]
    Objects(#[source] ConnectError),
    /// A metric is defined twice.
    #[error("the metrics can't be set up")]
    Metrics(#[from] prometheus::Error),
}

fn place(error: &ConfigError) -> String {
    match error.path.segments() {
        [] => String::new(),
        _ => format!("{}: ", error.path),
    }
}

fn fix(error: &ConfigError) -> String {
    match error.help.as_str() {
        "" => String::new(),
        help => format!("\n  fix: {help}"),
    }
}

/// What playbooks are bound with: the actions there are, and the configured notifiers.
///
/// # Errors
/// A notifier's setting can't be used.
pub fn resources(config: &Config) -> Result<Resources, Error> {
    let notifiers = Notifiers::new(
        &config.notifiers,
        &config.default_notifiers,
        config.limits.action_timeout.0,
    );
    let notifiers = notifiers.map_err(|error| Error::Setting { key: "notifiers", error })?;
    let functions = Functions::new(&config.functions, config.limits.action_timeout.0)
        .map_err(|error| Error::Setting { key: "functions", error })?;
    let cluster = &config.cluster;
    let resources = Resources::new(Arc::new(notifiers))
        .enforcing_policies(cluster.enforces_network_policies)
        .enforcing_cluster_policies(cluster.enforces_cluster_network_policies)
        .with_destinations(destinations(config))
        .with_functions(functions);
    Ok(match captures(config)? {
        Some(captures) => resources.capturing(captures),
        None => resources,
    })
}

/// The evidence store, where one is configured.
///
/// # Errors
/// It can't be used as it is configured.
pub fn evidence(config: &Config) -> Result<Option<Evidence>, Error> {
    let opened = config.evidence.as_ref().map(Evidence::open).transpose();
    opened.map_err(|error| Error::Setting { key: "evidence", error })
}

fn captures(config: &Config) -> Result<Option<Captures>, Error> {
    let Some(evidence) = evidence(config)? else { return Ok(None) };
    let captures = Captures::new(evidence);
    let (namespace, image) = (&config.capture_namespace, &config.capture_image);
    let with_jobs = match (namespace, image) {
        (Some(namespace), Some(image)) => captures.with_jobs(namespace, image, &config.namespace),
        (None, None) => Ok(captures),
        (Some(_), None) => Err(missing("captureImage", "captureNamespace")),
        (None, Some(_)) => Err(missing("captureNamespace", "captureImage")),
    };
    with_jobs.map(Some).map_err(|error| Error::Setting { key: "configuration", error })
}

fn missing(key: &str, beside: &str) -> ConfigError {
    ConfigError::new(format!("{beside} is of no use without it"))
        .help(format!("set {key} too, or leave {beside} out"))
        .at(key)
}

/// The playbooks that the configuration names, with their actions.
///
/// # Errors
/// As [`resources`], and faults in playbooks.
pub fn rules(config: &Config, registry: &Registry, resources: &Resources) -> Result<Rules, Error> {
    Ok(Rules::read(&config.playbooks, registry, resources)?)
}

/// What the configuration says to the guardrails.
pub fn guardrails(config: &Config) -> Result<Guardrails, Error> {
    let kill_switch = KillSwitchOptions {
        file: config.kill_switch.file.clone(),
        config_map: config
            .kill_switch
            .config_map
            .clone()
            .map(|name| (config.namespace.clone(), name)),
    };
    // A capture job is no target: its namespace may more than others.
    let captures = config.capture_namespace.clone();
    let options = GuardrailOptions {
        protected_namespaces: config.protect.namespaces.iter().cloned().chain(captures).collect(),
        own_namespace: Some(config.namespace.clone()),
        exemptions: match config.protect.pod_opt_out {
            true => Exemptions::NamespacesAndPods,
            false => Exemptions::Namespaces,
        },
        own_pod: OwnPod::detect(),
        own_node: OwnNode::detect(),
        kill_switch,
        breaker: BreakerLimits::default(),
    };
    Guardrails::new(options).map_err(|error| Error::Setting { key: "protect.namespaces", error })
}

/// Where audit lines go: the configured file, or else standard output.
///
/// # Errors
/// The file can't be gone on with.
pub fn audit(config: &Config) -> Result<Audit, Error> {
    let Some(path) = &config.audit.file else { return Ok(Audit::stdout()) };
    let opened = Audit::file(path, config.audit.rotate.get());
    opened.map_err(|source| Error::Audit { path: path.clone(), source })
}

/// Connects to the cluster as kubectl would.
pub async fn cluster(config: &Config) -> Result<Api, ConnectError> {
    Api::connect(None, config.limits.action_timeout.0).await
}

/// The worker that the configuration describes, with the actions of `registry`. Without a cluster it can run playbooks
/// that only tell.
///
/// # Errors
/// What can't work is refused, with the fix.
pub fn worker(
    config: &Config,
    registry: &Registry,
    cluster: Result<Api, ConnectError>,
    mode_cap: Mode,
    audit: Audit,
) -> Result<Arc<Worker>, Error> {
    let resources = resources(config)?;
    let in_force = InForce::read(&config.playbooks, registry, &resources)?;
    let rules = in_force.now();
    let needs_cluster = rules.plans().iter().find(|plan| plan.needs_target());
    let api = match (cluster, needs_cluster) {
        (Ok(api), _) => Some(api.at_most(config.limits.concurrency)),
        (Err(source), _) if config.playbook_objects => return Err(Error::Objects(source)),
        (Err(_), None) => None,
        (Err(source), Some(plan)) => {
            return Err(Error::Cluster { playbook: plan.playbook.name.clone(), source });
        }
    };
    // The playbooks of a later time may act, even if these don't.
    let records = api.clone().filter(|_| mode_cap == Mode::Enforce);
    let records = match records {
        Some(api) => Some(self::records(config, api, identity())?),
        None => None,
    };
    let engine = Engine::new(EngineParts {
        api,
        cluster: ClusterPolicy {
            name: config.cluster.name.clone().map(ClusterId::new),
            require: config.cluster.require,
        },
        guardrails: guardrails(config)?,
        notifiers: resources.notifiers,
        mode_cap,
        action_timeout: config.limits.action_timeout.0,
    });
    let engine = match records {
        Some(records) => engine.recording(records),
        None => engine,
    };
    Ok(Arc::new(Worker {
        name: name(),
        cluster: config.cluster.clone(),
        rules: in_force,
        engine,
        outages: Outages::new(),
        audit,
        metrics: Metrics::new()?,
        feed: Feed::new(),
        members: Pool::new(
            config.limits.concurrency.saturating_mul(MEMBERS_PER_SLOT),
            config.limits.memory.as_usize(),
        ),
        lanes: Lanes::new(),
        bursts: Bursts::new(),
    }))
}

/// What writes down the responses of the worker that has this identity.
///
/// # Errors
/// The key of the links can't be used.
pub fn records(config: &Config, api: Api, identity: impl Into<String>) -> Result<Records, Error> {
    let links = config.approvals.links();
    let links = links.map_err(|error| Error::Setting { key: "approvals", error })?;
    let records = Records::new(api, &config.namespace, identity, config.limits.action_timeout.0)
        .of_cluster(config.cluster.name.clone())
        .asking_for(config.approvals.expire_after.0)
        .linking(links);
    Ok(records)
}

/// What no other worker has while this one lives. A container that is started again in its pod is the same one.
fn identity() -> String {
    match std::env::var("POD_NAME") {
        Ok(name) => name,
        Err(_) => format!("{}-{:08x}", name(), fastrand::u32(..)),
    }
}

/// The pod's name in a cluster, elsewhere the host's and the process's.
fn name() -> Arc<str> {
    let host = std::env::var("POD_NAME").or_else(|_| std::env::var("HOSTNAME"));
    match host {
        Ok(name) => name.into(),
        Err(_) => format!("stoop-{}", std::process::id()).into(),
    }
}
