//! Rules of the sources that neither the compiler nor a lint holds. Most are an
//! absence: what a file may not know, or may not do.
//!
//! Nothing here runs cargo. What a type can tell belongs in `.clippy.toml`.

mod direction;
mod examples;
mod modules;
mod promises;
mod reader;
mod remedies;
mod sources;
mod wit;

use std::fs;

use crate::sources::{CODE, RUST, TOML, WIT, code, is_below, lines_with, root};

/// A file longer than this does more than one thing.
const MAX_LINES: usize = 500;

/// The folders of components, each with a manifest of its own.
const COMPONENTS: [&str; 3] = ["guest-examples", "tests/guests", "tests/guests-p3"];

/// The only places where `unsafe` may be written.
const UNSAFE: [&str; 4] = [
    "host/native/src/sandbox/sys",
    "host/native/init",
    "host/native/raw",
    // An attacker's raw system calls, and a host that closes its own streams.
    "host/native/tests/confined",
];

/// The only places that may start a process other than through the launcher; in
/// `sandbox/sys` only tests do.
const STARTS_PROCESSES: [&str; 5] = [
    "tests",
    "host/native/tests",
    // The baselines are children of std and tokio.
    "host/native/benches",
    "host/native/src/sandbox/sys",
    // Runs the compiler.
    "host/native/build.rs",
];

/// Asserts that no file outside of `allowed` has these words, in this order, in its code.
#[track_caller]
fn nowhere_but(allowed: &[&str], words: &[&str]) {
    let others = CODE.iter().filter(|(path, _)| !is_below(path, allowed));
    let found = others.flat_map(|(path, code)| {
        let lines = lines_with(code, words).into_iter();
        lines.map(move |line| format!("{path}:{line}"))
    });
    let found: Vec<_> = found.collect();
    assert!(found.is_empty(), "{words:?} at {found:?}");
}

/// The packages that a manifest depends on, for any purpose and platform.
fn dependencies(manifest: &str) -> Vec<String> {
    fn collect(table: &toml::Table, names: &mut Vec<String>) {
        for (key, value) in table {
            let Some(inner) = value.as_table() else {
                continue;
            };
            if !key.ends_with("dependencies") {
                collect(inner, names);
                continue;
            }
            for (name, dependency) in inner {
                let package = dependency.get("package").and_then(toml::Value::as_str);
                names.push(package.unwrap_or(name).to_owned());
            }
        }
    }
    let table = manifest.parse().expect("manifests are TOML");
    let mut names = Vec::new();
    collect(&table, &mut names);
    names
}

#[test]
fn the_native_core_does_not_depend_on_wasmtime() {
    let manifest = fs::read_to_string(root().join("host/native/Cargo.toml")).unwrap();
    let names = dependencies(&manifest);
    assert!(names.iter().any(|name| name == "tokio"), "{names:?}");
    for name in names {
        assert!(!name.starts_with("wasm") && name != "capspawn", "{name}");
    }
}

#[test]
fn components_do_not_depend_on_host_crates() {
    for folder in COMPONENTS {
        let path = format!("{folder}/Cargo.toml");
        let manifest = &TOML[&path];
        for name in dependencies(manifest) {
            let is_host = name.starts_with("capspawn") && name != "capspawn-guest";
            let is_host = is_host || name == "wasmtime";
            assert!(!is_host, "{path}: {name}");
        }
        assert!(!manifest.contains("/host"), "{path} points into host");
    }
}

#[test]
fn unsafe_code_is_confined() {
    nowhere_but(&UNSAFE, &["unsafe"]);
}

#[test]
fn the_operating_system_is_named_where_the_sandbox_begins() {
    let roots = [
        "host/native/src/sandbox/sys/mod.rs",
        "host/native/raw/src/lib.rs",
        "host/native/raw/tests/wire/main.rs",
    ];
    nowhere_but(&roots, &["target_os"]);
}

/// `.clippy.toml` forbids the types and functions that start processes. Here are the
/// places that may lift the ban.
#[test]
fn processes_start_in_one_place() {
    for lint in ["disallowed_types", "disallowed_methods"] {
        nowhere_but(&STARTS_PROCESSES, &[lint]);
    }
    nowhere_but(&[], &["pre_exec"]);
}

#[test]
fn no_static_is_mutable() {
    nowhere_but(&[], &["static", "mut"]);
}

#[test]
fn files_are_short() {
    for (path, text) in RUST.iter().chain(WIT.iter()) {
        let lines = text.lines().count();
        assert!(lines <= MAX_LINES, "{path} has {lines} lines");
    }
}

#[test]
fn comments_and_literals_are_not_code() {
    let source =
        "/* unsafe */ // unsafe\n/// unsafe\nfn f() { \"unsafe \\\" unsafe\"; r#\"\nunsafe\"#;
        '\"'; unsafe { g() } }";
    assert_eq!(lines_with(&code(source), &["unsafe"]), [5]);
    assert_eq!(lines_with(&code(source), &["unsafe", "g"]), [5]);
    let no_static_mut = code("static MUT: &mut u8 = f();");
    assert!(lines_with(&no_static_mut, &["static", "mut"]).is_empty());
}
