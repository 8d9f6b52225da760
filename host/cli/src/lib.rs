//! The `capspawn` command, as a library: `main.rs` only calls [`main`].
//!
//! `capspawn run` is an embedding like any other and uses nothing but the public interface
//! of the crate [`capspawn`]: `guest` is the store's data and the run, `run`
//! puts the pieces together, `events` is what the operator sees, `ask` what they are asked. `check`,
//! `explain` and `doctor` need no WebAssembly and ask the native core.

mod args;
mod ask;
mod bounds;
mod check;
mod doctor;
mod events;
mod explain;
mod guest;
mod launcher;
mod load;
mod run;
mod stop;

use std::io::Write as _;
use std::process::ExitCode;

use anyhow::Context as _;
use clap::Parser as _;

/// The examples of README.md, compiled.
#[cfg(doctest)]
#[doc = include_str!("../../../README.md")]
#[derive(Debug)]
pub struct Readme;

/// Exit code of the command's own errors, which clap uses for its errors too.
const FAILURE: u8 = 2;

/// Runs the command on the process's arguments.
pub fn main() -> ExitCode {
    let filter = tracing_subscriber::EnvFilter::try_from_env("CAPSPAWN_LOG")
        .unwrap_or_else(|_| tracing_subscriber::EnvFilter::new("off"));
    tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(std::io::stderr)
        .init();

    let outcome = match args::Args::parse().command {
        args::Subcommand::Run(args) => run::run(&args),
        args::Subcommand::Check(args) => check::check(&args),
        args::Subcommand::Explain(args) => explain::explain(&args),
        args::Subcommand::Doctor(args) => doctor::doctor(&args),
    };
    ExitCode::from(outcome.unwrap_or_else(|error| {
        complain(&error);
        FAILURE
    }))
}

/// Prints an error with its causes, as one line; of a grant file, one line for
/// each thing that is wrong with it.
fn complain(error: &anyhow::Error) {
    match error.downcast_ref::<capspawn::GrantError>() {
        Some(grant) => grant
            .to_string()
            .lines()
            .for_each(|line| eprintln!("capspawn: {line}")),
        None => eprintln!("capspawn: {}", one_line(&format!("{error:#}"))),
    }
}

/// Prints a result. A reader that has gone away is no panic.
fn print(text: &str) -> anyhow::Result<()> {
    std::io::stdout()
        .write_all(text.as_bytes())
        .context("cannot write to standard output")
}

/// Joins the lines of a message of another library.
fn one_line(text: &str) -> String {
    let lines: Vec<&str> = text
        .lines()
        .map(str::trim)
        .filter(|line| !line.is_empty())
        .collect();
    lines.join(" ")
}

#[cfg(test)]
mod tests {
    use super::one_line;

    #[test]
    fn a_message_of_several_lines_becomes_one() {
        assert_eq!(one_line("first\n\n  second\n"), "first second");
    }
}
