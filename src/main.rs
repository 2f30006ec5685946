//! The `stoop` program.

use std::process::ExitCode;

use clap::Parser;
use stoop::cli::Cli;

/// Messages are allocated on one thread and freed on another, which the system's allocator is slow at: the intake takes an
/// eighth more with this one.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

#[tokio::main]
async fn main() -> ExitCode {
    // Chosen before any TLS: with two providers linked rustls panics rather than guess.
    if rustls::crypto::ring::default_provider().install_default().is_err() {
        unreachable!("nothing else installs a provider before main does");
    }
    Cli::parse().run().await
}
