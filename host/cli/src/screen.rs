//! What a grant means, on one screen: what each component may run, read, write and reach, and at most how much.
//!
//! What holds for all commands of a component stands once; what holds for some of them has their names.

use std::fmt::Write as _;

use capspawn_native::Grant;
use capspawn_native::confinement::{FsRoot, Network, Sandbox};
use capspawn_native::escape::quoted;
use capspawn_native::grant::{CommandSummary, system_files};
use capspawn_native::limits::{show_bytes, show_duration};

use crate::output::wrapped;

/// The width of the words at the beginning of a line.
const LABEL: usize = 12;

/// The width of what follows.
const WIDTH: usize = 96;

/// Adds the screen of one component to `text`.
pub(crate) fn describe(grant: &Grant, text: &mut String) -> std::fmt::Result {
    let commands: Vec<CommandSummary> = grant.commands().collect();
    writeln!(text, "{}", quoted(grant.component()))?;
    if commands.is_empty() {
        writeln!(text, "  {:<LABEL$}nothing: it has no command", "may run")?;
        return Ok(());
    }
    let runs: Vec<String> = commands.iter().map(command).collect();
    lines(text, "may run", &runs)?;
    let started: Vec<&CommandSummary> =
        commands.iter().filter(|it| it.decision != "deny").collect();
    if !started.is_empty() {
        let own: Vec<FsRoot> = system_files().collect();
        lines(text, "may read", &items(&started, |it| read(it, &own)))?;
        lines(text, "may write", &items(&started, write))?;
        lines(text, "not", &items(&started, denied))?;
        lines(
            text,
            "may reach",
            &values(&started, |it| reach(it).to_owned()),
        )?;
        lines(text, "starts in", &values(&started, starts_in))?;
        lines(
            text,
            "may set",
            &items(&started, |it| {
                it.allow_env
                    .iter()
                    .map(|it| quoted(it).to_string())
                    .collect()
            }),
        )?;
        lines(
            text,
            "confined",
            &values(&started, |it| confined(it).to_owned()),
        )?;
    }
    lines(text, "at most", &quotas(grant))?;
    if !started.is_empty() {
        lines(text, "each child", &values(&started, limits))?;
    }
    for line in grant.warnings() {
        writeln!(text, "  warning: {line}")?;
    }
    Ok(())
}

/// Adds lines, the first of which has the label. A long one goes on below itself.
fn lines(text: &mut String, label: &str, lines: &[String]) -> std::fmt::Result {
    for (index, line) in lines.iter().enumerate() {
        for (part, line) in wrapped(line, WIDTH).iter().enumerate() {
            let label = if index == 0 && part == 0 { label } else { "" };
            let indent = if part == 0 { "" } else { "  " };
            writeln!(text, "  {label:<LABEL$}{indent}{line}")?;
        }
    }
    Ok(())
}

/// Returns what a command is, and how it differs from a command that a component starts freely.
fn command(command: &CommandSummary) -> String {
    let mut text = quoted(&command.name).to_string();
    let is_denied = command.decision == "deny";
    text += if is_denied { ", never:" } else { " =" };
    match &command.program {
        Some(program) => text += &format!(" {}", quoted(program)),
        None if is_denied => {}
        None => text += " any program that it sees",
    }
    for argument in &command.fixed {
        text += &format!(" {}", quoted(argument));
    }
    for pattern in &command.args {
        text += &format!(" {pattern}");
    }
    let mut notes = Vec::new();
    if command.decision == "ask" {
        notes.push("after approval (--ask)".to_owned());
    }
    if !command.allow_arg0.is_empty() {
        notes.push(format!("argv[0] may be one of {:?}", command.allow_arg0));
    }
    if command.allow_bytes {
        notes.push("arguments need not be UTF-8".to_owned());
    }
    if !command.stdin && !is_denied {
        notes.push("no standard input".to_owned());
    }
    if command.redirect {
        notes.push("files as standard streams".to_owned());
    }
    if command.disclose_pid {
        notes.push("the component sees its process id".to_owned());
    }
    for note in notes {
        text += &format!("; {note}");
    }
    text
}

fn read(command: &CommandSummary, own: &[FsRoot]) -> Vec<String> {
    if command.confinement.sandbox == Sandbox::None {
        return vec!["all that its user can".to_owned()];
    }
    let roots = &command.confinement.fs.read;
    let has_own = own.iter().filter(|root| roots.contains(root)).count();
    // A part of the list is not there if fs.deny hides it.
    let is_default = has_own * 2 > own.len();
    let mut items = Vec::new();
    if is_default {
        items.push("the system's own files (`capspawn help grants fs.read`)".to_owned());
    }
    let listed = roots
        .iter()
        .filter(|root| !is_default || !own.contains(root));
    items.extend(listed.map(shown));
    items
}

fn write(command: &CommandSummary) -> Vec<String> {
    let fs = &command.confinement.fs;
    match command.confinement.sandbox {
        Sandbox::None => vec!["all that its user can".to_owned()],
        _ if fs.write.is_empty() => vec!["nothing but a /tmp of its own".to_owned()],
        _ => fs.write.iter().map(shown).collect(),
    }
}

fn denied(command: &CommandSummary) -> Vec<String> {
    command.confinement.fs.deny.iter().map(shown).collect()
}

fn shown(root: &FsRoot) -> String {
    quoted(&root.written).to_string()
}

fn reach(command: &CommandSummary) -> &'static str {
    match (command.confinement.sandbox, command.confinement.network) {
        (Sandbox::None, _) => "every network of the host",
        (_, Network::None) => "no network",
        (_, Network::Loopback) => "itself, by a loopback interface of its own",
        (_, Network::Host) => "every network of the host, and its UNIX sockets",
    }
}

