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
    writeln!(
        text,
        "  the host holds at most {} children, running and ended, {} of their output, arguments and \
         input, and {} descriptors",
        quotas.max_held_children,
        size(quotas.max_held_bytes),
        quotas.max_held_descriptors
    )?;
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
        if !command.allow_arg0.is_empty() {
            write!(text, "; argv[0] may be one of {:?}", command.allow_arg0)?;
        }
        if command.allow_bytes {
            write!(text, "; arguments need not be UTF-8")?;
        }
        if !command.stdin {
            write!(text, "; no standard input")?;
        }
        if command.redirect {
            write!(text, "; files as standard streams")?;
        }
        writeln!(text, "; sandbox {}", command.confinement.sandbox)?;
    }
    for line in grant.warnings() {
        writeln!(text, "  warning: {line}")?;
    }
    Ok(())
}

/// Returns a size in the largest unit in which it is a whole number, the form that a grant file uses.
fn size(bytes: u64) -> String {
    let units = [(40, "TiB"), (30, "GiB"), (20, "MiB"), (10, "KiB")];
    let whole = |(shift, _): &&(u32, &str)| bytes > 0 && bytes.trailing_zeros() >= *shift;
    match units.iter().find(whole) {
        Some((shift, unit)) => format!("{}{unit}", bytes >> shift),
        None => format!("{bytes}B"),
    }
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
            "allow_arg0": command.allow_arg0,
            "allow_bytes": command.allow_bytes,
            "stdin": command.stdin,
            "redirect": command.redirect,
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
        "max_held_children": quotas.max_held_children,
        "max_held_bytes": quotas.max_held_bytes,
        "max_held_descriptors": quotas.max_held_descriptors,
        "rate": rate.map(|rate| json!({ "count": rate.count, "seconds": rate.per.as_secs_f64() })),
        "commands": commands.collect::<Vec<_>>(),
        "warnings": grant.warnings(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_size_reads_as_a_grant_file_has_it() {
        let sizes = [64 << 20, 1 << 40, 3 << 10, 1025, 0].map(size);
        assert_eq!(sizes, ["64MiB", "1TiB", "3KiB", "1025B", "0B"]);
    }
}
