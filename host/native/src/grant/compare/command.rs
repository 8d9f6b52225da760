//! What one rule allows more or less than another.

use std::collections::BTreeSet;
use std::path::Path;

use super::arguments::{Answer, includes};
use super::{Direction, Found, roots};
use crate::confinement::{Confinement, Network, Sandbox};
use crate::grant::check::covers;
use crate::grant::check::dangerous_variable::danger;
use crate::grant::file::document::Effect;
use crate::grant::file::pattern::Pattern;
use crate::grant::paths::is_under;
use crate::grant::rule::command::{Rule, Target};
use crate::grant::rule::settings::Cwd;
use crate::limits::{show_bytes, show_duration};

/// Compares two rules that both start a program, or both deny.
pub(super) fn compare(old: &Rule, new: &Rule, found: &mut Found<'_>) {
    if new.effect == Effect::Deny {
        // A rule that denies more allows less.
        let (wider, narrower) = arguments(&new.args, &old.args, true);
        return add_arguments(old, new, wider, narrower, found);
    }
    found.more(
        "decision",
        old.effect == Effect::Allow,
        new.effect == Effect::Allow,
        |is_allow| if *is_allow { "\"allow\"" } else { "\"ask\"" }.to_owned(),
    );
    program(old, new, found);
    let (wider, narrower) = arguments(&old.args, &new.args, false);
    add_arguments(old, new, wider, narrower, found);
    if old.fixed != new.fixed {
        let what = format!("from {:?} to {:?}", old.fixed, new.fixed);
        found.add("fixed", Direction::Undecided, what);
    }
    arg0(old, new, found);
    environment(old, new, found);
    working_directory(old.cwd.as_ref(), new.cwd.as_ref(), found);
    confinement(&old.confinement, &new.confinement, found);
    limits(old, new, found);
    for (key, old, new) in [
        ("stdin", old.allows_stdin, new.allows_stdin),
        ("redirect", old.allows_redirect, new.allows_redirect),
        ("allow-bytes", old.allows_bytes, new.allows_bytes),
        ("disclose-pid", old.disclose_pid, new.disclose_pid),
    ] {
        found.more(key, old, new, bool::to_string);
    }
}

/// Returns whether `new` takes vectors that `old` does not, and whether it leaves out some that `old` takes.
fn arguments(old: &[Pattern], new: &[Pattern], deny: bool) -> (Answer, Answer) {
    let not = |answer| match answer {
        Answer::Yes => Answer::No,
        Answer::No => Answer::Yes,
        Answer::Unknown => Answer::Unknown,
    };
    (not(includes(old, new, deny)), not(includes(new, old, deny)))
}

fn add_arguments(old: &Rule, new: &Rule, wider: Answer, narrower: Answer, found: &mut Found<'_>) {
    let direction = match (wider, narrower) {
        (Answer::No, Answer::No) => return,
        (Answer::No, Answer::Yes) => Direction::Narrows,
        (Answer::Yes, _) => Direction::Widens,
        // Written as before, and too long to compare.
        _ if shown(&old.args) == shown(&new.args) => return,
        (Answer::No, Answer::Unknown) => Direction::Neither,
        (Answer::Unknown, _) => Direction::Undecided,
    };
    found.add(
        "args",
        direction,
        format!("from {} to {}", shown(&old.args), shown(&new.args)),
    );
}

fn shown(patterns: &[Pattern]) -> String {
    let words: Vec<_> = patterns.iter().map(ToString::to_string).collect();
    format!("[{}]", words.join(", "))
}

fn program(old: &Rule, new: &Rule, found: &mut Found<'_>) {
    let (Target::File(a), Target::File(b)) = (&old.target, &new.target) else {
        return;
    };
    if !a.is_same(b) {
        let what = format!("from {} to {}", a.path().display(), b.path().display());
        found.add("program", Direction::Undecided, what);
    }
    match (a.pin(), b.pin()) {
        (Some(_), None) => found.add("sha256", Direction::Widens, "the file may be replaced"),
        (None, Some(_)) => found.add("sha256", Direction::Narrows, "the file must have this hash"),
        // Both files were read just now, and had their hashes.
        _ => {}
    }
}

fn arg0(old: &Rule, new: &Rule, found: &mut Found<'_>) {
    let covered = |name: &str, by: &Rule| {
        by.allow_arg0
            .iter()
            .any(|pattern| covers_pattern(pattern, name))
    };
    if old.arg0 != new.arg0 {
        let direction = match &new.arg0 {
            Some(name) if covered(name, old) => Direction::Neither,
            _ => Direction::Undecided,
        };
        found.add(
            "arg0",
            direction,
            format!("from {:?} to {:?}", old.arg0, new.arg0),
        );
    }
    for name in new.allow_arg0.iter().filter(|name| !covered(name, old)) {
        found.add("allow-arg0", Direction::Widens, format!("adds {name:?}"));
    }
    for name in old.allow_arg0.iter().filter(|name| !covered(name, new)) {
        found.add(
            "allow-arg0",
            Direction::Narrows,
            format!("no longer has {name:?}"),
        );
    }
}

