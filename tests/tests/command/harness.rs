//! Runs the command, and keeps its exit code, its output and its events.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use serde_json::Value;
use tempfile::TempDir;

use crate::support::{capspawn, exec, program};

/// The exit code and the output of one run of the command.
#[derive(Debug)]
pub(crate) struct Outcome {
    pub(crate) code: Option<i32>,
    pub(crate) stdout: String,
    pub(crate) stderr: String,
}

impl Outcome {
    /// Asserts that the command itself has failed, with exit code 2 and one line, and returns
    /// the line.
    #[track_caller]
    pub(crate) fn complaint(&self) -> &str {
        assert_eq!(self.code, Some(2), "{self:?}");
        assert_eq!(self.stdout, "");
        let line = self
            .stderr
            .strip_suffix('\n')
            .expect("the output is a line");
        assert!(!line.contains('\n'), "more than one line: {line}");
        line.strip_prefix("capspawn: ")
            .expect("the line starts with the name of the command")
    }

    /// The output of the component to standard error, without that of the command.
    pub(crate) fn guest_stderr(&self) -> String {
        let lines = self
            .stderr
            .lines()
            .filter(|line| !line.starts_with("capspawn: "));
        lines.collect::<Vec<_>>().join("\n")
    }
}

/// A folder with a grant file and an event file.
pub(crate) struct Setup {
    dir: TempDir,
}

impl Setup {
    /// A grant file for the component `exec` with these commands: their names, their programs
    /// and more lines of their tables. They run without a sandbox unless a line sets one.
    pub(crate) fn new(commands: &[(&str, &Path, &str)]) -> Self {
        let setup = Self {
            dir: tempfile::tempdir().expect("/tmp is writable"),
        };
        let mut grant =
            String::from("version = 1\n[defaults]\nsandbox = \"none\"\n[component.exec]\n");
        for (name, program, rest) in commands {
            let program = program.display();
            grant += &format!(
                "[[component.exec.command]]\nname = \"{name}\"\nprogram = \"{program}\"\n{rest}\n"
            );
        }
        fs::write(setup.grants(), grant).expect("the folder is writable");
        setup
    }

    pub(crate) fn grants(&self) -> PathBuf {
        self.dir.path().join("grants.toml")
    }

    pub(crate) fn events_file(&self) -> PathBuf {
        self.dir.path().join("events.jsonl")
    }

    pub(crate) fn events(&self) -> Vec<Value> {
        let text = fs::read_to_string(self.events_file()).expect("the command has written events");
        text.lines()
            .map(|line| serde_json::from_str(line).expect("an event is JSON"))
            .collect()
    }

    /// `capspawn run ... exec.wasm -- ARGS`, to be run.
    pub(crate) fn command(&self, args: &[&str]) -> Command {
        self.command_with(&[], args)
    }

    /// The same as [`command`](Self::command), with more options.
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

    /// Runs `capspawn run ... exec.wasm -- ARGS`.
    pub(crate) fn exec(&self, args: &[&str]) -> Outcome {
        outcome(&mut self.command(args))
    }
}

/// Runs the command to its end.
pub(crate) fn outcome(command: &mut Command) -> Outcome {
    let output = command
        .stdin(Stdio::null())
        .output()
        .expect("the command starts");
    let text = |bytes| String::from_utf8(bytes).expect("the output is text");
    Outcome {
        code: output.status.code(),
        stdout: text(output.stdout),
        stderr: text(output.stderr),
    }
}

/// Whether this machine has tier A.
pub(crate) fn has_tier_a() -> bool {
    let report = outcome(Command::new(capspawn()).args(["doctor", "--json"]));
    let report: Value = serde_json::from_str(&report.stdout).expect("the report is JSON");
    report["tier"] == "A"
}

/// Runs `capspawn run ARGS`.
pub(crate) fn run(args: &[&str]) -> Outcome {
    outcome(Command::new(capspawn()).arg("run").args(args))
}

/// A setup whose only command is this shell script.
pub(crate) fn script(script: &str, rest: &str) -> Setup {
    let rest = format!("args = [\"-c\", '{script}']\n{rest}");
    Setup::new(&[("script", &program("sh"), &rest)])
}
