//! `capspawn check`: what a grant file lets each component run.

use std::fmt::Write as _;

use anyhow::Result;
use capspawn_native::Grant;
use capspawn_native::escape::quoted;
use serde_json::{Value, json};

use crate::args::CheckArgs;
use crate::{confinement, load, output};

/// Loads the file, which tests its examples, and prints what it allows.
pub(crate) fn check(args: &CheckArgs) -> Result<u8> {
    let grants = load::grants(&args.file, args.run_as.identity())?;
    if args.json {
        let components: Vec<Value> = grants.components().map(|grant| object(&grant)).collect();
        output::print_json(&json!({ "components": components }))?;
        return Ok(0);
    }
    let mut text = String::new();
    for grant in grants.components() {
        describe(&grant, &mut text)?;
    }
    if text.is_empty() {
        text.push_str("The file has no component: every request is denied.\n");
    }
    output::print(&text)?;
    Ok(0)
}

fn describe(grant: &Grant, text: &mut String) -> std::fmt::Result {
    let quotas = grant.quotas();
    let (live, total) = (quotas.max_live, quotas.max_total);
    write!(
        text,
        "{}: at most {live} children at once, {total} in total",
        quoted(grant.component())
    )?;
    if let Some(rate) = quotas.rate {
        write!(text, ", {} in {:?}", rate.count, rate.per)?;
    }
    writeln!(text)?;
    for command in grant.commands() {
        write!(text, "  {} {}", command.decision, quoted(&command.name))?;
        if let Some(program) = &command.program {
            write!(text, " = {}", program.display())?;
        }
        for argument in &command.fixed {
            write!(text, " {}", quoted(argument))?;
        }
        for pattern in &command.args {
            write!(text, " {pattern}")?;
        }
        if !command.stdin {
            write!(text, "; no standard input")?;
        }
        writeln!(text, "; sandbox {}", command.confinement.sandbox)?;
    }
    for line in grant.warnings() {
        writeln!(text, "  warning: {line}")?;
    }
    Ok(())
}

/// Returns one component of the JSON report.
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
            "stdin": command.stdin,
            "rule": command.place.map(|(line, column)| json!({ "line": line, "column": column })),
            "sandbox": rules.sandbox.name(),
            "network": rules.network.name(),
            "fs": confinement::fs(&rules.fs),
        })
    });
    json!({
        "component": grant.component(),
        "max_live": quotas.max_live,
        "max_total": quotas.max_total,
        "rate": rate.map(|rate| json!({ "count": rate.count, "seconds": rate.per.as_secs_f64() })),
        "commands": commands.collect::<Vec<_>>(),
        "warnings": grant.warnings(),
    })
}
