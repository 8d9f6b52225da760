//! `capspawn check`: what a grant file lets each component run.

use std::fmt::Write as _;

use anyhow::Result;
use capspawn_native::Grant;
use capspawn_native::sandbox::{Network, Sandbox};

use crate::args::CheckArgs;
use crate::load;

/// Loads the file, which tries its examples, and prints what it allows.
pub(crate) fn check(args: &CheckArgs) -> Result<u8> {
    let grants = load::grants(&args.file)?;
    let mut text = String::new();
    for grant in grants.components() {
        describe(&grant, &mut text)?;
    }
    if text.is_empty() {
        text.push_str("No component may run anything.\n");
    }
    crate::print(&text)?;
    Ok(0)
}

fn describe(grant: &Grant, text: &mut String) -> std::fmt::Result {
    let quotas = grant.quotas();
    let (live, total) = (quotas.max_live, quotas.max_total);
    write!(
        text,
        "{:?}: {live} at once, {total} in all",
        grant.component()
    )?;
    if let Some(rate) = quotas.rate {
        write!(text, ", {} in {:?}", rate.count, rate.per)?;
    }
    writeln!(text)?;
    for command in grant.commands() {
        write!(text, "  {} {:?}", command.decision, command.name)?;
        if let Some(program) = &command.program {
            write!(text, " = {}", program.display())?;
        }
        for argument in &command.fixed {
            write!(text, " {argument:?}")?;
        }
        for pattern in &command.args {
            write!(text, " {pattern}")?;
        }
        writeln!(text, "; sandbox {}", sandbox(command.confinement.sandbox))?;
    }
    for line in grant.advice() {
        writeln!(text, "  note: {line}")?;
    }
    Ok(())
}

/// Returns the word that a grant uses for it.
pub(crate) fn sandbox(sandbox: Sandbox) -> &'static str {
    match sandbox {
        Sandbox::Required => "required",
        Sandbox::BestEffort => "best-effort",
        Sandbox::None => "none",
    }
}

/// Returns the word that a grant uses for it.
pub(crate) fn network(network: Network) -> &'static str {
    match network {
        Network::None => "none",
        Network::Loopback => "loopback",
        Network::Host => "host",
    }
}
