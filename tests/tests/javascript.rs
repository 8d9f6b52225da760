//! The JavaScript library for authors of components, with the command.
//!
//! The tests are JavaScript programs, run by `guest/javascript/test`; here are those that take a minute
//! or two. The first run installs the tools, pinned by their hashes, into `target/javascript`.

#![expect(
    clippy::disallowed_types,
    reason = "the tests start programs of their own"
)]

#[expect(dead_code, reason = "other test programs use the rest of it")]
mod support;

use std::process::Command;

/// Runs one group of the tests of `guest/javascript`.
#[track_caller]
fn group(name: &str) {
    let output = Command::new(support::root().join("guest/javascript/test"))
        .args(["--bounded", name])
        .env("CAPSPAWN", support::capspawn())
        .output()
        .expect("the tests need bash");
    assert!(
        output.status.success(),
        "guest/javascript/test --bounded {name}\n{}{}",
        String::from_utf8_lossy(&output.stdout),
        String::from_utf8_lossy(&output.stderr)
    );
}

#[test]
fn the_package_installs_with_the_interface_of_this_project() {
    group("package");
}

#[test]
fn the_examples_do_in_javascript_what_they_do_in_rust() {
    group("examples");
}

#[test]
fn child_process_behaves_as_documented_in_both_engines() {
    group("behaviour");
}

#[test]
fn no_value_and_no_order_of_calls_ends_the_component() {
    group("border");
}
