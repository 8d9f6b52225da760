//! The tests of the library for Rust components, and the examples of its documentation. They run
//! in components, with real children.

#![expect(clippy::disallowed_types, reason = "the tests run cargo")]

#[expect(dead_code, reason = "these tests need the command and the root alone")]
mod support;

use std::process::Command;

use support::{capspawn, root};

#[test]
fn the_tests_and_examples_of_the_library_pass_in_components() {
    // A documentation test cannot be named with other tests.
    for more in [&["--tests"][..], &["--doc", "--all-features"]] {
        let mut cargo = Command::new(env!("CARGO"));
        cargo
            .current_dir(root().join("guest/rust"))
            .args(["test", "--locked", "--quiet"])
            .args(more)
            .env("CARGO_TARGET_DIR", root().join("target/guests-build"))
            .env("CAPSPAWN", capspawn())
            .env_remove("RUSTC_WORKSPACE_WRAPPER")
            .env_remove("RUSTFLAGS");
        let output = cargo.output().expect("cargo starts");
        let text = [output.stdout, output.stderr].concat();
        assert!(
            output.status.success(),
            "{}",
            String::from_utf8_lossy(&text)
        );
    }
}

/// `xshell`, `version_check` and `rustc_version`, as they are in the registry.
#[test]
fn crates_that_use_std_process_run_unmodified() {
    let folder = root().join("guest/rust/tests/unmodified");
    let target = root().join("target/guests-build");
    let mut build = Command::new(root().join("guest/rust/unmodified"));
    build
        .current_dir(&folder)
        .args(["build", "--locked", "--quiet"])
        .env("CARGO_TARGET_DIR", &target)
        .env("CAPSPAWN_STD_TARGET_DIR", target.join("std"))
        .env_remove("RUSTC_WORKSPACE_WRAPPER");
    assert!(build.status().expect("the script runs").success());

    let mut run = Command::new(capspawn());
    run.arg("run")
        .arg("--grants")
        .arg(folder.join("grants.toml"));
    run.arg(target.join("wasm32-wasip2/debug/unmodified.wasm"));
    let output = run.output().expect("the command runs");
    let stderr = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{stderr}");
    let expected = "version_check: 1.80.1 stable 2024-08-06\nrustc_version: 1.80.1\nxshell: two words\n\
        xshell: inherited\nxshell: command exited with non-zero code `false`: 1\nxshell: Some(1)\n\
        std: piped, exit status: 0\n";
    assert_eq!(
        String::from_utf8_lossy(&output.stdout),
        expected,
        "{stderr}"
    );
}
