//! The facts of an explanation, in one list for people and programs.

use std::ffi::OsStr;
use std::path::Path;

use serde_json::{Map, Value, json};

use crate::confinement::FsRoot;
use crate::error::SpawnError;
use crate::escape::{line, quoted, quoted_list};
use crate::launch::Plan;

/// One fact of an explanation, for people, for programs, or for both.
pub(super) struct Fact {
    /// The label and the text of a line.
    pub(super) line: Option<(&'static str, String)>,
    /// The path of a value in the object, with dots, and the value.
    pub(super) entry: Option<(&'static str, Value)>,
}

impl Fact {
    /// A fact for people and programs.
    pub(super) fn new(
        label: &'static str,
        text: impl ToString,
        key: &'static str,
        value: Value,
    ) -> Self {
        Self {
            line: Some((label, text.to_string())),
            entry: Some((key, value)),
        }
    }

    /// A fact for people.
    pub(super) fn line(label: &'static str, text: impl ToString) -> Self {
        Self {
            line: Some((label, text.to_string())),
            entry: None,
        }
    }

    /// A fact for programs.
    pub(super) fn entry(key: &'static str, value: Value) -> Self {
        Self {
            line: None,
            entry: Some((key, value)),
        }
    }

    /// A fact for programs, and for people if there is a `text`.
    pub(super) fn optional(
        label: &'static str,
        text: Option<String>,
        key: &'static str,
        value: Value,
    ) -> Self {
        Self {
            line: text.map(|text| (label, text)),
            entry: Some((key, value)),
        }
    }
}

/// Adds the facts of a plan: the rule that allows it, what is started, and how it is confined.
pub(super) fn planned(
    plan: &Plan,
    place: Option<(usize, usize)>,
    allows_stdin: bool,
    facts: &mut Vec<Fact>,
) {
    rule(plan, place, facts);
    started(plan, facts);
    limits(plan, facts);
    confinement(plan, allows_stdin, facts);
}

fn rule(plan: &Plan, place: Option<(usize, usize)>, facts: &mut Vec<Fact>) {
    facts.push(match place {
        Some((line, column)) => Fact::new(
            "rule",
            format!("{} at {line}:{column}", quoted(&plan.name)),
            "rule",
            json!({ "line": line, "column": column }),
        ),
        None => Fact::line("rule", quoted(&plan.name)),
    });
}

/// Adds the facts of a refusal.
pub(super) fn refused(error: &SpawnError, facts: &mut Vec<Fact>) {
    let SpawnError::Denied(denial) = error else {
        facts.push(Fact::new(
            "refused",
            error,
            "reason",
            json!(error.to_string()),
        ));
        return;
    };
    facts.push(Fact::entry("item", json!(denial.item.to_string())));
    let shown = format!("{}: {}", denial.item, denial.reason);
    facts.push(Fact::new("refused", shown, "reason", json!(denial.reason)));
    let nearest = denial.nearest.as_ref().map(|name| quoted(name).to_string());
    facts.push(Fact::optional(
        "nearest",
        nearest,
        "nearest",
        json!(denial.nearest),
    ));
    let line = denial.would_allow.clone();
    facts.push(Fact::optional(
        "allowed by",
        line,
        "would_allow",
        json!(denial.would_allow),
    ));
}

/// Adds what is started, and where.
fn started(plan: &Plan, facts: &mut Vec<Fact>) {
    let program = &plan.program.path;
    facts.push(Fact::new(
        "program",
        quoted_path(program),
        "program",
        path_value(program),
    ));
    facts.push(Fact::new(
        "arguments",
        quoted_list(&plan.argv),
        "argv",
        Value::Array(plan.argv.iter().map(|it| text_value(it)).collect()),
    ));
    for (name, value) in &plan.env {
        facts.push(Fact::line(
            "env",
            format!("{}={}", line(name), quoted(value)),
        ));
    }
    let env: Map<_, _> = plan
        .env
        .iter()
        .map(|(name, value)| (name.clone(), text_value(value)))
        .collect();
    facts.push(Fact::entry("env", json!(env)));
    let cwd = &plan.cwd.path;
    facts.push(Fact::new("cwd", quoted_path(cwd), "cwd", path_value(cwd)));
    if !plan.cwd.named {
        facts.push(Fact::line(
            "",
            "or a private /tmp where the sandbox has one",
        ));
    }
}

fn limits(plan: &Plan, facts: &mut Vec<Fact>) {
    let (limits, capture) = (&plan.limits, &plan.capture);
    let times = [
        ("wall", "limits.wall_seconds", Some(limits.wall)),
        ("cpu", "limits.cpu_seconds", limits.cpu),
    ];
    for (label, key, time) in times {
        let text = time.map(|time| format!("{time:?}"));
        facts.push(Fact::optional(
            label,
            text,
            key,
            json!(time.map(|it| it.as_secs_f64())),
        ));
    }
    let (tmpfs, stdout, stderr) = (
        limits.tmpfs_bytes,
        capture.stdout_bytes,
        capture.stderr_bytes,
    );
    let numbers = [
        (
            "memory",
            " bytes",
            "limits.memory_bytes",
            limits.memory_bytes,
        ),
        ("processes", "", "limits.processes", limits.processes),
        ("open-files", "", "limits.open_files", limits.open_files),
        (
            "file-size",
            " bytes",
            "limits.file_size_bytes",
            limits.file_size_bytes,
        ),
        (
            "tmpfs",
            " bytes in a private /tmp",
            "limits.tmpfs_bytes",
            Some(tmpfs),
        ),
        (
            "output",
            " bytes",
            "limits.output_bytes",
            limits.output_bytes,
        ),
        ("stdout", " bytes kept", "limits.stdout_bytes", Some(stdout)),
        ("stderr", " bytes kept", "limits.stderr_bytes", Some(stderr)),
    ];
    for (label, unit, key, number) in numbers {
        let text = number.map(|number| format!("{number}{unit}"));
        facts.push(Fact::optional(label, text, key, json!(number)));
    }
}

fn confinement(plan: &Plan, allows_stdin: bool, facts: &mut Vec<Fact>) {
    let confinement = &plan.confinement;
    let (sandbox, network) = (confinement.sandbox.name(), confinement.network.name());
    facts.push(Fact::new("sandbox", sandbox, "sandbox", json!(sandbox)));
    facts.push(Fact::new("network", network, "network", json!(network)));
    let pid = plan.disclose_pid.then(|| "the guest can see it".to_owned());
    facts.push(Fact::optional(
        "pid",
        pid,
        "disclose_pid",
        json!(plan.disclose_pid),
    ));
    let stdin = (!allows_stdin).then(|| "the guest cannot provide it".to_owned());
    facts.push(Fact::optional("stdin", stdin, "stdin", json!(allows_stdin)));
    let lists = [
        ("read", "fs.read", &confinement.fs.read),
        ("write", "fs.write", &confinement.fs.write),
        ("deny", "fs.deny", &confinement.fs.deny),
    ];
    for (label, key, list) in lists {
        let written: Vec<_> = list.iter().map(|root| path_value(&root.written)).collect();
        facts.push(Fact::new(label, words(list), key, json!(written)));
    }
}

/// Returns a path as a string. JSON has no strings that are not UTF-8.
fn path_value(path: &Path) -> Value {
    text_value(path.as_os_str())
}

fn text_value(text: &OsStr) -> Value {
    json!(text.to_string_lossy())
}

fn quoted_path(path: &Path) -> String {
    quoted(path).to_string()
}

fn words(list: &[FsRoot]) -> String {
    if list.is_empty() {
        return "-".to_owned();
    }
    let words: Vec<_> = list.iter().map(|it| quoted_path(&it.written)).collect();
    words.join(" ")
}
