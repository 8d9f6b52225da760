//! The library for C components, with the command.
//!
//! The tests are C programs, built and run by `guest/c/test`. The first run installs the compiler, pinned
//! by its hash, into `target/c`.

#![expect(
    clippy::disallowed_types,
    reason = "the tests start programs of their own"
)]

#[expect(dead_code, reason = "other test programs use the rest of it")]
mod support;

use std::fs;
use std::process::Command;

#[test]
fn c_programs_start_children_and_know_nothing_of_components() {
    let output = Command::new(support::root().join("guest/c/test"))
        .env("CAPSPAWN", support::capspawn())
        .output()
        .expect("the tests need bash and Python 3.10 or newer with pip");
    assert!(
        output.status.success(),
        "guest/c/test\n{}{}",
        String::from_utf8_lossy(&output.stdout),
        String::from_utf8_lossy(&output.stderr)
    );
}

/// The package has the interface inside, so that an outsider needs nothing else.
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
