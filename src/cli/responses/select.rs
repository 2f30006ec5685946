//! Which responses a command is about.

use clap::Args;
use playbooks::act::{Phase, StoredResponse};

/// Conditions on responses; all of them have to hold.
#[derive(Debug, Args)]
pub(super) struct Conditions {
    /// Only those of this playbook
    #[arg(long, value_name = "NAME")]
    playbook: Option<String>,

    /// Only those whose target is in this namespace
    #[arg(long, short, value_name = "NAME")]
    namespace: Option<String>,

    /// Only those that stand there: Running, Pending, Succeeded, Failed, Refused, Denied, Expired, Reverted
    #[arg(long, value_parser = phase)]
    phase: Option<Phase>,
}

impl Conditions {
    pub(super) fn want(&self, stored: &StoredResponse) -> bool {
        let target = stored.spec.target.as_ref();
        let namespace = target.and_then(|target| target.namespace.as_ref());
        self.playbook.as_ref().is_none_or(|wanted| *wanted == stored.spec.playbook)
            && self.namespace.as_ref().is_none_or(|wanted| namespace == Some(wanted))
            && self.phase.is_none_or(|wanted| wanted == stored.phase())
    }

    /// True where everything would be wanted.
    pub(super) fn are_none(&self) -> bool {
        self.playbook.is_none() && self.namespace.is_none() && self.phase.is_none()
    }
}

fn phase(text: &str) -> Result<Phase, String> {
    let known = Phase::ALL.into_iter().find(|phase| phase.as_str().eq_ignore_ascii_case(text));
    known.ok_or_else(|| format!("known are {}", Phase::ALL.map(Phase::as_str).join(", ")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_phase_is_known_whatever_its_case() {
        assert_eq!(phase("pending"), Ok(Phase::Pending));
        assert!(phase("done").unwrap_err().contains("Succeeded"));
    }
}
