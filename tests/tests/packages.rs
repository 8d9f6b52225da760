//! Each crate builds from its own archive: it has the WIT and all else that it needs inside.

#![expect(clippy::disallowed_types, reason = "the tests run cargo and tar")]

use std::fmt::Write as _;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use test_kit::scratch;

/// The crates for others, in an order in which each follows those that it needs.
const CRATES: [&str; 5] = [
    "capspawn-raw",
    "capspawn-native",
    "capspawn",
    "capspawn-testing",
    "capspawn-cli",
];

fn root() -> &'static Path {
    let tests = Path::new(env!("CARGO_MANIFEST_DIR"));
    tests.parent().expect("the crate is below the root")
}

/// The target directory of these tests.
fn target() -> PathBuf {
    let test = std::env::current_exe().expect("a running program has a path");
    // It is `TARGET/debug/deps/TEST`.
    let target = test.ancestors().nth(3);
    target.expect("it is in a folder of cargo's").to_owned()
}

fn cargo(folder: &Path, args: &[&str]) -> Command {
    let mut cargo = Command::new(env!("CARGO"));
    cargo
        .current_dir(folder)
        .args(args)
        .args(["--offline", "--quiet"]);
    cargo
}

#[track_caller]
fn succeed(command: &mut Command) {
    let output = command.output().expect("the program starts");
    let stderr = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{command:?}: {stderr}");
}

/// The profiles of this workspace, with which the dependencies are built already.
fn profiles() -> String {
    let manifest = fs::read_to_string(root().join("Cargo.toml")).expect("it is text");
    let (_, profiles) = manifest.split_once("[profile.dev]").expect("it has one");
    format!("[profile.dev]{profiles}")
}

/// Cargo's own check after packaging would build all dependencies once more, without the
/// profiles of this workspace. So the archives are unpacked into a workspace with them.
#[test]
fn each_crate_builds_from_its_own_archive() {
    let folder = scratch();
    let mut package = cargo(root(), &["package", "--no-verify", "--allow-dirty"]);
    for name in CRATES {
        package.args(["--package", name]);
    }
    succeed(&mut package);

    let mut manifest = String::from(
        "[workspace]\nresolver = \"3\"\nmembers = [\"capspawn*\"]\n[patch.crates-io]\n",
    );
    for name in CRATES {
        let unpacked = format!("{name}-0.1.0");
        let archive = target().join(format!("package/{unpacked}.crate"));
        let mut tar = Command::new("tar");
        succeed(tar.arg("-xf").arg(&archive).arg("-C").arg(folder.path()));
        writeln!(manifest, "{name} = {{ path = \"{unpacked}\" }}").expect("a string has room");
    }
    fs::write(folder.path().join("Cargo.toml"), manifest + &profiles()).expect("it is writable");
    fs::copy(root().join("Cargo.lock"), folder.path().join("Cargo.lock")).expect("it is text");

    let mut build = cargo(
        folder.path(),
        &[
            "build",
            "--package",
            "capspawn-cli",
            "--package",
            "capspawn-testing",
        ],
    );
    // The library alone: the command's program belongs to other tests.
    succeed(build.arg("--lib").env("CARGO_TARGET_DIR", target()));
}

/// The library for components, whose archive cargo itself can build.
#[test]
fn the_library_for_components_builds_from_its_own_archive() {
    let folder = root().join("guest/rust");
    let mut package = cargo(&folder, &["package", "--allow-dirty", "--all-features"]);
    succeed(package.env("CARGO_TARGET_DIR", target().join("guests-build")));
}
