//! The examples of `examples/playbooks`, one for each demo that they come from, played all the way: the event as it
//! arrives, on a real broker; the program with the examples' own files; a real API server, under the role that
//! `stoop rbac` prints for them; and whoever is told.
//!
//! The files are taken as they stand. What a user fills in is set from the environment, and `mode: enforce` is written
//! into the one that is to act.

mod cluster;
mod event;
mod setting;
mod sinks;
mod stream;

mod container_day;
mod gke;
mod kubeless;
mod openshift;
mod tekton;
mod watching;
