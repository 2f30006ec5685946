//! `stoop explain`: why an event would or would not match, and what would be done.

use std::{
    io::{IsTerminal, Read},
    path::PathBuf,
    process::ExitCode,
};

use clap::Args;
use playbooks::{
    act::{Engine, Needs, Occurrence, Plan, Registry, Standing},
    decide::{Check, Event, Mode},
};

use super::{ConfigArgs, Ended, Refused};
use crate::worker::{assemble, audit::Audit};

/// Explain why an event would or would not match, and what would be done.
///
/// Exits with 0 if some playbook matches, 1 if none does, 2 if it can't be told.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  stoop explain event.json                one event, as Falco or Falcosidekick writes it
  stoop event --rule 'Terminal shell in container' --pod shop/web | stoop explain - --cluster
  stoop explain event.json --playbook shell-in-container
                                          every condition of one playbook")]
pub struct Explain {
    #[command(flatten)]
    config: ConfigArgs,

    /// A file with the event; `-` is standard input
    event: PathBuf,

    /// Only this playbook
    #[arg(long, value_name = "NAME")]
    playbook: Option<String>,

    /// Verify the target on the API server too; nothing is changed
    #[arg(long)]
    cluster: bool,
}

impl Explain {
    pub(super) async fn run(self) -> Ended {
        let payload = self.read()?;
        let event = Event::decode(&payload)?;
        let config = self.config.load()?;
        let (registry, audit) = (Registry::standard(), Audit::to(std::io::sink()));
        let cluster = assemble::cluster(&config).await;
        let worker = assemble::worker(&config, &registry, cluster, Mode::Observe, audit)?;
        println!("{} · {} · {}", event.rule, event.priority, event.time);
        let cluster = event.cluster(&config.cluster.field)?.map(|name| name.into_owned());
        let id = event.id(cluster.as_deref())?;
        let claim = event.claim()?;
        let occurrence = Occurrence::new(&event, id, cluster, payload.clone().into())?;

        let plans: Vec<_> = worker.rules.plans().iter().filter(|plan| self.wants(plan)).collect();
        if let (true, Some(name)) = (plans.is_empty(), &self.playbook) {
            return Err(Refused(format!(
                "no playbook is called `{name}`: `stoop check` lists them"
            )));
        }
        let standing = if self.cluster {
            let needs = plans.iter().map(|plan| plan.needs()).fold(Needs::default(), Needs::and);
            verify(&worker.engine, &claim, &occurrence, needs).await?
        } else {
            None
        };
        let mut matching = 0;
        for plan in plans {
            let mut checks = plan.playbook.explain(&event);
            if let Some(target) = standing.as_ref().and_then(Standing::target) {
                checks.extend(plan.playbook.explain_object(target.facts()));
            }
            let matches = checks.iter().all(|check| check.passed);
            matching += usize::from(matches);
            show(plan, &checks, matches);
        }
        if !self.cluster && worker.rules.plans().iter().any(|plan| plan.needs_target()) {
            println!("\nthe target was not verified: --cluster does");
        }
        Ok(if matching > 0 { ExitCode::SUCCESS } else { ExitCode::from(1) })
    }

    fn wants(&self, plan: &Plan) -> bool {
        self.playbook.as_ref().is_none_or(|name| plan.playbook.name == *name)
    }

    fn read(&self) -> Result<Vec<u8>, Refused> {
        if self.event.as_os_str() != "-" {
            let name = self.event.display();
            return std::fs::read(&self.event).map_err(|error| Refused(format!("{name}: {error}")));
        }
        let mut input = std::io::stdin();
        if input.is_terminal() {
            return Err(Refused(
                "an event is expected on standard input: pipe one in, or name a file".into(),
            ));
        }
        let mut payload = Vec::new();
        input.read_to_end(&mut payload)?;
        Ok(payload)
    }
}

async fn verify(
    engine: &Engine,
    claim: &playbooks::decide::Claim,
    occurrence: &Occurrence,
    needs: Needs,
) -> Result<Option<Standing>, Refused> {
    let standing = Standing::of(engine.verify(claim, occurrence, needs).await?);
    match &standing {
        None => println!("target: another cluster's, passed over"),
        Some(Standing::Target(target)) => {
            println!("target: {} with uid {}", target.object(), target.uid())
        }
        Some(Standing::Gone(gone)) => println!("target: gone, {}", gone.why),
        Some(Standing::NoTarget) => println!("target: none, the event is about no pod"),
        Some(Standing::Unidentified(why)) => println!("target: not verified, {why}"),
    }
    Ok(standing)
}

fn show(plan: &Plan, checks: &[Check], matches: bool) {
    println!("\n{}: {}", plan.playbook.name, if matches { "matches" } else { "does not match" });
    for check in checks {
        println!("  {} {}: {}", if check.passed { "yes" } else { "NO " }, check.what, check.why);
    }
    if matches {
        let would = plan.describe().join(", then ");
        println!("  => in mode {}: {would}", plan.playbook.mode.as_str());
    }
}
