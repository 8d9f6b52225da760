//! `capspawn check`: what a grant file lets each component run.

use std::fmt::Write as _;
use std::path::Path;

use anyhow::Result;
use capspawn_native::Grant;
use capspawn_native::sandbox::{FsRoot, Network, Sandbox};
use serde_json::{Value, json};

use crate::args::CheckArgs;
use crate::load;

/// Loads the file, which tries its examples, and prints what it allows.
pub(crate) fn check(args: &CheckArgs) -> Result<u8> {
    let grants = load::grants(&args.file, args.run_as.identity())?;
    if args.json {
        let components: Vec<Value> = grants.components().map(|grant| object(&grant)).collect();
        crate::print(&format!("{:#}\n", json!({ "components": components })))?;
        return Ok(0);
    }
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

/// Returns the same for programs.
fn object(grant: &Grant) -> Value {
    let quotas = grant.quotas();
    let rate = quotas.rate;
    let commands = grant.commands().map(|command| {
        let rules = &command.confinement;
        json!({
            "name": command.name,
            "decision": command.decision,
            "program": command.program,
            "fixed": command.fixed,
            "args": command.args,
            "rule": command.place.map(|(line, column)| json!({ "line": line, "column": column })),
            "sandbox": sandbox(rules.sandbox),
            "network": network(rules.network),
            "fs": {
                "read": written(&rules.fs.read),
                "write": written(&rules.fs.write),
                "deny": written(&rules.fs.deny),
            },
        })
    });
    json!({
        "component": grant.component(),
        "max_live": quotas.max_live,
        "max_total": quotas.max_total,
        "rate": rate.map(|rate| json!({ "count": rate.count, "seconds": rate.per.as_secs_f64() })),
        "commands": commands.collect::<Vec<_>>(),
        "advice": grant.advice(),
    })
}

/// Paths as the grant writes them.
pub(crate) fn written(roots: &[FsRoot]) -> Vec<&Path> {
    roots.iter().map(|root| root.written.as_path()).collect()
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
