//! Builds the program `capspawn-init` and leaves it where the crate embeds it.
//!
//! With the compiler that builds the crate, and no extra target: an artifact
//! dependency of Cargo would do the same and is not stable. The program and the
//! crate that it shares with the host (`raw`) are built with the same flags, and
//! linked with link-time optimisation: what the program does not call is left out.

#![expect(clippy::disallowed_types, reason = "the build runs the compiler")]

use std::env;
use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::process::Command;

/// The sources of the program, and of the crate that it shares with the host.
const SOURCES: [&str; 2] = ["init", "raw/src"];

/// How both are compiled: small, without unwinding, and without checks whose
/// failure nobody could report.
const FLAGS: [&str; 12] = [
    "--edition=2024",
    "-Dwarnings",
    "-Copt-level=s",
    "-Cpanic=abort",
    "-Crelocation-model=static",
    "-Coverflow-checks=off",
    "-Cdebug-assertions=off",
    "-Cstrip=symbols",
    "-Clink-arg=-nostartfiles",
    "-Clink-arg=-nostdlib",
    "-Clink-arg=-static",
    "-Clink-arg=-Wl,--build-id=none",
];

fn main() {
    for source in SOURCES {
        println!("cargo::rerun-if-changed={source}");
    }
    if variable("CARGO_CFG_TARGET_OS") != "linux" || variable("CARGO_CFG_TARGET_ARCH") != "x86_64" {
        return;
    }
    let out = PathBuf::from(variable("OUT_DIR"));
    let shared = out.join("libcapspawn_raw.rlib");
    let mut raw = rustc("capspawn_raw", "rlib", &shared);
    build(raw.arg("raw/src/lib.rs"));
    let mut dependency = OsString::from("capspawn_raw=");
    dependency.push(&shared);
    let mut init = rustc("capspawn_init", "bin", &out.join("capspawn-init"));
    build(
        init.arg("-Clto=fat")
            .arg("--extern")
            .arg(dependency)
            .arg("init/main.rs"),
    );
}

fn variable(name: &str) -> String {
    env::var(name).unwrap_or_default()
}

/// Returns a call of the compiler for one crate, to which its source is to be added.
fn rustc(name: &str, kind: &str, output: &Path) -> Command {
    let mut rustc = Command::new(env::var_os("RUSTC").unwrap_or_else(|| "rustc".into()));
    rustc.args(["--crate-name", name, "--crate-type", kind]);
    rustc.args(["--target", &variable("TARGET")]).args(FLAGS);
    if let Some(linker) = env::var_os("RUSTC_LINKER") {
        let mut argument = OsString::from("-Clinker=");
        argument.push(linker);
        rustc.arg(argument);
    }
    rustc.arg("-o").arg(output);
    rustc
}

fn build(rustc: &mut Command) {
    match rustc.status() {
        Ok(status) if status.success() => {}
        Ok(status) => panic!("capspawn-init did not build: rustc ended with {status}"),
        Err(error) => panic!("capspawn-init did not build: {error}"),
    }
}
