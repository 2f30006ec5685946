//! The `stoop` program.

use std::process::ExitCode;

use clap::Parser;
use stoop::cli::Cli;

#[tokio::main]
async fn main() -> ExitCode {
    // Chosen before any TLS: with two providers linked rustls panics rather than guess.
    if rustls::crypto::ring::default_provider().install_default().is_err() {
        unreachable!("nothing else installs a provider before main does");
    }
    Cli::parse().run().await
}
