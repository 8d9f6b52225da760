//! Writes a proposal into the text of a grant file, whose comments and order stay.

use std::path::{Path, PathBuf};

use anyhow::{Result, bail};
use capspawn_native::confinement::Network;
use capspawn_native::grant::parse_duration;
use toml::de::{DeTable, DeValue};
use toml::{Table, Value};

use super::fold::outermost;
use super::limits::Limits;
use super::observe::literal;
use super::pattern::{matches, widen};
use super::propose::{Proposal, Proposed};
use super::text::{self, Edits, broken, entry};

/// The first lines of a file that is made.
const HEADER: &str = "\
# Learnt from what a program used in one run. Read it before you use it: `capspawn check` shows what it allows.
# The loader, the locale, certificates and the time zone are in the built-in fs.read.
version = 1
";

/// Returns the file with the commands of `proposal`; those that it had are widened.
///
/// # Errors
///
/// The file has other kinds of values where a grant has tables.
pub(crate) fn merge(mut file: String, proposal: &Proposal) -> Result<String> {
    if file.trim().is_empty() {
        file = HEADER.to_owned();
    } else if file.parse::<Table>()?.get("version").is_none() {
        file.insert_str(0, "version = 1\n");
    }
    for proposed in &proposal.commands {
        file = merge_command(file, &proposal.component, proposed)?;
    }
    Ok(file)
}

fn merge_command(file: String, component: &str, proposed: &Proposed) -> Result<String> {
    let placed = DeTable::parse(&file)?;
    let plain: Table = file.parse()?;
    let section = entry(placed.get_ref(), "component")
        .and_then(|it| it.get_ref().as_table())
        .and_then(|it| entry(it, component));
    let commands = section
        .and_then(|it| it.get_ref().as_table())
        .and_then(|it| entry(it, "command"));
    if let Some(commands) = commands {
        let values = plain
            .get("component")
            .and_then(|it| it.get(component))
            .and_then(|it| it.get("command"));
        let (Some(list), Some(values)) = (
            commands.get_ref().as_array(),
            values.and_then(Value::as_array),
        ) else {
            bail!("`component.{component}.command` is not a list of tables");
        };
        for (placed, value) in list.iter().zip(values) {
            let (DeValue::Table(placed), Value::Table(value)) = (placed.get_ref(), value) else {
                bail!("`component.{component}.command` is not a list of tables");
            };
            if let Some(edits) = widened(&file, placed, value, proposed) {
                return Ok(edits.apply());
            }
        }
        if file
            .get(commands.span())
            .is_some_and(|it| it.starts_with('[') && !it.starts_with("[["))
        {
            bail!(
                "write the commands of {component} as `[[component.{}.command]]`",
                text::key(component)
            );
        }
    }
    let mut file = file;
    if !file.ends_with('\n') {
        file.push('\n');
    }
    Ok(file + &command(component, proposed))
}

/// Returns the table of a command.
fn command(component: &str, proposed: &Proposed) -> String {
    let patterns: Vec<_> = proposed
        .args
        .iter()
        .map(|arg| text::value(&literal(arg)))
        .collect();
    let path = |path: &Path| text::string(&path.to_string_lossy());
    let mut lines = vec![
        format!("\n[[component.{}.command]]", text::key(component)),
        format!("name = {}", text::string(&proposed.name)),
        format!("program = {}", path(&proposed.program)),
        format!("args = {}", broken(&patterns)),
        format!("match = [{}]", text::strings(&proposed.args)),
    ];
    if let Some(cwd) = &proposed.cwd {
        lines.push(format!("cwd = {{ default = {} }}", path(cwd)));
    }
    for (key, roots) in [
        ("read", &proposed.roots.read),
        ("write", &proposed.roots.write),
    ] {
        let roots: Vec<_> = roots.iter().map(|root| path(root)).collect();
        if !roots.is_empty() {
            lines.push(format!("fs.{key} = {}", broken(&roots)));
        }
    }
    let set = proposed
        .set
        .iter()
        .map(|(name, value)| format!("{} = {}", text::key(name), text::string(value)));
    let set: Vec<_> = set.collect();
    if !set.is_empty() {
        lines.push(format!("env.set = {{ {} }}", set.join(", ")));
    }
    if !proposed.allow.is_empty() {
        lines.push(format!("env.allow = {}", text::strings(&proposed.allow)));
    }
    if proposed.network != Network::None {
        lines.push(format!("network = \"{}\"", proposed.network));
    }
    let limits: Vec<_> = written(&proposed.limits)
        .into_iter()
        .map(|(key, _, value)| format!("{key} = {value}"))
        .collect();
    lines.push(format!("limits = {{ {} }}", limits.join(", ")));
    lines.join("\n") + "\n"
}

