//! Files that are not a component or not a command, bad options, and a component
//! that traps.

use std::fs;
use std::process::Command;

use crate::harness::{outcome, run};
use crate::support::{capspawn, exec};

/// A component that exports `wasi:cli/run` and traps in it:
///
/// ```wat
/// (component
///   (core module (func (export "run") (result i32) unreachable))
///   (core instance (instantiate 0))
///   (func (result (result)) (canon lift (core func 0 "run")))
///   (instance (export "run" (func 0)))
///   (export "wasi:cli/run@0.2.0" (instance 0)))
/// ```
const TRAP: &[u8] =
    b"\0asm\x0d\0\x01\0\x01\x23\0asm\x01\0\0\0\x01\x05\x01\x60\0\x01\x7f\x03\x02\x01\0\
    \x07\x07\x01\x03run\0\0\x0a\x05\x01\x03\0\0\x0b\x02\x04\x01\0\0\0\x07\x08\x02\x6a\0\0\x40\0\0\0\
    \x06\x09\x01\0\0\x01\0\x03run\x08\x06\x01\0\0\0\0\x01\x05\x0a\x01\x01\x01\0\x03run\x01\0\
    \x0b\x18\x01\0\x12wasi:cli/run@0.2.0\x05\0\0";
const LIBRARY: &[u8] = b"\0asm\x0d\0\x01\0";
const MODULE: &[u8] = b"\0asm\x01\0\0\0";

#[test]
fn a_trap_is_134_and_one_line() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("trap.wasm");
    fs::write(&file, TRAP).unwrap();
    let outcome = run(&[file.to_str().unwrap()]);
    assert_eq!(outcome.code, Some(134), "{outcome:?}");
    assert_eq!(outcome.stderr.lines().count(), 1, "{outcome:?}");
    assert!(outcome.stderr.contains("trapped"), "{outcome:?}");
}

#[test]
fn a_file_that_is_not_a_command_component_is_one_clear_line() {
    let dir = tempfile::tempdir().unwrap();
    let file = |name: &str, content: &[u8]| {
        let file = dir.path().join(name);
        fs::write(&file, content).unwrap();
        file.to_str().unwrap().to_owned()
    };
    let cases = [
        (
            dir.path().join("missing.wasm").to_str().unwrap().to_owned(),
            "does not exist",
        ),
        (dir.path().to_str().unwrap().to_owned(), "is a directory"),
        (file("text.wasm", b"hello"), "is not a component"),
        (file("module.wasm", MODULE), "is a core module"),
        (file("library.wasm", LIBRARY), "is a library"),
        (file("cut.wasm", &TRAP[..40]), "cannot be compiled"),
    ];
    for (guest, expected) in cases {
        let outcome = run(&[&guest]);
        let line = outcome.complaint();
        assert!(line.contains(expected) && line.contains(&guest), "{line}");
    }
}

#[test]
fn a_bad_option_exits_with_2_and_starts_nothing() {
    let exec = exec();
    let missing = run(&["--dir", "/does/not/exist::/x", exec]);
    assert!(
        missing.complaint().contains("/does/not/exist"),
        "{missing:?}"
    );
    let events = run(&["--events", "/does/not/exist/events", exec]);
    assert!(
        events.complaint().contains("/does/not/exist/events"),
        "{events:?}"
    );
    for args in [
        &["--env", "NAME", exec][..],
        &["--dir", "::", exec],
        &["--unknown", exec],
        &["--ask", exec],
        &[],
    ] {
        let outcome = run(args);
        assert_eq!(
            (outcome.code, outcome.stdout.as_str()),
            (Some(2), ""),
            "{args:?}"
        );
        assert!(outcome.stderr.contains("error: "), "{outcome:?}");
    }
}

#[test]
fn the_help_lists_exit_codes_examples_files_and_options() {
    let help = outcome(Command::new(capspawn()).args(["run", "--help"]));
    assert_eq!(help.code, Some(0));
    for word in [
        "Exit codes:",
        "134",
        "Examples:",
        "Files:",
        "--grants",
        "--events",
        "--component",
        "--ask",
    ] {
        assert!(help.stdout.contains(word), "{word}");
    }
    let short = outcome(Command::new(capspawn()).arg("--help"));
    assert!(
        short.stdout.contains("Exit codes:") && short.stdout.contains("run"),
        "{short:?}"
    );
}
