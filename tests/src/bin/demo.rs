//! The demonstration: `cargo demo`. A component runs a real program that its grant
//! lists, and is denied another one that the grant does not list.

#![expect(
    clippy::disallowed_types,
    reason = "the demonstration runs the command"
)]

use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode, Output};

use anyhow::{Context as _, Result, ensure};

/// The example component `exec`, which the build script of this package builds.
const EXEC: &str = "target/guests/exec.wasm";

fn main() -> ExitCode {
    match demonstrate() {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("demo: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn demonstrate() -> Result<()> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"))
        .parent()
        .context("the crate has a parent")?;
    let demo = Demo {
        capspawn: build(root)?,
        root: root.to_owned(),
    };

    println!(
        "\nThe grant: guest-examples/grants.toml. The component: exec.wasm, which runs its arguments."
    );

    println!("\n1. A command that the grant lists:");
    let allowed = demo.exec(&["uname", "-sr"])?;
    let stdout = String::from_utf8_lossy(&allowed.stdout);
    ensure!(allowed.status.code() == Some(0), "uname was not allowed");
    ensure!(
        stdout.starts_with("Linux "),
        "uname did not print the kernel's name"
    );

    println!("\n2. A command that the grant does not list:");
    let denied = demo.exec(&["sh", "-c", "id"])?;
    ensure!(denied.status.code() == Some(126), "sh was not denied");
    ensure!(denied.stdout.is_empty(), "sh ran");

    println!("\nBoth ended as the grant says.");
    Ok(())
}

/// Builds the command and returns its path. The guests are built with this program.
fn build(root: &Path) -> Result<PathBuf> {
    let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let status = Command::new(cargo)
        .args(["build", "--quiet", "--package", "capspawn-cli"])
        .current_dir(root)
        .status()
        .context("cannot start cargo")?;
    ensure!(status.success(), "cargo could not build the command");
    let here = std::env::current_exe().context("cannot find the path of this program")?;
    Ok(here.with_file_name("capspawn"))
}

struct Demo {
    capspawn: PathBuf,
    root: PathBuf,
}

impl Demo {
    /// Runs `command` through the component `exec`, and prints the call and its output.
    fn exec(&self, command: &[&str]) -> Result<Output> {
        const RUN: [&str; 4] = ["run", "--grants", "guest-examples/grants.toml", EXEC];
        println!("$ capspawn {} -- {}", RUN.join(" "), command.join(" "));
        let output = Command::new(&self.capspawn)
            .args(RUN)
            .arg("--")
            .args(command)
            .current_dir(&self.root)
            .output()
            .context("cannot start capspawn")?;
        print!("{}", String::from_utf8_lossy(&output.stdout));
        print!("{}", String::from_utf8_lossy(&output.stderr));
        match output.status.code() {
            Some(code) => println!("[exit code {code}]"),
            None => println!("[{}]", output.status),
        }
        Ok(output)
    }
}