/// Returns the edits that widen a command; none if it is another program's, or about arguments that differ too much.
fn widened<'t>(
    file: &'t str,
    placed: &DeTable<'_>,
    value: &Table,
    proposed: &Proposed,
) -> Option<Edits<'t>> {
    let is = |key: &str, text: &str| value.get(key).and_then(Value::as_str) == Some(text);
    let decision = value
        .get("decision")
        .and_then(Value::as_str)
        .unwrap_or("allow");
    let is_same = is("name", &proposed.name) && is("program", &proposed.program.to_string_lossy());
    if !is_same || decision != "allow" {
        return None;
    }
    let none = Vec::new();
    let patterns = value.get("args").and_then(Value::as_array).unwrap_or(&none);
    let new = widen_args(patterns, proposed)?;
    let after = entry(placed, "program")?.span().end;
    let mut edits = Edits::of(file);
    if new != *patterns {
        let new: Vec<_> = new.iter().map(text::value).collect();
        edits.set(placed, &["args"], &broken(&new), after);
    }
    let example = text::strings(&proposed.args);
    let examples = value
        .get("match")
        .and_then(Value::as_array)
        .unwrap_or(&none);
    if !examples.iter().any(|it| text::value(it) == example) {
        match entry(placed, "match") {
            Some(list) => edits.extend(list, &[example]),
            None => edits.set(placed, &["match"], &format!("[{example}]"), after),
        }
    }
    if let Some(cwd) = &proposed.cwd
        && value.get("cwd").is_none()
    {
        let cwd = text::string(&cwd.to_string_lossy());
        edits.set(placed, &["cwd", "default"], &cwd, after);
    }
    let read = proposed.roots.read.iter().cloned().collect();
    let write = proposed.roots.write.iter().cloned().collect();
    add_roots(&mut edits, placed, value, "read", read, after);
    add_roots(&mut edits, placed, value, "write", write, after);
    add_environment(&mut edits, placed, value, proposed, after);
    let known = value
        .get("network")
        .and_then(Value::as_str)
        .and_then(|it| it.parse().ok());
    let rank = |network| Network::ALL.iter().position(|it| *it == network);
    if rank(proposed.network) > rank(known.unwrap_or(Network::None)) {
        edits.set(
            placed,
            &["network"],
            &text::string(proposed.network.name()),
            after,
        );
    }
    add_limits(&mut edits, placed, value, &proposed.limits, after);
    Some(edits)
}

/// Returns the patterns widened by the arguments; none if they differ too much. With one rule for calls that differ in two
/// places, each first part would go with each second one.
fn widen_args(patterns: &[Value], proposed: &Proposed) -> Option<Vec<Value>> {
    if patterns.len() != proposed.args.len() {
        return None;
    }
    let pairs = || patterns.iter().zip(&proposed.args);
    if pairs()
        .filter(|(pattern, arg)| !matches(pattern, arg))
        .count()
        > 1
    {
        return None;
    }
    let cwd = proposed.cwd.as_deref().unwrap_or(Path::new("/"));
    let mut roots = proposed.roots.read.iter().chain(&proposed.roots.write);
    let roots: Vec<_> = roots.by_ref().collect();
    let is_readable = |dir: &Path| roots.iter().any(|root| dir.starts_with(root));
    pairs()
        .map(|(pattern, arg)| widen(pattern, arg, cwd, is_readable))
        .collect()
}

