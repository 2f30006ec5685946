//! `stoop run`: a worker, until it is told to leave.

use std::{process::ExitCode, sync::Arc};

use clap::{Args, ValueEnum};
use futures::future::join_all;
use playbooks::{
    act::{Evidence, Registry, Shelf},
    decide,
};
use tokio_util::sync::CancellationToken;

use super::{ConfigArgs, Ended, Refused, signals};
use crate::{
    approvals,
    config::{Config, Limits},
    control::{self, Journals, Told},
    error::with_sources,
    health::{self, Health},
    uploads,
    worker::{
        Worker, assemble,
        readiness::Readiness,
        responses::{self, Kept},
        shares,
        subscription::Runner,
    },
};

/// Run a worker.
///
/// Audit lines, one JSON object for each finished response, go to standard output or the file of `audit`; logs go to standard
/// error.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  stoop run                     configuration in ./stoop.yaml; without any, a journal on 127.0.0.1:2805
  stoop run -c prod.yaml --mode observe
                                nothing is changed, whatever the playbooks say
  STOOP_LIMITS__DRAIN=5s stoop run
                                every key can be overridden; STOOP_LOG=debug says more

On SIGTERM or ctrl-c it takes no more events, finishes what it holds within limits.drain, and exits
with 0. A second signal ends it at once: what it held is delivered again.")]
pub struct Run {
    #[command(flatten)]
    config: ConfigArgs,

    /// No playbook goes further than this
    #[arg(long, value_enum, default_value_t = Mode::Enforce)]
    mode: Mode,
}

/// How far playbooks may go.
#[derive(Clone, Copy, Debug, ValueEnum)]
#[value(rename_all = "camelCase")]
enum Mode {
    /// Verify and judge; change nothing, and say what would be done
    Observe,
    /// Send every change as the API server's dry run
    DryRun,
    /// Do what the playbooks say
    Enforce,
}

impl From<Mode> for decide::Mode {
    fn from(mode: Mode) -> Self {
        match mode {
            Mode::Observe => Self::Observe,
            Mode::DryRun => Self::DryRun,
            Mode::Enforce => Self::Enforce,
        }
    }
}

impl Run {
    pub(super) async fn run(self) -> Ended {
        // Before anything that takes time: a worker that is told to leave while it starts leaves in order too.
        let stop = signals::watch(signals::Words {
            asked: "draining",
            insisted: "leaving at once; what is held will be delivered again",
        })?;
        let config = self.config.load_usable()?;
        let mode = self.mode.into();
        let cluster = assemble::cluster(&config).await;
        let worker = assemble::worker(
            &config,
            &Registry::standard(),
            cluster,
            mode,
            assemble::audit(&config)?,
        )?;
        match responses::look(&worker.engine, &worker.rules.now()).await? {
            Kept::Yes => {}
            Kept::No => tracing::warn!("{}", responses::WITHOUT),
            Kept::Unknown(failure) => {
                tracing::warn!(why = %failure, "whether the cluster keeps Responses can't be told yet");
            }
        }
        let tending = (worker.clone(), stop.clone());
        tokio::spawn(tending.0.clone().sweep(config.responses.retention(), tending.1.clone()));
        tokio::spawn(tending.0.take_up_approved(tending.1));
        // Whoever may change nothing tells nothing either.
        if config.playbook_objects && mode == decide::Mode::Enforce {
            tokio::spawn(worker.clone().tell_of_objects(stop.clone()));
        }
        serve(&config, worker, mode, assemble::evidence(&config)?, stop).await?;
        Ok(ExitCode::SUCCESS)
    }
}

/// Runs every subscription, the health port and the control port until `stop`.
async fn serve(
    config: &Config,
    worker: Arc<Worker>,
    mode_cap: decide::Mode,
    evidence: Option<Evidence>,
    stop: CancellationToken,
) -> Result<(), Refused> {
    let streams = config.streams();
    let readiness = Arc::new(Readiness::of(streams.keys().map(String::as_str)));
    let told = Health { worker: worker.clone(), readiness: readiness.clone() };
    // The probes go on answering while the worker drains.
    let closed = CancellationToken::new();
    let (address, probes) = health::serve(config.health.listen, told, closed.clone()).await?;
    let mut ports = vec![probes];
    if let (Some(uploads), Some(evidence)) =
        (config.evidence.as_ref().and_then(|evidence| evidence.uploads.as_ref()), evidence)
    {
        let address = uploads::serve(uploads.listen, evidence, closed.clone()).await?;
        tracing::info!(%address, "the port for uploads of capture jobs listens");
    }
    let journals = Arc::<Journals>::default();
    if let Some(listener) = control::bind(config).await? {
        let told = Told {
            worker: worker.clone(),
            mode_cap,
            config: config.clone(),
            readiness: readiness.clone(),
            journals: journals.clone(),
        };
        let (address, control) = control::serve(listener, told, closed.clone())?;
        ports.push(control);
        tracing::info!(%address, "the control port listens");
    }
    tracing::info!(
        worker = %worker.name, playbooks = worker.rules.now().plans().len(), health = %address,
        subscriptions = streams.keys().map(String::as_str).collect::<Vec<_>>().join(","), "started"
    );
    if config.playbook_objects {
        worker.begin_objects(readiness.clone(), stop.clone()).await;
    }
    // Objects may come at any time.
    if !config.playbook_objects && worker.rules.now().plans().is_empty() {
        tracing::warn!("there are no playbooks: every event is acknowledged and nothing is done");
    }
    ask_people(config, &worker, closed.clone()).await?;
    tokio::spawn(worker.clone().watch_kill_switch(stop.clone()));
    tokio::spawn(worker.clone().follow_playbooks(readiness.clone(), stop.clone()));
    let (asked, outages) = (stop.clone(), worker.outages.clone());
    tokio::spawn(async move {
        asked.cancelled().await;
        outages.leave_all();
    });
    let runner =
        Runner { worker, readiness, journals, stop: stop.clone(), drain: config.limits.drain.0 };
    let wanted: Vec<_> = streams.values().map(|subscription| subscription.concurrency).collect();
    let Limits { concurrency, memory, .. } = &config.limits;
    let shares = shares::divide(*concurrency, memory.as_usize(), &wanted);
    let running = streams.iter().zip(shares).map(async |((name, subscription), share)| {
        let ended = runner.run(name, subscription, share).await;
        ended.map_err(|error| {
            stop.cancel();
            Refused(format!("subscription {name} can't start: {}", with_sources(&error)))
        })
    });
    let ended: Result<(), _> = join_all(running).await.into_iter().collect();
    closed.cancel();
    // They failed only if they said so themselves.
    drop(join_all(ports).await);
    tracing::info!("left");
    ended
}

/// Serves the pages behind the links, where they are configured.
async fn ask_people(
    config: &Config,
    worker: &Worker,
    closed: CancellationToken,
) -> Result<(), Refused> {
    let (Some(listen), Some(links)) = (config.approvals.listen, config.approvals.links()?) else {
        return Ok(());
    };
    let Some(api) = worker.engine.api() else { return Ok(()) };
    let shelf = Shelf::new(api.clone(), &config.namespace);
    let (address, _) = approvals::serve(listen, links, shelf, closed).await?;
    tracing::info!(%address, "the approvals port listens");
    Ok(())
}
