//! What the worker is at, and not what it has counted.

use prometheus::{IntGauge, IntGaugeVec};

use super::define::Shelf;

/// What the worker says of itself at a scrape.
#[derive(Debug)]
pub(crate) struct State {
    pub(crate) ready: IntGauge,
    pub(crate) outage: IntGaugeVec,
    pub(crate) playbooks: IntGaugeVec,
    pub(crate) playbooks_refused: IntGauge,
    pub(crate) objects_refused: IntGaugeVec,
    pub(crate) breaker_open: IntGauge,
    pub(crate) breaker_owners: IntGauge,
    pub(crate) budget_used: IntGaugeVec,
    pub(crate) budget_limit: IntGaugeVec,
    pub(crate) kill_switch: IntGaugeVec,
}

impl State {
    pub(super) fn new(shelf: &mut Shelf) -> prometheus::Result<Self> {
        Ok(Self {
            ready: shelf.gauge("ready", "1 while /readyz says so")?,
            outage: shelf.gauges("outage", "1 while something depended on is away", &["dependency"])?,
            playbooks: shelf.gauges("playbooks", "Playbooks in force, by how far they may go", &["mode"])?,
            playbooks_refused: shelf.gauge(
                "playbooks_refused",
                "1 while the playbooks' files can't be used or the objects not be seen, and the last good ones are in force",
            )?,
            objects_refused: shelf.gauges(
                "playbook_objects_refused",
                "Playbooks that are objects and not in force as they are written, by why",
                &["kind", "reason"],
            )?,
            breaker_open: shelf.gauge("breaker_open", "1 while half of the recent changes failed and none is tried")?,
            breaker_owners: shelf.gauge(
                "breaker_owners",
                "Owners whose pods were contained so often that no other of them is",
            )?,
            budget_used: shelf.gauges(
                "budget_used",
                "Tokens that are out of a playbook's budget, where most are, as far as this worker has seen",
                &["playbook", "scope"],
            )?,
            budget_limit: shelf.gauges(
                "budget_limit",
                "Tokens that a playbook's budget has in a window",
                &["playbook", "scope"],
            )?,
            kill_switch: shelf.gauges(
                "kill_switch",
                "1 for what the kill switch was found to be: on, off, or unreadable, which stops every change too",
                &["state"],
            )?,
        })
    }
}
