//! Builds the helper `capspawn-init` and leaves it where the crate embeds it.
//!
//! With the compiler that builds the crate, no extra target and nothing linked:
//! an artifact dependency would do the same and is not stable.

use std::env;
use std::path::PathBuf;
use std::process::Command;

/// The helper's own folder, and what it shares with the crate.
const SOURCES: [&str; 6] = [
    "init",
    "src/sandbox/sys/linux/child.rs",
    "src/sandbox/sys/linux/clone.rs",
    "src/sandbox/sys/linux/raw.rs",
    "src/sandbox/sys/linux/session/wire.rs",
    "src/sandbox/sys/linux/steps.rs",
];

fn main() {
    for source in SOURCES {
        println!("cargo::rerun-if-changed={source}");
    }
    let variable = |name: &str| env::var(name).unwrap_or_default();
    if variable("CARGO_CFG_TARGET_OS") != "linux" || variable("CARGO_CFG_TARGET_ARCH") != "x86_64" {
        return;
    }
    let output = PathBuf::from(variable("OUT_DIR")).join("capspawn-init");
    let mut rustc = Command::new(env::var_os("RUSTC").unwrap_or_else(|| "rustc".into()));
    rustc.args([
        "--edition",
        "2024",
        "--crate-name",
        "capspawn_init",
        "--crate-type",
        "bin",
    ]);
    rustc.args(["--target", &variable("TARGET"), "-D", "warnings"]);
    rustc.args([
        "-C",
        "opt-level=s",
        "-C",
        "panic=abort",
        "-C",
        "relocation-model=static",
    ]);
    rustc.args([
        "-C",
        "overflow-checks=off",
        "-C",
        "debug-assertions=off",
        "-C",
        "strip=symbols",
    ]);
    for argument in [
        "-nostartfiles",
        "-nostdlib",
        "-static",
        "-Wl,--build-id=none",
    ] {
        rustc.arg("-C").arg(format!("link-arg={argument}"));
    }
    if let Some(linker) = env::var_os("RUSTC_LINKER") {
        let mut argument = std::ffi::OsString::from("linker=");
        argument.push(linker);
        rustc.arg("-C").arg(argument);
    }
    rustc.arg("-o").arg(&output).arg("init/main.rs");
    match rustc.status() {
        Ok(status) if status.success() => {}
        Ok(status) => panic!("the helper did not build: rustc ended with {status}"),
        Err(error) => panic!("the helper did not build: {error}"),
    }
}
