//! `stoop release`: gives an isolated pod its labels and its network back.

use std::process::ExitCode;

use clap::Args;
use playbooks::act::{Api, Isolated, Reverted, Uid, revert_isolation};

use super::{ConfigArgs, Ended, Refused, event::pod, output::say};

/// Give an isolated pod its labels and its network back.
#[derive(Debug, Args)]
#[command(after_help = "\
Only what is still as stoop left it is taken back: a label that somebody has set since stays, and so does a policy of
stoop's whose spec somebody has changed. Twice changes nothing.

Examples:
  stoop release shop/web-7d4b9
  stoop release shop/web-7d4b9 --uid 0b6f1d3c-7e58-4c0e-9a41-3d2f7c1b5a90   of a pod that is gone: its policies")]
pub struct Release {
    #[command(flatten)]
    config: ConfigArgs,

    /// The pod
    #[arg(value_name = "NAMESPACE/NAME", value_parser = pod)]
    pod: (String, String),

    /// Its uid [default: that of the live pod]
    #[arg(long)]
    uid: Option<String>,
}

impl Release {
    pub(super) async fn run(self) -> Ended {
        let config = self.config.load()?;
        let api = Api::connect(None, config.limits.action_timeout.0).await?;
        let (namespace, name) = self.pod;
        let isolated = match self.uid {
            Some(uid) => Isolated { namespace, name, uid: Uid::new(uid) },
            None => {
                let live = Isolated::live(&api, &namespace, &name).await?;
                live.ok_or_else(|| {
                    Refused(format!(
                        "there is no pod {namespace}/{name}: name one that is gone by --uid as well"
                    ))
                })?
            }
        };
        let done = revert_isolation(&api, &isolated).await?;
        say(tell(&isolated, &done))?;
        Ok(if done.left.is_empty() { ExitCode::SUCCESS } else { ExitCode::from(1) })
    }
}

fn tell(isolated: &Isolated, done: &Reverted) -> String {
    let mut lines = vec![format!(
        "{}/{}, uid {}: {}",
        isolated.namespace,
        isolated.name,
        isolated.uid,
        if done.changed { "released" } else { "nothing of an isolation is there" }
    )];
    lines.extend(done.found().map(|(what, names)| format!("  {what}: {}", names.join(", "))));
    lines.join("\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_given_back_and_what_was_left_is_said() {
        let pod = Isolated { namespace: "shop".into(), name: "web".into(), uid: Uid::new("u") };
        assert_eq!(
            tell(&pod, &Reverted::default()),
            "shop/web, uid u: nothing of an isolation is there"
        );
        let done = Reverted {
            restored: vec!["app".into(), "hash".into()],
            left: vec!["stoop-quarantine-1".into()],
            changed: true,
            ..Reverted::default()
        };
        assert_eq!(
            tell(&pod, &done),
            "shop/web, uid u: released\n  labels that it has again: app, hash\n  policies that somebody has changed \
             since, left: delete them by hand: stoop-quarantine-1"
        );
    }
}
