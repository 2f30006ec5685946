//! `stoop check`: configuration, playbooks and, with `--cluster`, permissions; with `--probe` the network too.

mod probe;

use std::{io, process::ExitCode};

use clap::Args;
use playbooks::act::{
    Api, Guardrails, KillSwitchState, Permission, PlaybookKind, Records, Registry,
};

use super::{
    ConfigArgs, Ended,
    objects::{self, Found},
    output::say,
};
use crate::{
    config::Config,
    worker::{assemble, responses, rules::Rules},
};

/// Check configuration and playbooks, and with --cluster the permissions.
///
/// With `playbookObjects` and --cluster also the playbooks that are objects. Exits with 0 if all is well, 1 if a permission is
/// missing, a playbook that is an object is not in force or its kind not defined, the kill switch can't be read, or the
/// network does not enforce policies as far as could be told, 2 if something else can't.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  stoop check                             what a worker would run with
  stoop check -c prod.yaml --cluster      and whether the API server would let it
  stoop check --cluster --probe --probe-image busybox@sha256:...
                                          and whether the network enforces NetworkPolicies")]
pub struct Check {
    #[command(flatten)]
    config: ConfigArgs,

    /// Ask the API server whether we may do what the playbooks say; nothing is changed
    #[arg(long)]
    cluster: bool,

    #[command(flatten)]
    probe: probe::Probe,
}

impl Check {
    pub(super) async fn run(self) -> Ended {
        let config = self.config.load_usable()?;
        let resources = assemble::resources(&config)?;
        let registry = Registry::standard();
        let mut rules = assemble::rules(&config, &registry, &resources)?;
        let guardrails = assemble::guardrails(&config)?;
        show(&config, &rules)?;
        if !self.cluster {
            if config.playbook_objects {
                say("  and those that are objects: --cluster looks at them")?;
            }
            return Ok(ExitCode::SUCCESS);
        }
        let api = Api::connect(None, config.limits.action_timeout.0).await?;
        let (mut following, mut bad) = (Vec::new(), 0);
        if config.playbook_objects {
            following = PlaybookKind::rights();
            let found = objects::look(&api, &config, &rules, &registry, &resources).await?;
            bad = show_objects(&found)?;
            let good = found.into_iter().filter_map(|found| match found {
                Found::InForce(_, plan) => Some(plan),
                Found::NotInForce(_) | Found::Undefined(_) => None,
            });
            rules = Rules::joining(rules.plans().iter().cloned().chain(good).collect(), None);
        }
        let rights = rules.rights(&guardrails).into_iter().chain(resources.notifiers.rights());
        let rights = rights.chain(following);
        let mut needed: Vec<_> = rights.map(|right| right.permission).collect();
        // As `stoop rbac`: what only watches writes nothing down.
        if config.playbook_objects || rules.plans().iter().any(|plan| plan.is_recorded()) {
            let records = assemble::records(&config, api.clone(), "check")?;
            if records.shelf().is_there().await? {
                needed.extend(Records::permissions(&config.namespace));
            } else {
                responses::refuse(rules.plans())?;
                say(format_args!("responses\n  {}", responses::WITHOUT))?;
            }
        }
        needed.sort();
        needed.dedup();
        let missing = ask(&api, &needed).await?;
        let readable = look_at_the_kill_switch(&config, &guardrails, &api).await?;
        if missing > 0 {
            say(format_args!(
                "\n{missing} of {} permissions are missing: `stoop rbac` prints the roles that grant them",
                needed.len()
            ))?;
        }
        let enforced = self.probe.run(&config, &api).await?;
        Ok(if missing == 0 && readable && enforced && bad == 0 {
            ExitCode::SUCCESS
        } else {
            ExitCode::from(1)
        })
    }
}

fn show(config: &Config, rules: &Rules) -> io::Result<()> {
    say("subscriptions")?;
    for (name, subscription) in config.streams() {
        let broker = subscription.broker().map_or("?", |broker| broker.as_str());
        say(format_args!("  {name}: {broker}, {} at once", subscription.concurrency))?;
    }
    say("playbooks")?;
    if rules.plans().is_empty() {
        say(match config.playbook_objects {
            false => "  none: every event would be acknowledged and nothing done",
            true => "  none in files",
        })?;
    }
    for plan in rules.plans() {
        let playbook = &plan.playbook;
        say(format_args!(
            "  {} ({}): {}",
            playbook.name,
            playbook.mode.as_str(),
            plan.describe().join(", then ")
        ))?;
    }
    Ok(())
}

/// Says how each object stands, and counts what is not as it should be.
fn show_objects(found: &[Found]) -> io::Result<usize> {
    say("playbooks as objects")?;
    let mut bad = 0;
    for found in found {
        match found {
            Found::InForce(key, plan) => {
                let mode = plan.playbook.mode.as_str();
                say(format_args!("  {key} ({mode}): {}", plan.describe().join(", then ")))?;
                continue;
            }
            Found::NotInForce(why) => say(format_args!("  NOT in force: {why}"))?,
            Found::Undefined(kind) => say(format_args!(
                "  {kind}: NOT defined, and no worker takes anything in before it is: \
                 `stoop crds | kubectl apply -f -`, or leave playbookObjects out"
            ))?,
        }
        bad += 1;
    }
    Ok(bad)
}

/// Prints an answer for each permission, and counts the ones that are missing.
async fn ask(api: &Api, needed: &[Permission]) -> Result<usize, super::Refused> {
    say("permissions")?;
    let mut missing = 0;
    for permission in needed {
        let allowed = api.can_i(permission).await?;
        missing += usize::from(!allowed);
        say(format_args!("  {} {permission}", if allowed { "yes" } else { "NO " }))?;
    }
    Ok(missing)
}

/// Says what the kill switch's ConfigMap says, if one is configured; false if it can't be read.
async fn look_at_the_kill_switch(
    config: &Config,
    guardrails: &Guardrails,
    api: &Api,
) -> io::Result<bool> {
    let Some(name) = &config.kill_switch.config_map else { return Ok(true) };
    let says = match guardrails.kill_switch(api).await {
        Ok(Some(KillSwitchState::On)) => "on: nothing is changed".to_owned(),
        Ok(Some(KillSwitchState::Off)) | Ok(None) => "off".to_owned(),
        Ok(Some(KillSwitchState::Missing)) => format!(
            "not there, which counts as off; to have it at hand:\n  \
             kubectl -n {} create configmap {name} --from-literal=stop=off",
            config.namespace
        ),
        Err(failure) => {
            say(format_args!("kill switch\n  {failure}"))?;
            return Ok(false);
        }
    };
    say(format_args!("kill switch\n  ConfigMap {}/{name}: {says}", config.namespace))?;
    Ok(true)
}
