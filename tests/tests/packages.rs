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
    "capspawn-tape",
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

/// The packages, each with its features, that a host builds with these features of `capspawn`.
fn packages(features: &str) -> Vec<String> {
    let mut tree = cargo(
        root(),
        &["tree", "--package", "capspawn", "--edges", "normal"],
    );
    tree.args(["--prefix", "none", "--format", "{p} {f}"]);
    tree.args(["--no-default-features", "--features", features]);
    let output = tree.output().expect("cargo starts");
    assert!(output.status.success(), "{output:?}");
    let text = String::from_utf8(output.stdout).expect("names of packages");
    text.lines().map(str::to_owned).collect()
}

/// Off means off: what a host does not use, it does not build.
#[test]
fn each_feature_of_the_plugin_brings_what_it_is_for() {
    let has = |packages: &[String], name: &str| packages.iter().any(|it| it.starts_with(name));
    for (features, compiler, cache, wasi) in [
        ("", false, false, false),
        ("p2", false, false, true),
        ("p3", false, false, false),
        ("p2,p3,cache", false, true, true),
        ("p2,cranelift", true, false, true),
        ("default", true, true, true),
    ] {
        let packages = packages(features);
        assert!(has(&packages, "wasmtime v"), "{packages:?}");
        let found = |name| has(&packages, name);
        assert_eq!(found("cranelift-codegen v"), compiler, "{features}");
        assert_eq!(
            found("wasmtime-internal-cranelift v"),
            compiler,
            "{features}"
        );
        assert_eq!(found("wasmtime-internal-cache v"), cache, "{features}");
        assert_eq!(found("wasmtime-wasi v"), wasi, "{features}");
    }
}

/// Each feature that a host's own dependencies lack rebuilds them, and all that depends on them: of wasmtime, what no host
/// with wasmtime's default features and WASI 0.3 lacks.
#[test]
fn the_plugin_adds_no_feature_to_what_a_host_of_wasmtime_has_built() {
    const DEFAULT: [&str; 9] = [
        "async",
        "cache",
        "component-model",
        "component-model-async",
        "component-model-bytes",
        "cranelift",
        "parallel-compilation",
        "runtime",
        "std",
    ];
    let packages = packages("default");
    let features = |name: &str| {
        let found = packages.iter().find_map(|it| it.strip_prefix(name));
        let (_, features) = found.and_then(|it| it.split_once(' ')).expect("it is used");
        let features = features.trim_end_matches(" (*)").split(',');
        features.map(str::to_owned).collect::<Vec<_>>()
    };
    for feature in features("wasmtime v") {
        // What others bring, and `anyhow`, which is one of wasmtime's defaults.
        let implied = ["anyhow", "once_cell", "wasmtime-jit-icache-coherence"];
        let known = DEFAULT.iter().chain(&implied).any(|it| *it == feature);
        assert!(known, "wasmtime is rebuilt for {feature}");
    }
    assert!(!features("serde v").contains(&"rc".to_owned()));
}
