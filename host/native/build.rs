//! Builds the program `capspawn-init`, which the crate embeds.
//!
//! It calls the compiler that builds the crate, for the same target: first for the library
//! that the program shares with the host (`raw`), then for the program, both with the same
//! flags. Link-time optimisation leaves out what the program does not call. Rejected: an
//! artifact dependency of Cargo, which does the same and is not stable.

#![expect(clippy::disallowed_types, reason = "the build runs the compiler")]

use std::env;
use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::process::Command;

/// The sources of the program and of the shared library. The build script runs again when one
/// of them changes.
const SOURCES: [&str; 2] = ["init", SHARED];

/// The sources of the shared library. A link to `raw/src`: Cargo leaves a crate in a folder of
/// another one out of that one's archive.
const SHARED: &str = "init/raw";

/// The flags for both: small code, no unwinding, and no overflow checks, whose failure the
/// program could not report. Warnings are `.ci/run`'s concern: a newer compiler has new ones.
const FLAGS: [&str; 11] = [
    "--edition=2024",
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
    build(raw.arg(format!("{SHARED}/lib.rs")));
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

/// Returns a call of the compiler for one crate; the caller adds the source.
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
