//! The book holds: its links lead somewhere, its YAML is read by the real readers, its commands by the real command line,
//! and what it says of types, flags and rights is written from them.
//!
//! `STOOP_BLESS=1` writes anew what is generated. No servers: what needs one is named in `commands.rs`, with where it is run.

mod actions;
mod book;
mod commands;
#[path = "../letters/desk.rs"]
#[allow(dead_code, clippy::unwrap_used, reason = "the tests of dead letters use all of it")]
mod desk;
mod page;
mod reference;
mod settings;
mod shell;
#[path = "../cli/stage.rs"]
#[allow(dead_code, reason = "the tests of the command line use all of it")]
mod stage;
mod worker;
