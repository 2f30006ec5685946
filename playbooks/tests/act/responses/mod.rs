//! Responses that outlive their worker: what is written when, what another finds, what is taken back.

mod approvals;
mod definition;
mod recording;
mod sharing;
pub(crate) mod shelf;
mod sweeping;
mod undoing;

use std::time::Duration;

use playbooks::act::{Api, Records};

use crate::fixtures::{Bench, Setup};

/// How long an action may take, as far as claims are concerned.
pub(crate) const ACTION: Duration = Duration::from_secs(30);

/// A worker of this name that writes down what it does.
pub(crate) fn worker(name: &str, api: Api) -> Bench {
    recording(name, Setup::new(api.clone()), api)
}

pub(crate) fn recording(name: &str, setup: Setup, api: Api) -> Bench {
    let mut bench = setup.build();
    bench.engine = bench.engine.recording(Records::new(api, "stoop", name, ACTION));
    bench
}
