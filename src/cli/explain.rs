//! `stoop explain`: why an event would or would not match, and what would be done.

use std::{
    io::{self, IsTerminal, Read},
    path::PathBuf,
    process::ExitCode,
    sync::Arc,
};

use clap::Args;
use playbooks::{
    act::{Api, Needs, Occurrence, Plan, Registry, Resources, Standing},
    decide::{Check, Claim, Event, Holds, Mode, Playbook, Reach},
};

use super::{
    ConfigArgs, Ended, Refused,
    objects::{self, Found},
    output::say,
};
use crate::{
    audit::Audit,
    config::Config,
    worker::{assemble, rules::Rules},
};

/// Explain why an event would or would not match, and what would be done.
///
/// Exits with 0 if it concerns some playbook: one matches, or has a `when` that fails, which sends the event to the dead
/// letters. With 1 if it concerns none, and with 2 if it can't be told.
///
/// The playbooks are those of the files; with --cluster, where `playbookObjects` is on, the cluster's objects too.
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

    /// Verify the target on the API server too, and read the playbooks that are objects; nothing is changed
    #[arg(long)]
    cluster: bool,
}

impl Explain {
    pub(super) async fn run(self) -> Ended {
        let payload = self.read()?;
        let event = Event::decode(&payload)?;
        let config = self.config.load()?;
        let resources = assemble::resources(&config)?;
        let mut rules = assemble::rules(&config, &Registry::standard(), &resources)?;
        if self.cluster && config.playbook_objects {
            rules = with_objects(&config, &rules, &resources).await?;
        }
        let plans: Vec<_> = rules.plans().iter().filter(|plan| self.wants(plan)).collect();
        if let (true, Some(name)) = (plans.is_empty(), &self.playbook) {
            return Err(Refused(format!(
                "no playbook is called `{name}`: `stoop check` lists them"
            )));
        }
        say(format_args!("{} · {} · {}", event.rule, event.priority, event.time))?;
        let cluster = event.cluster(&config.cluster.field)?.map(|name| name.into_owned());
        let foreign = foreign(cluster.as_deref(), config.cluster.name.as_deref());
        let id = event.id(cluster.as_deref())?;
        let claim = event.claim()?;
        let occurrence = Occurrence::new(&event, id, cluster, payload.clone().into(), None)?;

        let standing = match self.cluster && foreign.is_none() {
            true => verify(&config, &claim, &occurrence, &plans).await?,
            false => None,
        };
        let namespace = claim.namespace.as_deref();
        let mut concerns = false;
        for plan in &plans {
            let mut checks = foreign.clone().into_iter().collect::<Vec<_>>();
            checks.extend(plan.playbook.explain(&event));
            let mut holds = Holds::all(&checks);
            if let Some(standing) = &standing {
                let of_object = explain_object(&plan.playbook, namespace, standing);
                // A `when` that fails is told before anyone asks whose object it is.
                if holds == Holds::Yes {
                    holds = Holds::all(&of_object);
                }
                checks.extend(of_object);
            }
            concerns |= holds != Holds::No;
            show(plan, &checks, holds)?;
        }
        if !self.cluster && plans.iter().any(|plan| plan.needs_target()) {
            say("\nthe target was not verified: --cluster does")?;
        }
        if !self.cluster && config.playbook_objects {
            say("\nplaybooks that are objects were not looked at: --cluster does")?;
        }
        Ok(if concerns { ExitCode::SUCCESS } else { ExitCode::from(1) })
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

/// The condition that another cluster's event fails, for every playbook.
fn foreign(theirs: Option<&str>, ours: Option<&str>) -> Option<Check> {
    let (theirs, ours) = theirs.zip(ours)?;
    let why = format!("this one is {ours}, the event is about {theirs}");
    (theirs != ours).then(|| Check::new("cluster", false, why))
}

/// The playbooks of the files, and beside them those objects that are in force.
async fn with_objects(
    config: &Config,
    files: &Rules,
    resources: &Resources,
) -> Result<Rules, Refused> {
    let api = Api::connect(None, config.limits.action_timeout.0).await?;
    let found = objects::look(&api, config, files, &Registry::standard(), resources).await?;
    let (mut plans, mut bad) = (files.plans().to_vec(), 0);
    for found in found {
        match found {
            Found::InForce(_, plan) => plans.push(plan),
            Found::NotInForce(_) | Found::Undefined(_) => bad += 1,
        }
    }
    if bad > 0 {
        say(format_args!(
            "not all playbooks that are objects are in force: `stoop check --cluster` says which are not, and why"
        ))?;
    }
    Ok(Rules::joining(plans, None))
}

/// What the API server says of the target now; `None` for another cluster's.
async fn verify(
    config: &Config,
    claim: &Claim,
    occurrence: &Occurrence,
    plans: &[&Arc<Plan>],
) -> Result<Option<Standing>, Refused> {
    let (registry, audit) = (Registry::standard(), Audit::to(io::sink()));
    let cluster = assemble::cluster(config).await;
    let worker = assemble::worker(config, &registry, cluster, Mode::Observe, audit)?;
    let needs = plans.iter().map(|plan| plan.needs()).fold(Needs::default(), Needs::and);
    let standing = Standing::of(worker.engine.verify(claim, occurrence, needs).await?);
    match &standing {
        None => say("target: another cluster's, passed over")?,
        Some(Standing::Target(target)) => {
            say(format_args!("target: {} with uid {}", target.object(), target.uid()))?;
        }
        Some(Standing::Node(node)) => {
            say(format_args!("target: {} with uid {}", node.object(), node.uid()))?;
        }
        Some(Standing::Gone(gone)) => say(format_args!("target: gone, {}", gone.why))?,
        Some(Standing::NoTarget) => say("target: none, the event is about no pod")?,
        Some(Standing::Unidentified(why)) => say(format_args!("target: not verified, {why}"))?,
    }
    Ok(standing)
}

/// What each condition on the object says, as the worker judges them by where the target stands.
fn explain_object(playbook: &Playbook, claimed: Option<&str>, standing: &Standing) -> Vec<Check> {
    if !playbook.needs_object() {
        return Vec::new();
    }
    match standing {
        Standing::Target(target) => playbook.explain_object(target.facts()),
        Standing::Gone(_) => {
            let why =
                format!("the target is gone, said to have been in {}", claimed.unwrap_or("none"));
            vec![Check::new("namespaces", playbook.could_select_in(claimed), why)]
        }
        Standing::Node(_) | Standing::NoTarget => {
            vec![Check::new("target", false, "the event is about no pod")]
        }
        // What is bound to a namespace is not even told of it.
        Standing::Unidentified(_) if matches!(playbook.reach, Reach::Namespace(_)) => {
            let why = "the target is not verified, and so in no namespace for certain";
            vec![Check::new("namespace", false, why)]
        }
        // It can't be ruled out: the playbook is asked, and the engine refuses.
        Standing::Unidentified(_) => Vec::new(),
    }
}

fn show(plan: &Plan, checks: &[Check], holds: Holds) -> io::Result<()> {
    let verdict = match holds {
        Holds::Yes => "matches",
        Holds::No => "does not match",
        Holds::Errs => "can't be told",
    };
    say(format_args!("\n{}: {verdict}", plan.playbook.name))?;
    for Check { what, holds, why } in checks {
        let mark = match holds {
            Holds::Yes => "yes",
            Holds::No => "NO ",
            Holds::Errs => "ERR",
        };
        say(format_args!("  {mark} {what}: {why}"))?;
    }
    match holds {
        Holds::No => Ok(()),
        Holds::Yes => {
            let would = plan.describe().join(", then ");
            say(format_args!("  => in mode {}: {would}", plan.playbook.mode.as_str()))
        }
        Holds::Errs => {
            let fails = checks.iter().filter(|check| check.holds == Holds::Errs);
            let fails: Vec<_> =
                fails.map(|check| format!("`{}` fails: {}", check.what, check.why)).collect();
            say(format_args!("  => goes to the dead letters: {}", fails.join("; ")))
        }
    }
}

#[cfg(test)]
mod tests {
    use playbooks::{
        act::{Gone, PlaybookKind, PlaybookObject},
        decide::read_text,
    };

    use super::*;

    fn holds(matching: &str, standing: &Standing) -> Holds {
        let text = format!(
            "apiVersion: stoop.dev/v1alpha1\nkind: Playbook\nmetadata: {{name: p}}\n\
             spec: {{match: {matching}, actions: [delete]}}\n"
        );
        let playbooks = read_text("p.yaml", &text).expect("a playbook");
        Holds::all(&explain_object(&playbooks[0], Some("shop"), standing))
    }

    #[test]
    fn a_condition_on_the_object_fails_where_there_is_none() {
        assert_eq!(holds("{namespaces: [shop]}", &Standing::NoTarget), Holds::No);
        assert_eq!(holds("{rules: R}", &Standing::NoTarget), Holds::Yes);
    }

    #[test]
    fn of_an_object_that_is_not_verified_nothing_is_ruled_out() {
        let unidentified = Standing::Unidentified("why".to_owned());
        assert_eq!(holds("{namespaces: [other]}", &unidentified), Holds::Yes);
    }

    #[test]
    fn what_is_bound_to_a_namespace_concerns_none_but_a_verified_object() {
        let object = serde_json::json!({
            "metadata": {"name": "p", "namespace": "shop", "uid": "u", "generation": 1, "resourceVersion": "1"},
            "spec": {"match": {"rules": ["R"]}, "actions": [{"delete": {}}]},
        });
        let object = serde_json::from_value(object).expect("an object");
        let object = PlaybookObject::of(PlaybookKind::Playbook, object).expect("a playbook");
        let bound = object.read().expect("a good one");
        for standing in [Standing::Unidentified("why".to_owned()), Standing::NoTarget] {
            let checks = explain_object(&bound, Some("shop"), &standing);
            assert_eq!(Holds::all(&checks), Holds::No, "{standing:?}");
        }
    }

    #[test]
    fn only_the_namespace_of_an_object_that_is_gone_counts() {
        let gone = Standing::Gone(Gone { object: None, why: "gone".to_owned(), is_final: false });
        assert_eq!(holds("{namespaces: [shop]}", &gone), Holds::Yes);
        assert_eq!(holds("{namespaces: [other]}", &gone), Holds::No);
        assert_eq!(holds("{target: {images: [app]}}", &gone), Holds::Yes);
    }
}
