//! `stoop import`: another tool's rules as playbooks.

use std::{
    fs::{self, OpenOptions},
    io::{self, ErrorKind, Write},
    path::{Path, PathBuf},
    process::ExitCode,
};

use clap::{Args, Subcommand, ValueEnum};
use playbooks::decide::Mode;

use super::{
    Ended, Refused,
    dlq::safe,
    output::{say, write},
};
use crate::import::{Draft, Imported, Kind, KreOptions, KreVariable, import_kre, import_talon};

/// Turn another tool's rules into playbooks.
///
/// What can't be carried over is told on standard error and stands in the playbook as a comment. Exits with 0 if
/// everything could be, with 1 if something could not, and with 2 if it could not be tried.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  stoop import talon rules.yaml --out playbooks
                                        falco-talon's rules, a file each
  stoop import talon rules.yaml rules_override.yaml > playbooks/talon.yaml
                                        several files, put together as Talon does
  stoop import kre -p slack -e SLACK_WEBHOOK_URL=https://hooks.slack.com/… -s 'falco.error.*'
                                        the flags of the Kubernetes Response Engine's deploy_playbook")]
pub struct Import {
    #[command(subcommand)]
    from: From,
}

#[derive(Debug, Subcommand)]
enum From {
    /// Turn falco-talon's rules files into playbooks
    #[command(after_help = "\
Example:
  stoop import talon rules.yaml --out playbooks && stoop check")]
    Talon(Talon),
    /// Turn a playbook of the Kubernetes Response Engine into one of stoop's, by the flags it was deployed with
    #[command(after_help = "\
Examples:
  stoop import kre -p delete -s falco.notice.terminal_shell_in_container
  stoop import kre -p taint -s 'falco.error.*' -e TAINT_EFFECT=NoExecute --out playbooks")]
    Kre(Kre),
}

#[derive(Debug, Args)]
struct Talon {
    /// Rules files, in the order in which Talon is given them
    #[arg(required = true, value_name = "FILE")]
    files: Vec<PathBuf>,

    #[command(flatten)]
    to: To,
}

#[derive(Debug, Args)]
struct Kre {
    /// The playbook: delete, isolate, taint, capture, slack, demisto, phantom, or one of your own
    #[arg(short, long, value_name = "NAME")]
    playbook: String,

    /// A variable of its environment; those that are secrets are not written down
    #[arg(short, long, value_name = "NAME=VALUE")]
    environment: Vec<KreVariable>,

    /// Which events, such as `falco.error.*`
    #[arg(short, long, value_name = "SUBJECT")]
    subscription: Vec<String>,

    /// The Pub/Sub topic of deploy_playbook_gke
    #[arg(short, long, value_name = "NAME")]
    topic: Option<String>,

    /// The cluster, of deploy_playbook_aws and _gke: a worker knows its own
    #[arg(short, value_name = "NAME")]
    k8s_cluster: Option<String>,

    /// The zone, of deploy_playbook_gke: not needed
    #[arg(short, value_name = "NAME")]
    zone: Option<String>,

    /// The project, of deploy_playbook_gke: not needed
    #[arg(short = 'n', value_name = "NAME")]
    project: Option<String>,

    #[command(flatten)]
    to: To,
}

#[derive(Debug, Args)]
struct To {
    /// A folder to write a file for each playbook to, instead of standard output
    #[arg(long, value_name = "DIR")]
    out: Option<PathBuf>,

    /// Write over files that are there
    #[arg(long, requires = "out")]
    force: bool,

    /// What the playbooks may do; a rule with `dry_run: true` only observes, whatever this says
    #[arg(long, value_enum, default_value_t)]
    mode: Allowed,
}

#[derive(Clone, Copy, Debug, Default, ValueEnum)]
enum Allowed {
    /// Only say what would be done
    #[default]
    Observe,
    /// Send changes as the API server's dry run
    #[value(name = "dryRun")]
    DryRun,
    /// Act
    Enforce,
}