fn starts_in(command: &CommandSummary) -> String {
    let Some(default) = &command.cwd else {
        return "a /tmp of its own in tier A, otherwise /".to_owned();
    };
    let default_text = quoted(default).to_string();
    let roots: Vec<_> = command
        .cwd_roots
        .iter()
        .map(|it| quoted(it).to_string())
        .collect();
    match command.cwd_roots.as_slice() {
        [only] if only == default => {
            format!("{default_text}, or a directory in it that the component chooses")
        }
        _ => format!(
            "{default_text}, or where the component chooses in {}",
            roots.join(", ")
        ),
    }
}

fn confined(command: &CommandSummary) -> &'static str {
    match command.confinement.sandbox {
        Sandbox::Required => "required: where the host cannot enforce all of this, nothing starts",
        Sandbox::BestEffort => "best-effort: what the host cannot enforce does not hold",
        Sandbox::None => "none: a child can do whatever its user can",
    }
}

fn quotas(grant: &Grant) -> Vec<String> {
    let quotas = grant.quotas();
    let mut first = format!(
        "{} children at once, {} in total",
        quotas.max_live, quotas.max_total
    );
    if let Some(rate) = quotas.rate {
        first += &format!(", {} requests in {}", rate.count, show_duration(rate.per));
    }
    let held = format!(
        "the host holds {} children, running and ended, {} of their output, arguments and input, and {} descriptors",
        quotas.max_held_children,
        show_bytes(quotas.max_held_bytes),
        quotas.max_held_descriptors
    );
    let detach = grant.detach();
    let detached = match detach.allow {
        true => format!(
            "a child may outlive the component by {}",
            show_duration(detach.max_life)
        ),
        false => "no child outlives the component".to_owned(),
    };
    vec![first, held, detached]
}

fn limits(command: &CommandSummary) -> String {
    let (limits, capture) = (&command.limits, &command.capture);
    let size = |limit: Option<u64>, what: &str| match limit {
        Some(bytes) => format!("{} of {what}", show_bytes(bytes)),
        None => format!("unlimited {what}"),
    };
    let count = |limit: Option<u64>, what: &str| match limit {
        Some(number) => format!("{number} {what}"),
        None => format!("unlimited {what}"),
    };
    let mut parts = vec![
        show_duration(limits.wall),
        match limits.cpu {
            Some(time) => format!("{} of processor time", show_duration(time)),
            None => "unlimited processor time".to_owned(),
        },
        size(limits.memory_bytes, "memory"),
        count(limits.processes, "tasks"),
        count(limits.open_files, "open files of a process"),
        match limits.file_size_bytes {
            Some(bytes) => format!("files of {}", show_bytes(bytes)),
            None => "files of any size".to_owned(),
        },
        format!("{} in its /tmp", show_bytes(limits.tmpfs_bytes)),
        format!(
            "{} of standard output and {} of standard error kept",
            show_bytes(capture.stdout_bytes),
            show_bytes(capture.stderr_bytes)
        ),
    ];
    if let Some(bytes) = limits.output_bytes {
        parts.push(format!("killed after {} of output", show_bytes(bytes)));
    }
    parts.join(", ")
}

/// Returns a line for each value, with the names of the commands that have it unless all do.
fn values(commands: &[&CommandSummary], of: impl Fn(&CommandSummary) -> String) -> Vec<String> {
    let pairs = commands
        .iter()
        .map(|command| (of(command), command.name.as_str()));
    let mut groups: Vec<(String, Vec<&str>)> = Vec::new();
    for (value, name) in pairs {
        match groups.iter_mut().find(|(known, _)| *known == value) {
            Some((_, names)) if names.contains(&name) => {}
            Some((_, names)) => names.push(name),
            None => groups.push((value, vec![name])),
        }
    }
    let is_one = groups.len() == 1;
    groups
        .into_iter()
        .map(|(value, names)| {
            if is_one {
                value
            } else {
                format!("{}: {value}", named(&names))
            }
        })
        .collect()
}

/// Returns a line for the items that all commands have, and one for the others of each group of commands.
fn items(commands: &[&CommandSummary], of: impl Fn(&CommandSummary) -> Vec<String>) -> Vec<String> {
    let lists: Vec<Vec<String>> = commands.iter().map(|command| of(command)).collect();
    let mut groups: Vec<(Vec<usize>, Vec<&str>)> = Vec::new();
    for item in lists.iter().flatten() {
        let having: Vec<usize> = (0..lists.len())
            .filter(|&at| lists[at].contains(item))
            .collect();
        match groups.iter_mut().find(|(known, _)| *known == having) {
            Some((_, items)) if items.contains(&item.as_str()) => {}
            Some((_, items)) => items.push(item),
            None => groups.push((having, vec![item])),
        }
    }
    groups.sort_by_key(|(having, _)| having.len() < lists.len());
    let line = |(having, items): (Vec<usize>, Vec<&str>)| {
        let mut names: Vec<&str> = having
            .iter()
            .map(|&at| commands[at].name.as_str())
            .collect();
        names.dedup();
        match having.len() == lists.len() {
            true => items.join(", "),
            false => format!("{}: {}", named(&names), items.join(", ")),
        }
    };
    groups.into_iter().map(line).collect()
}

fn named(names: &[&str]) -> String {
    let quoted: Vec<_> = names.iter().map(|it| quoted(it).to_string()).collect();
    quoted.join(", ")
}
