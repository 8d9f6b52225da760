//! The tests of the library for Rust components, and the examples of its documentation. They run
//! in components, with real children.

#![expect(clippy::disallowed_types, reason = "the tests run cargo")]

mod support;

use std::process::Command;

use support::{capspawn, root};

#[test]
fn the_tests_and_examples_of_the_library_pass_in_components() {
    // `--examples` and `--lib` have none; a documentation test cannot be named with other tests.
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
