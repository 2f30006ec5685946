//! `stoop check --cluster --probe`: whether the network enforces policies, tried with two pods.

use std::time::Duration;

use clap::Args;
use playbooks::act::{Api, Aspect, Finding, Probe as Pods};

use crate::{
    cli::{
        Refused,
        output::say,
        signals::{self, Words},
    },
    config::Config,
};

/// How long it may take in all: nodes may have to pull the image.
const PATIENCE: Duration = Duration::from_secs(180);

/// What a probe takes.
#[derive(Debug, Args)]
pub(super) struct Probe {
    /// Find out whether the network enforces policies, with two short-lived pods
    #[arg(long, requires = "cluster", requires = "probe_image")]
    probe: bool,

    /// What the pods run: an image with `sh` and `nc` that every node can pull, best by digest
    #[arg(long, value_name = "IMAGE", requires = "probe")]
    probe_image: Option<String>,

    /// Where the pods are made [default: `namespace` of the configuration]
    #[arg(long, value_name = "NAMESPACE", requires = "probe")]
    probe_namespace: Option<String>,
}

impl Probe {
    /// Tries it, if it was asked for; false where something is not enforced or could not be told.
    pub(super) async fn run(self, config: &Config, api: &Api) -> Result<bool, Refused> {
        let (true, Some(image)) = (self.probe, self.probe_image) else { return Ok(true) };
        let pods = Pods {
            namespace: self.probe_namespace.unwrap_or_else(|| config.namespace.clone()),
            image,
            patience: PATIENCE,
        };
        say(format_args!("network, tried with two pods in {}", pods.namespace))?;
        let stop = signals::watch(Words {
            asked: "cleaning up",
            insisted: "left as it is: the next probe in this namespace cleans up",
        })?;
        pods.clean(api).await?;
        let found = signals::unless_asked(&stop, Box::pin(pods.run(api))).await;
        let cleaned = pods.clean(api).await;
        if let Err(failure) = &cleaned {
            say(format_args!("  not cleaned up, the next probe tries again: {failure}"))?;
        }
        let all_told = match found {
            None => {
                say("  stopped before anything was found out")?;
                false
            }
            Some(found) => {
                let found = found?;
                for (aspect, finding) in &found {
                    say(format_args!("  {aspect}: {finding}"))?;
                }
                for line in advice(&found, config) {
                    say(format_args!("  {line}"))?;
                }
                found.iter().all(|(_, finding)| *finding == Finding::Enforces)
            }
        };
        Ok(all_told && cleaned.is_ok())
    }
}

/// What to set, by what was found.
fn advice(found: &[(Aspect, Finding)], config: &Config) -> Vec<String> {
    let of = |aspects: &[Aspect]| -> Vec<&Finding> {
        let about = found.iter().filter(|(aspect, _)| aspects.contains(aspect));
        about.map(|(_, finding)| finding).collect()
    };
    let cluster = &config.cluster;
    let keys = [
        (
            "enforcesNetworkPolicies",
            cluster.enforces_network_policies,
            of(&[Aspect::Ingress, Aspect::Egress]),
        ),
        (
            "enforcesClusterNetworkPolicies",
            cluster.enforces_cluster_network_policies,
            of(&[Aspect::ClusterDeny]),
        ),
    ];
    let say = |(key, is_set, findings): (&str, bool, Vec<&Finding>)| {
        let enforced = !findings.is_empty() && findings.iter().all(|it| **it == Finding::Enforces);
        let refuted = findings.iter().any(|it| **it == Finding::DoesNot);
        match (is_set, enforced, refuted) {
            (false, true, _) => Some(format!("set cluster.{key}: true")),
            (true, _, true) => Some(format!(
                "cluster.{key} is true, which is wrong: take it out, or isolations that hold nothing are called effective"
            )),
            _ => None,
        }
    };
    keys.into_iter().filter_map(say).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_seen_says_what_to_set_and_what_to_take_out() {
        use Aspect::{ClusterDeny, Egress, Ingress};
        use Finding::{DoesNot, Enforces};
        let unknown = || Finding::CouldNotTell("gone".into());
        let table = [
            (
                vec![(Ingress, Enforces), (Egress, Enforces)],
                false,
                "set cluster.enforcesNetworkPolicies: true",
            ),
            (vec![(Ingress, Enforces), (Egress, Enforces)], true, ""),
            // One direction alone is not what an isolation rests on.
            (vec![(Ingress, Enforces), (Egress, DoesNot)], false, ""),
            (vec![(Ingress, Enforces), (Egress, unknown())], false, ""),
            (vec![(Ingress, unknown()), (Egress, unknown())], true, ""),
            (
                vec![(Ingress, Enforces), (Egress, DoesNot)],
                true,
                "cluster.enforcesNetworkPolicies is true, which is wrong",
            ),
            (
                vec![(ClusterDeny, Enforces)],
                false,
                "set cluster.enforcesClusterNetworkPolicies: true",
            ),
        ];
        for (found, is_set, said) in table {
            let mut config = Config::default();
            config.cluster.enforces_network_policies = is_set;
            let advice = advice(&found, &config).join("; ");
            assert_eq!(advice.is_empty(), said.is_empty(), "{found:?}: {advice}");
            assert!(advice.contains(said), "{found:?}: {advice}");
        }
    }
}
