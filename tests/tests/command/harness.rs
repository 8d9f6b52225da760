//! Runs the command, and keeps what it left.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use serde_json::Value;
use tempfile::TempDir;

use crate::support::{capspawn, exec, program};

/// What one run of the command left.
#[derive(Debug)]
pub(crate) struct Outcome {
    pub(crate) code: Option<i32>,
    pub(crate) stdout: String,
    pub(crate) stderr: String,
}

impl Outcome {
    /// An error of the command's own: exit code 2 and one line, which is returned.
    #[track_caller]
    pub(crate) fn complaint(&self) -> &str {
        assert_eq!(self.code, Some(2), "{self:?}");
        assert_eq!(self.stdout, "");
        let line = self.stderr.strip_suffix('\n').expect("a line");
        assert!(!line.contains('\n'), "more than one line: {line}");
        line.strip_prefix("capspawn: ")
            .expect("the command's name first")
    }

    /// What the component wrote to standard error.
    pub(crate) fn guest_stderr(&self) -> String {
        let lines = self
            .stderr
            .lines()
            .filter(|line| !line.starts_with("capspawn: "));
        lines.collect::<Vec<_>>().join("\n")
    }
}

/// A directory with a grant file and a file of events.
pub(crate) struct Setup {
    dir: TempDir,
}

impl Setup {
    /// A grant without confinement for the component `exec`, with these commands.
    pub(crate) fn new(commands: &[(&str, &Path, &str)]) -> Self {
        let setup = Self {
            dir: tempfile::tempdir().expect("a temporary directory"),
        };
        let mut grant =
            String::from("version = 1\n[defaults]\nsandbox = \"none\"\n[component.exec]\n");
        for (name, program, rest) in commands {
            let program = program.display();
            grant += &format!(
                "[[component.exec.command]]\nname = \"{name}\"\nprogram = \"{program}\"\n{rest}\n"
            );
        }
        fs::write(setup.grants(), grant).expect("it is writable");
        setup
    }

    pub(crate) fn grants(&self) -> PathBuf {
        self.dir.path().join("grants.toml")
    }

    pub(crate) fn events_file(&self) -> PathBuf {
        self.dir.path().join("events.jsonl")
    }

    pub(crate) fn events(&self) -> Vec<Value> {
        let text = fs::read_to_string(self.events_file()).expect("events");
        text.lines()
            .map(|line| serde_json::from_str(line).expect("JSON"))
            .collect()
    }

    pub(crate) fn command(&self, args: &[&str]) -> Command {
        self.command_with(&[], args)
    }

    /// The same with further options.
    pub(crate) fn command_with(&self, options: &[&str], args: &[&str]) -> Command {
        let mut command = Command::new(capspawn());
        command.arg("run").arg("--grants").arg(self.grants());
        command
            .arg("--events")
            .arg(self.events_file())
            .args(options)
            .arg(exec())
            .arg("--")
            .args(args);
        command
    }

    /// `capspawn run ... exec.wasm -- ARGS`
    pub(crate) fn exec(&self, args: &[&str]) -> Outcome {
        outcome(&mut self.command(args))
    }
}

pub(crate) fn outcome(command: &mut Command) -> Outcome {
    let output = command
        .stdin(Stdio::null())
        .output()
        .expect("the command starts");
    let text = |bytes| String::from_utf8(bytes).expect("UTF-8");
    Outcome {
        code: output.status.code(),
        stdout: text(output.stdout),
        stderr: text(output.stderr),
    }
}

/// Whether this machine lets the command make sessions.
pub(crate) fn has_tier_a() -> bool {
    let report = outcome(Command::new(capspawn()).args(["doctor", "--json"]));
    let report: Value = serde_json::from_str(&report.stdout).expect("JSON");
    report["tier"] == "A"
}

pub(crate) fn run(args: &[&str]) -> Outcome {
    outcome(Command::new(capspawn()).arg("run").args(args))
}

/// A setup with one command that is a shell script.
pub(crate) fn script(script: &str, rest: &str) -> Setup {
    let rest = format!("args = [\"-c\", '{script}']\n{rest}");
    Setup::new(&[("script", &program("sh"), &rest)])
}
