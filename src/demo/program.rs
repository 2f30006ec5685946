//! This very program as another process: the worker, and what a person would call.

use std::{path::Path, process::Stdio};

use tokio::process::Command;

/// What could lead requests away from loopback.
const PROXIES: [&str; 6] =
    ["http_proxy", "HTTP_PROXY", "https_proxy", "HTTPS_PROXY", "all_proxy", "ALL_PROXY"];

/// Where a command finds what the stage has: the configuration and the cluster.
#[derive(Clone, Copy)]
pub(super) struct Place<'a> {
    pub(super) config: &'a Path,
    pub(super) kubeconfig: &'a Path,
}

/// What a command has said and come to.
#[derive(Debug)]
pub(super) struct Ran {
    pub(super) succeeded: bool,
    /// Standard output, then standard error.
    pub(super) said: String,
}

/// Has the command know this place, and nothing of a real worker's settings that are in the environment.
pub(super) fn undisturbed(command: &mut Command, place: Place<'_>) {
    let settings = std::env::vars_os().map(|(name, _)| name);
    for name in settings.filter(|name| name.to_string_lossy().starts_with("STOOP_")) {
        command.env_remove(name);
    }
    for proxy in PROXIES {
        command.env_remove(proxy);
    }
    command.env("STOOP_CONFIG", place.config).env("KUBECONFIG", place.kubeconfig);
}

/// Runs a command of stoop's to its end.
pub(super) async fn run(place: Place<'_>, arguments: &[&str]) -> std::io::Result<Ran> {
    let mut command = Command::new(std::env::current_exe()?);
    undisturbed(&mut command, place);
    command.args(arguments).stdin(Stdio::null()).kill_on_drop(true);
    let output = command.output().await?;
    let texts =
        [output.stdout, output.stderr].map(|text| String::from_utf8_lossy(&text).into_owned());
    Ok(Ran { succeeded: output.status.success(), said: texts.concat().trim_end().to_owned() })
}
