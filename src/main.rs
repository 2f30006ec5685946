//! The `stoop` program.

use std::{io, process::ExitCode, time::Duration};

use clap::Parser;
use stoop::cli::Cli;

/// How long a client may take in the end to leave its broker. One whose broker does not answer would take for ever.
const FAREWELL: Duration = Duration::from_secs(2);

fn main() -> io::Result<ExitCode> {
    // Chosen before any TLS: with two providers linked rustls panics rather than guess.
    if rustls::crypto::ring::default_provider().install_default().is_err() {
        unreachable!("nothing else installs a provider before main does");
    }
    let command = Cli::parse();
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    let code = runtime.block_on(command.run());
    runtime.shutdown_timeout(FAREWELL);
    Ok(code)
}
