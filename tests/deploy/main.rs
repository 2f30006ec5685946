//! What is in `deploy/`: the chart as Helm renders it and as a real API server takes it, and that what was generated from the
//! code is what the code says now. `STOOP_BLESS=1` writes that anew.

mod chart;
mod cluster;
mod compose;
mod fleet;
mod generated;
mod observing;
mod refusals;
mod rendering;
mod rights;
mod ways;
