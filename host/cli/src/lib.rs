//! The `capspawn` command, as a library: `main.rs` only calls [`main`].
//!
//! `capspawn run` is an embedding like any other and uses only the public interface of
//! the crate [`capspawn`]. `run` puts the parts together: `guest` holds the store's data
//! and runs the component, `bounds` limits the component, `events` writes the record for
//! the operator to an `event_file`, and `ask` asks the operator for approval. `check`, `explain` and
//! `doctor` need no WebAssembly and call the native core. `init` prints a `recipe`, and `manual` what the
//! command line, the table of keys (`reference`) and the `schemas` of JSON output document.

mod args;
mod ask;
mod bounds;
mod check;
mod confinement;
mod descriptors;
mod doctor;
mod event_file;
mod events;
mod explain;
mod guest;
mod init;
mod launcher;
mod learn;
mod load;
mod manual;
mod output;
mod recipe;
mod reference;
mod run;
mod schemas;
mod screen;
mod signals;
mod similar;
mod streams;
mod summary;
mod tape;
mod tape_args;
mod threads;
mod why;

use std::panic::{self, AssertUnwindSafe};
use std::process::ExitCode;

use clap::Parser as _;

/// The examples of README.md, compiled.
#[cfg(doctest)]
#[doc = include_str!("../../../README.md")]
#[derive(Debug)]
pub struct Readme;

/// The example of TAPES.md, compiled and run.
#[cfg(doctest)]
#[doc = include_str!("../../TAPES.md")]
#[derive(Debug)]
pub struct Tapes;

/// Exit code for the command's own errors; clap uses the same one.
const FAILURE: u8 = 2;

/// Runs the command with the arguments of this process, and returns its exit code.
pub fn main() -> ExitCode {
    let filter = tracing_subscriber::EnvFilter::try_from_env("CAPSPAWN_LOG")
        .unwrap_or_else(|_| tracing_subscriber::EnvFilter::new("off"));
    // With its errors logged too, the log would write them by `eprintln`, which panics once the reader is gone.
    tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(|| streams::Log)
        .with_ansi(false)
        .log_internal_errors(false)
        .init();

    panic::set_hook(Box::new(|panic| {
        output::note(&output::one_line(&panic.to_string()))
    }));
    let outcome = match args::Args::parse().command {
        args::Subcommand::Run(args) => without_panic(|| run::run(&args)),
        args::Subcommand::Learn(args) => without_panic(|| learn::learn(&args)),
        args::Subcommand::Check(args) => check::check(&args),
        args::Subcommand::Explain(args) => explain::explain(&args),
        args::Subcommand::Doctor(args) => doctor::doctor(&args),
        args::Subcommand::Init(args) => init::init(&args),
        args::Subcommand::Help(args) => manual::help(&args),
        args::Subcommand::Completions(args) => manual::completions(&args),
        args::Subcommand::Man(args) => manual::man(&args),
    };
    ExitCode::from(outcome.unwrap_or_else(|error| {
        output::report(&error);
        FAILURE
    }))
}

/// Runs `command`. A panic, as of tokio where no thread can be started, has been reported as one line, and is the command's own
/// error.
fn without_panic(command: impl FnOnce() -> anyhow::Result<u8>) -> anyhow::Result<u8> {
    let result = panic::catch_unwind(AssertUnwindSafe(command));
    result.unwrap_or(Ok(FAILURE))
}
