//! A plugin that formats what has changed: git lists the files, and a formatter rewrites each of them.
//!
//! Usage: `format-changes FORMATTER [OPTIONS]...`. The formatter receives its options and one file. `git` and the
//! formatter are commands of the grant.

use std::time::Duration;

use capspawn_guest::{Command, exit};

/// How long the formatter may take for one file.
const PATIENCE: Duration = Duration::from_secs(60);

fn main() {
    let mut args = std::env::args().skip(1);
    let usage = "usage: format-changes FORMATTER [OPTIONS]...";
    let formatter = args.next().expect(usage);
    let options: Vec<String> = args.collect();

    let changed = changed_files().unwrap_or_else(|reason| {
        eprintln!("format-changes: git: {reason}");
        exit(1);
    });
    let mut failed = 0;
    for file in &changed {
        match format(&formatter, &options, file) {
            Ok(()) => println!("formatted {file}"),
            Err(reason) => {
                println!("{file}: {reason}");
                failed += 1;
            }
        }
    }
    println!("{} of {} files", changed.len() - failed, changed.len());
    exit(i32::from(failed > 0));
}

/// Returns the files that git lists as changed and not deleted. Their names end with a NUL, which no name contains.
fn changed_files() -> Result<Vec<String>, String> {
    let output = Command::new("git")
        .args(["diff", "--name-only", "--diff-filter=d", "-z"])
        .output()
        .map_err(|error| error.to_string())?;
    if !output.status.success() {
        return Err(String::from_utf8_lossy(&output.stderr)
            .trim_end()
            .to_owned());
    }
    let names = String::from_utf8_lossy(&output.stdout).into_owned();
    Ok(names.split_terminator('\0').map(str::to_owned).collect())
}

/// Formats one file.
fn format(formatter: &str, options: &[String], file: &str) -> Result<(), String> {
    let output = Command::new(formatter)
        .args(options)
        .arg(file)
        .timeout(PATIENCE)
        .output()
        .map_err(|error| format!("{formatter} did not run: {error}"))?;
    if output.status.success() {
        return Ok(());
    }
    let stderr = String::from_utf8_lossy(&output.stderr);
    let first = stderr.lines().next().unwrap_or_default();
    Err(format!("{formatter}: {}: {first}", output.status))
}