/// Adds roots to `fs.KEY`, but those that lie below another.
fn add_roots(
    edits: &mut Edits<'_>,
    placed: &DeTable<'_>,
    value: &Table,
    key: &str,
    roots: Vec<PathBuf>,
    after: usize,
) {
    let known = value
        .get("fs")
        .and_then(|it| it.get(key))
        .and_then(Value::as_array);
    let known: Vec<&str> = known
        .into_iter()
        .flatten()
        .filter_map(Value::as_str)
        .collect();
    let is_new = |root: &PathBuf| !known.iter().any(|known| root.starts_with(known));
    let new = outermost(roots.into_iter().filter(is_new).collect());
    let new: Vec<_> = new
        .iter()
        .map(|root| text::string(&root.to_string_lossy()))
        .collect();
    if new.is_empty() {
        return;
    }
    let list = entry(placed, "fs")
        .and_then(|it| it.get_ref().as_table())
        .and_then(|fs| entry(fs, key));
    match list {
        Some(list) => edits.extend(list, &new),
        None => edits.set(placed, &["fs", key], &broken(&new), after),
    }
}

fn add_environment(
    edits: &mut Edits<'_>,
    placed: &DeTable<'_>,
    value: &Table,
    proposed: &Proposed,
    after: usize,
) {
    let env = value.get("env").and_then(Value::as_table);
    let set = env.and_then(|env| env.get("set")).and_then(Value::as_table);
    let missing: Vec<_> = proposed
        .set
        .iter()
        .filter(|(name, _)| !set.is_some_and(|set| set.contains_key(*name)))
        .collect();
    match set {
        Some(_) => {
            for (name, text) in missing {
                edits.set(placed, &["env", "set", name], &text::string(text), after);
            }
        }
        None if !missing.is_empty() => {
            let all: Vec<_> = missing
                .iter()
                .map(|(name, text)| format!("{} = {}", text::key(name), text::string(text)))
                .collect();
            edits.set(
                placed,
                &["env", "set"],
                &format!("{{ {} }}", all.join(", ")),
                after,
            );
        }
        None => {}
    }
    let allow = env
        .and_then(|env| env.get("allow"))
        .and_then(Value::as_array);
    let known: Vec<&str> = allow
        .into_iter()
        .flatten()
        .filter_map(Value::as_str)
        .collect();
    let new: Vec<_> = proposed
        .allow
        .iter()
        .filter(|name| !known.contains(&name.as_str()))
        .map(|name| text::string(name))
        .collect();
    if new.is_empty() {
        return;
    }
    let list = entry(placed, "env")
        .and_then(|it| it.get_ref().as_table())
        .and_then(|env| entry(env, "allow"));
    match list {
        Some(list) => edits.extend(list, &new),
        None => edits.set(placed, &["env", "allow"], &broken(&new), after),
    }
}

/// Returns the keys of the limits, their numbers, and their values as a grant has them.
fn written(limits: &Limits) -> Vec<(&'static str, u64, String)> {
    let mut all = vec![
        ("wall", limits.wall, format!("\"{}s\"", limits.wall)),
        ("cpu", limits.cpu, format!("\"{}s\"", limits.cpu)),
        ("memory", limits.memory, format!("\"{}MiB\"", limits.memory)),
    ];
    all.extend(
        limits
            .processes
            .map(|tasks| ("processes", tasks, tasks.to_string())),
    );
    all.extend(
        limits
            .file_size
            .map(|size| ("file-size", size, format!("\"{size}MiB\""))),
    );
    all
}

/// Raises the limits that are lower.
fn add_limits(
    edits: &mut Edits<'_>,
    placed: &DeTable<'_>,
    value: &Table,
    limits: &Limits,
    after: usize,
) {
    let known = value.get("limits").and_then(Value::as_table);
    let number = |key: &str| match known?.get(key)? {
        Value::Integer(tasks) => u64::try_from(*tasks).ok(),
        Value::String(text) => {
            let of = |unit: &str| text.strip_suffix(unit)?.trim().parse::<u64>().ok();
            let mib = of("GiB").map(|it| it * 1024).or_else(|| of("MiB"));
            // A value that is not understood is the operator's own.
            let seconds = || parse_duration(text).ok().map(|it| it.as_secs());
            Some(mib.or_else(seconds).unwrap_or(u64::MAX))
        }
        _ => Some(u64::MAX),
    };
    for (key, new, text) in written(limits) {
        if number(key).is_none_or(|known| known < new) {
            edits.set(placed, &["limits", key], &text, after);
        }
    }
}
