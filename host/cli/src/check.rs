//! `capspawn check`: what a grant file lets each component do, and what an edit of it changes.

use std::io::Read as _;
use std::path::Path;

use anyhow::{Context as _, Result, bail};
use capspawn::{Grant, Grants};
use capspawn_native::escape::quoted;
use capspawn_native::grant::{Change, Identity};
use serde_json::{Value, json};

use crate::args::CheckArgs;
use crate::{confinement, load, output, screen};

/// Exit code if the file allows more than the one that it is compared with.
const WIDENS: u8 = 1;

/// The version of the JSON that `check` prints.
const JSON_VERSION: u32 = 1;

/// The longest earlier version of a grant file that is read from standard input: 16 MiB.
const MAX_STDIN_BYTES: u64 = 16 << 20;

/// Loads the file, which tests its examples, and prints what it allows, or what it allows more or less than another.
pub(crate) fn check(args: &CheckArgs) -> Result<u8> {
    let identity = args.run_as.identity();
    let grants = load::grants(&args.file, identity)?;
    if let Some(old) = &args.against {
        let old = earlier(old, &args.file, identity)?;
        return against(&grants.changes_since(&old), args.json);
    }
    if args.json {
        let components: Vec<Value> = grants.components().map(|grant| object(&grant)).collect();
        output::print_json(&json!({ "version": JSON_VERSION, "components": components }))?;
        return Ok(0);
    }
    let mut text = String::new();
    for grant in grants.components() {
        screen::describe(&grant, &mut text)?;
    }
    if text.is_empty() {
        text.push_str("The file has no component: every request is denied.\n");
    }
    output::print(&text)?;
    Ok(0)
}

/// Loads an earlier version of the grant file `new`, whose relative paths are relative to the folder of `new`.
fn earlier(old: &Path, new: &Path, identity: Identity) -> Result<Grants> {
    let mut text = String::new();
    if old == Path::new("-") {
        let mut limited = std::io::stdin().lock().take(MAX_STDIN_BYTES);
        limited
            .read_to_string(&mut text)
            .context("cannot read the earlier grant from standard input")?;
    } else if old.is_dir() {
        bail!(
            "{}: is a directory, not a grant file: pass the file",
            old.display()
        );
    } else {
        text = std::fs::read_to_string(old)
            .with_context(|| format!("cannot read {}", old.display()))?;
    }
    let grants = Grants::load_text_as(&text, new, identity).map_err(|error| {
        let lines: Vec<_> = error.to_string().lines().map(str::to_owned).collect();
        anyhow::anyhow!(
            "the earlier version, {}, does not load here, so nothing is compared (positions are its own): {}",
            old.display(),
            lines.join("; ")
        )
    })?;
    Ok(grants)
}

/// Prints the changes. The exit code tells whether one may allow more.
fn against(changes: &[Change], as_json: bool) -> Result<u8> {
    let widens = changes.iter().any(|change| change.direction.is_widening());
    if as_json {
        let entry = |change: &Change| {
            json!({
                "component": change.component,
                "command": change.command,
                "rule": change.place.map(|(line, column)| json!({ "line": line, "column": column })),
                "key": change.key,
                "direction": change.direction.name(),
                "what": change.what,
            })
        };
        let changes: Vec<Value> = changes.iter().map(entry).collect();
        output::print_json(
            &json!({ "version": JSON_VERSION, "widens": widens, "changes": changes }),
        )?;
    } else {
        let text: String = changes.iter().map(line).collect();
        output::print(match text.is_empty() {
            true => "Both allow the same.\n",
            false => &text,
        })?;
    }
    Ok(if widens { WIDENS } else { 0 })
}

fn line(change: &Change) -> String {
    let mut place = quoted(&change.component).to_string();
    if let Some(command) = &change.command {
        place += &format!(" {}", quoted(command));
    }
    let note = match change.direction {
        capspawn_native::grant::Direction::Undecided => " (cannot be decided, counts as widening)",
        _ => "",
    };
    format!(
        "{:<9} {place}: {}: {}{note}\n",
        change.direction, change.key, change.what
    )
}

/// Returns one component of the JSON report.
fn object(grant: &Grant) -> Value {
    let quotas = grant.quotas();
    let (rate, detach) = (quotas.rate, grant.detach());
    let commands = grant.commands().map(|command| {
        let (rules, limits) = (&command.confinement, &command.limits);
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
            "disclose_pid": command.disclose_pid,
            "rule": command.place.map(|(line, column)| json!({ "line": line, "column": column })),
            "sandbox": rules.sandbox.name(),
            "network": rules.network.name(),
            "fs": confinement::fs(&rules.fs),
            "cwd": { "default": command.cwd, "roots": command.cwd_roots },
            "env": { "names": command.env, "allow": command.allow_env },
            "limits": {
                "wall_seconds": limits.wall.as_secs_f64(),
                "cpu_seconds": limits.cpu.map(|it| it.as_secs_f64()),
                "memory_bytes": limits.memory_bytes,
                "processes": limits.processes,
                "open_files": limits.open_files,
                "file_size_bytes": limits.file_size_bytes,
                "tmpfs_bytes": limits.tmpfs_bytes,
                "output_bytes": limits.output_bytes,
                "stdout_bytes": command.capture.stdout_bytes,
                "stderr_bytes": command.capture.stderr_bytes,
            },
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
        "detach": { "allow": detach.allow, "max_life_seconds": detach.max_life.as_secs_f64() },
        "commands": commands.collect::<Vec<_>>(),
        "warnings": grant.warnings(),
    })
}