/// Returns whether a name or a pattern with `*` at its end covers another one.
fn covers_pattern(pattern: &str, name: &str) -> bool {
    match name.strip_suffix('*') {
        None => covers(pattern, name),
        Some(start) => pattern
            .strip_suffix('*')
            .is_some_and(|it| start.starts_with(it)),
    }
}

fn environment(old: &Rule, new: &Rule, found: &mut Found<'_>) {
    let (a, b) = (&old.environment, &new.environment);
    for name in b.inherited().difference(a.inherited()) {
        found.add(
            "env.inherit",
            Direction::Widens,
            format!("passes on {name} of the host"),
        );
    }
    for name in a.inherited().difference(b.inherited()) {
        found.add(
            "env.inherit",
            Direction::Narrows,
            format!("no longer passes on {name} of the host"),
        );
    }
    for name in a.names().chain(b.names()).collect::<BTreeSet<_>>() {
        let (before, after) = (a.value(name), b.value(name));
        if before == after || a.inherited().contains(name) || b.inherited().contains(name) {
            continue;
        }
        // What a value does, only the program knows.
        let shown = |value: Option<&str>| value.map_or("none".to_owned(), |it| format!("{it:?}"));
        let what = format!("{name}: from {} to {}", shown(before), shown(after));
        found.add("env.set", Direction::Undecided, what);
    }
    // A pattern does not cover a dangerous name, which must be written in full.
    let covered = |name: &str, by: &Rule| {
        let mut names = by.environment.allowed();
        names.any(|it| it == name || (covers_pattern(it, name) && danger(name).is_none()))
    };
    for name in b.allowed().filter(|name| !covered(name, old)) {
        found.add("env.allow", Direction::Widens, format!("adds {name:?}"));
    }
    for name in a.allowed().filter(|name| !covered(name, new)) {
        found.add(
            "env.allow",
            Direction::Narrows,
            format!("no longer has {name:?}"),
        );
    }
}

fn working_directory(old: Option<&Cwd>, new: Option<&Cwd>, found: &mut Found<'_>) {
    let roots = |cwd: Option<&Cwd>| cwd.map(|cwd| cwd.roots.clone()).unwrap_or_default();
    let (before, after) = (roots(old), roots(new));
    for root in after.iter().filter(|root| !is_under(&root.real, &before)) {
        found.add(
            "cwd",
            Direction::Widens,
            format!("a child may start below {}", roots::shown(root)),
        );
    }
    for root in before.iter().filter(|root| !is_under(&root.real, &after)) {
        found.add(
            "cwd",
            Direction::Narrows,
            format!("a child may no longer start below {}", roots::shown(root)),
        );
    }
    let default = |cwd: Option<&Cwd>| cwd.map(|cwd| cwd.default.real.clone());
    let (was, is) = (default(old), default(new));
    let chosen = |path: &Path| is_under(path, &before);
    if was != is && is.as_deref().is_some_and(chosen) {
        // The component could choose it before.
        let shown = |cwd: Option<&Cwd>| cwd.map_or(String::new(), |cwd| roots::shown(&cwd.default));
        let what = format!("from {} to {}", shown(old), shown(new));
        found.add("cwd.default", Direction::Neither, what);
    }
}

fn confinement(old: &Confinement, new: &Confinement, found: &mut Found<'_>) {
    let level = |sandbox: Sandbox| Sandbox::ALL.iter().position(|it| *it == sandbox);
    let words = |level: &Option<usize>| level.map_or("", |at| Sandbox::ALL[at].name()).to_owned();
    found.more("sandbox", level(old.sandbox), level(new.sandbox), words);
    if old.sandbox == Sandbox::None || new.sandbox == Sandbox::None {
        // Without a sandbox neither files nor networks are limited.
        return;
    }
    let reach = |network: Network| Network::ALL.iter().position(|it| *it == network);
    let words = |reach: &Option<usize>| reach.map_or("", |at| Network::ALL[at].name()).to_owned();
    found.more("network", reach(old.network), reach(new.network), words);
    roots::compare(&old.fs, &new.fs, found);
}

fn limits(old: &Rule, new: &Rule, found: &mut Found<'_>) {
    let (a, b) = (&old.limits, &new.limits);
    let bytes = |it: &u64| show_bytes(*it);
    found.more("limits.wall", a.wall, b.wall, |it| show_duration(*it));
    found.limit("limits.cpu", a.cpu, b.cpu, |it| show_duration(*it));
    found.limit("limits.memory", a.memory_bytes, b.memory_bytes, bytes);
    found.limit("limits.processes", a.processes, b.processes, u64::to_string);
    found.limit(
        "limits.open-files",
        a.open_files,
        b.open_files,
        u64::to_string,
    );
    found.limit(
        "limits.file-size",
        a.file_size_bytes,
        b.file_size_bytes,
        bytes,
    );
    found.more("limits.tmpfs", a.tmpfs_bytes, b.tmpfs_bytes, bytes);
    found.limit("limits.output", a.output_bytes, b.output_bytes, bytes);
    let (a, b) = (&old.capture, &new.capture);
    found.more("capture.stdout", a.stdout_bytes, b.stdout_bytes, bytes);
    found.more("capture.stderr", a.stderr_bytes, b.stderr_bytes, bytes);
}
