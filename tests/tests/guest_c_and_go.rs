//! The libraries for components in C and Go, with the command.
//!
//! The tests are programs, built and run by `guest/c/test` and `guest/go/test`. The first run installs the
//! compilers, pinned by their hashes, into `target/c` and `target/go`.

#![expect(
    clippy::disallowed_types,
    reason = "the tests start programs of their own"
)]

#[expect(dead_code, reason = "other test programs use the rest of it")]
mod support;

use std::fs;
use std::process::Command;

/// Runs all tests of one language.
#[track_caller]
fn test(language: &str) {
    let command = format!("guest/{language}/test");
    let output = Command::new(support::root().join(&command))
        .env("CAPSPAWN", support::capspawn())
        .output()
        .expect("the tests need bash and Python 3.10 or newer with pip");
    assert!(
        output.status.success(),
        "{command}\n{}{}",
        String::from_utf8_lossy(&output.stdout),
        String::from_utf8_lossy(&output.stderr)
    );
}

#[test]
fn c_programs_start_children_and_know_nothing_of_components() {
    test("c");
}

#[test]
fn go_programs_start_children_with_the_standard_os_exec() {
    test("go");
}

/// Each package has the interface inside, so that an outsider needs nothing else.
#[test]
fn the_packages_for_c_and_go_have_the_interface_of_this_project() {
    for name in ["process.wit", "types.wit"] {
        let own = fs::read_to_string(support::root().join("wit/p2").join(name));
        let own = own.expect("it is text");
        for language in ["c", "go"] {
            let path = format!("guest/{language}/wit/deps/process/{name}");
            let copy = fs::read_to_string(support::root().join(&path)).expect("it is text");
            assert!(own == copy, "copy wit/p2/{name} to {path}");
        }
    }
}