impl std::convert::From<Allowed> for Mode {
    fn from(allowed: Allowed) -> Mode {
        match allowed {
            Allowed::Observe => Mode::Observe,
            Allowed::DryRun => Mode::DryRun,
            Allowed::Enforce => Mode::Enforce,
        }
    }
}

impl Import {
    pub(super) fn run(self) -> Ended {
        match self.from {
            From::Talon(Talon { files, to }) => {
                let read = |path: &PathBuf| {
                    let name = path.display().to_string();
                    let text = fs::read_to_string(path);
                    text.map(|text| (name.clone(), text))
                        .map_err(|error| Refused(format!("{name}: {error}")))
                };
                let texts = files.iter().map(read).collect::<Result<Vec<_>, _>>()?;
                let imported = import_talon(&texts, to.mode.into()).map_err(|errors| {
                    let each = errors.iter().map(|error| safe(&error.to_string()));
                    Refused(each.collect::<Vec<_>>().join("\n"))
                })?;
                to.end(&imported)
            }
            From::Kre(kre) => {
                let options = KreOptions {
                    playbook: kre.playbook,
                    environment: kre.environment,
                    subscriptions: kre.subscription,
                    topic: kre.topic,
                };
                let imported = import_kre(&options, kre.to.mode.into()).map_err(Refused)?;
                kre.to.end(&imported)
            }
        }
    }
}

impl To {
    fn end(&self, imported: &Imported) -> Ended {
        match &self.out {
            None => {
                let texts: Vec<_> = imported.drafts.iter().map(Draft::text).collect();
                write(texts.join("---\n").as_bytes())?;
            }
            Some(folder) => self.write_to(folder, &imported.drafts)?,
        }
        tell(imported)?;
        Ok(if imported.lost_something() { ExitCode::from(1) } else { ExitCode::SUCCESS })
    }

    /// All files or none, unless the disk or somebody else comes between.
    fn write_to(&self, folder: &Path, drafts: &[Draft]) -> Result<(), Refused> {
        let of = |error: io::Error, path: &Path| Refused(format!("{}: {error}", path.display()));
        fs::create_dir_all(folder).map_err(|error| of(error, folder))?;
        let path = |draft: &Draft| folder.join(format!("{}.yaml", draft.name()));
        let there: Vec<_> = drafts.iter().map(path).filter(|path| path.exists()).collect();
        if let (false, Some(first)) = (self.force, there.first()) {
            let more = match there.len() {
                1 => String::new(),
                many => format!(" and {} more", many - 1),
            };
            return Err(Refused(format!(
                "{} is there already{more}: --force writes over them, --out DIR takes another folder",
                first.display()
            )));
        }
        for draft in drafts {
            let path = path(draft);
            let mut options = OpenOptions::new();
            options.write(true).truncate(self.force).create(self.force).create_new(!self.force);
            let written =
                options.open(&path).and_then(|mut file| file.write_all(draft.text().as_bytes()));
            written.map_err(|error| of(error, &path))?;
            say(path.display())?;
        }
        Ok(())
    }
}

/// What there is to say about it, on standard error: playbooks go to standard output.
fn tell(imported: &Imported) -> io::Result<()> {
    let mut out = String::new();
    for remark in imported.remarks() {
        out.push_str(&format!("{}\n", safe(&remark.to_string())));
    }
    if !imported.needs.is_empty() {
        out.push_str(&format!("stoop.yaml has to have:\n{}", safe(&imported.needs.text())));
    }
    let of = |kind| imported.remarks().filter(|remark| remark.kind() == kind).count();
    let playbooks = imported.drafts.iter().filter(|draft| draft.is_playbook()).count();
    out.push_str(&format!(
        "{playbooks} of {} became playbooks; not carried over: {}; differs: {}\n",
        imported.drafts.len(),
        of(Kind::Lost),
        of(Kind::Differs)
    ));
    match io::stderr().write_all(out.as_bytes()) {
        Err(error) if error.kind() == ErrorKind::BrokenPipe => Ok(()),
        written => written,
    }
}
