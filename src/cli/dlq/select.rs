//! Which dead letters a command is about, as its arguments say.

use std::collections::BTreeMap;

use clap::Args;
use jiff::Timestamp;
use settings::Span;

use crate::{
    cli::Refused,
    config::{Config, Subscription},
    letters::Filter,
};

/// Conditions on dead letters; all have to hold.
#[derive(Clone, Debug, Args)]
pub(super) struct Conditions {
    /// The event's Falco rule
    #[arg(long)]
    rule: Option<String>,

    /// Why it was given up: failed, held-back, malformed, crashed
    #[arg(long)]
    reason: Option<String>,

    /// A playbook that failed on it
    #[arg(long, value_name = "NAME")]
    pub(super) playbook: Option<String>,

    /// It failed last since then: a time, or how long ago
    #[arg(long, value_name = "TIME|AGE", value_parser = moment)]
    since: Option<Timestamp>,

    /// It failed last before then: a time, or how long ago
    #[arg(long, value_name = "TIME|AGE", value_parser = moment)]
    until: Option<Timestamp>,
}

/// `2026-11-20T12:00:00Z`, or `7d` for seven days ago.
pub(in crate::cli) fn moment(text: &str) -> Result<Timestamp, String> {
    let ago = Span::parse(text).map(|span| Timestamp::now().checked_sub(span.0));
    match ago {
        Ok(Ok(time)) => Ok(time),
        Ok(Err(_)) => Ok(Timestamp::MIN),
        Err(_) => text.parse().map_err(|_| {
            format!("expected a time such as `2026-11-20T12:00:00Z`, or how long ago such as `7d`, found `{text}`")
        }),
    }
}

impl Conditions {
    pub(super) fn filter(&self) -> Filter {
        let Self { rule, reason, playbook, since, until } = self.clone();
        Filter { rule, reason, playbook, since, until }
    }

    /// Whether none is given.
    pub(super) fn are_none(&self) -> bool {
        let Self { rule, reason, playbook, since, until } = self;
        (rule.is_none() && reason.is_none() && playbook.is_none())
            && (since.is_none() && until.is_none())
    }
}

/// The subscription of this name, or the only one.
pub(in crate::cli) fn one_of(
    config: &Config,
    name: Option<&str>,
) -> Result<(String, Subscription), Refused> {
    let streams = config.streams();
    let known = streams.keys().cloned().collect::<Vec<_>>().join(", ");
    match name {
        Some(name) => streams
            .into_iter()
            .find(|(known, _)| known == name)
            .ok_or_else(|| Refused(format!("no subscription is called `{name}`; known: {known}"))),
        None => only(streams)
            .ok_or_else(|| Refused(format!("say which of them by --subscription: {known}"))),
    }
}

fn only(streams: BTreeMap<String, Subscription>) -> Option<(String, Subscription)> {
    let mut streams = streams.into_iter();
    streams.next().filter(|_| streams.next().is_none())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_moment_is_a_time_or_so_long_ago() {
        assert_eq!(moment("2026-11-20T12:00:00Z").unwrap().to_string(), "2026-11-20T12:00:00Z");
        let hour = std::time::Duration::from_secs(3600);
        let (before, ago, after) = (Timestamp::now(), moment("1h").unwrap(), Timestamp::now());
        assert!(before - hour <= ago && ago <= after - hour);
        assert!(moment("99999999y").unwrap() < Timestamp::UNIX_EPOCH);
        assert!(moment("yesterday").unwrap_err().contains("`7d`"));
    }
}
