//! Rules of the sources that no compiler holds. Each is an absence: what a file
//! may not know, or may not do.

use std::fs;
use std::path::{Path, PathBuf};

/// A file longer than this does more than one thing.
const MAX_LINES: usize = 500;

/// The only places where `unsafe` may be written.
const UNSAFE: [&str; 3] = [
    "host/native/src/sandbox/sys",
    "host/native/init",
    // An attacker's raw system calls, and a host that closes its own streams.
    "host/native/tests/confined",
];

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .parent()
        .expect("the crate has a parent")
}

/// A source file: its path in the repository, and its text.
struct Source {
    path: String,
    text: String,
}

impl Source {
    fn below(&self, dirs: &[&str]) -> bool {
        dirs.iter()
            .any(|dir| Path::new(&self.path).starts_with(dir))
    }

    /// The lines whose code, without comments and literals, has `pattern`.
    fn lines_with(&self, pattern: &str) -> Vec<String> {
        code(&self.text)
            .lines()
            .enumerate()
            .filter(|(_, line)| line.contains(pattern))
            .map(|(index, _)| format!("{}:{}", self.path, index + 1))
            .collect()
    }
}

/// All files of the repository with this extension.
fn sources(extension: &str) -> Vec<Source> {
    let mut found = Vec::new();
    for dir in ["host", "guest-examples", "tests", "wit"] {
        collect(&root().join(dir), extension, &mut found);
    }
    assert!(
        !found.is_empty(),
        "no .{extension} files below {}",
        root().display()
    );
    found
}

fn collect(dir: &Path, extension: &str, found: &mut Vec<Source>) {
    let entries = fs::read_dir(dir).unwrap_or_else(|e| panic!("{}: {e}", dir.display()));
    let mut paths: Vec<PathBuf> = entries
        .map(|entry| entry.expect("readable").path())
        .collect();
    paths.sort();
    for path in paths {
        if path.is_dir() {
            // Dependencies' WIT is not ours; build output is no source.
            if !path.ends_with("target") && !path.ends_with("deps") {
                collect(&path, extension, found);
            }
        } else if path.extension().is_some_and(|it| it == extension) {
            let text = fs::read_to_string(&path).expect("sources are UTF-8");
            let path = path.strip_prefix(root()).expect("below the root");
            found.push(Source {
                path: path.display().to_string(),
                text,
            });
        }
    }
}

/// Blanks comments, strings and characters of Rust source; lines stay lines.
fn code(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(first) = rest.chars().next() {
        let skipped = comment(rest)
            .or_else(|| raw_string(rest))
            .or_else(|| quoted(rest));
        let length = skipped.unwrap_or(first.len_utf8());
        let (token, tail) = rest.split_at(length);
        if skipped.is_some() {
            out.extend(token.chars().filter(|c| *c == '\n'));
            out.push(' ');
        } else {
            out.push_str(token);
        }
        rest = tail;
    }
    out
}

fn comment(text: &str) -> Option<usize> {
    if text.starts_with("//") {
        return Some(text.find('\n').unwrap_or(text.len()));
    }
    text.starts_with("/*")
        .then(|| text.find("*/").map_or(text.len(), |end| end + 2))
}

fn raw_string(text: &str) -> Option<usize> {
    let hashes = text
        .strip_prefix('r')?
        .chars()
        .take_while(|c| *c == '#')
        .count();
    let start = 1 + hashes + 1;
    if text.as_bytes().get(start - 1) != Some(&b'"') {
        return None;
    }
    let end = format!("\"{}", "#".repeat(hashes));
    Some(
        text[start..]
            .find(&end)
            .map_or(text.len(), |at| start + at + end.len()),
    )
}

/// A string, or a character that would look like the start of one.
fn quoted(text: &str) -> Option<usize> {
    for character in ["'\"'", "'\\\"'", "'\\''", "'\\\\'"] {
        if text.starts_with(character) {
            return Some(character.len());
        }
    }
    let mut escaped = false;
    let body = text.strip_prefix('"')?;
    for (at, c) in body.char_indices() {
        match c {
            '"' if !escaped => return Some(at + 2),
            '\\' => escaped = !escaped,
            _ => escaped = false,
        }
    }
    Some(text.len())
}

#[test]
fn the_native_core_never_sees_wasmtime() {
    let manifest = fs::read_to_string(root().join("host/native/Cargo.toml")).unwrap();
    for line in manifest.lines() {
        assert!(!line.starts_with("wasm"), "host/native depends on {line}");
    }
    for source in sources("rs").iter().filter(|s| s.below(&["host/native"])) {
        assert_eq!(source.lines_with("wasmtime"), [""; 0]);
    }
}

#[test]
fn components_never_depend_on_host_crates() {
    for manifest in sources("toml") {
        let component = manifest.below(&["guest-examples", "tests/guests", "tests/guests-p3"]);
        if !component || !manifest.path.ends_with("Cargo.toml") {
            continue;
        }
        for crate_name in ["capspawn", "capspawn-native", "capspawn-cli", "wasmtime"] {
            let dependency = |line: &str| {
                line.split(['=', '.'])
                    .next()
                    .is_some_and(|key| key.trim() == crate_name)
            };
            assert!(
                !manifest.text.lines().any(dependency),
                "{}: {crate_name}",
                manifest.path
            );
        }
        assert!(
            !manifest.text.contains("/host"),
            "{} points into host",
            manifest.path
        );
    }
}

#[test]
fn only_the_plugin_knows_the_resource_table() {
    for source in sources("rs").iter().filter(|s| s.below(&["host/native"])) {
        assert_eq!(source.lines_with("ResourceTable"), [""; 0]);
    }
}

#[test]
fn unsafe_code_is_confined() {
    for source in sources("rs").iter().filter(|s| !s.below(&UNSAFE)) {
        for form in [
            "unsafe {",
            "unsafe fn",
            "unsafe impl",
            "unsafe extern",
            "unsafe(",
        ] {
            assert_eq!(source.lines_with(form), [""; 0]);
        }
    }
}

#[test]
fn one_file_knows_the_operating_system() {
    let files: Vec<_> = sources("rs")
        .iter()
        .filter(|source| !source.lines_with("target_os").is_empty())
        .map(|source| source.path.clone())
        .collect();
    assert!(files.len() <= 1, "{files:?}");
    assert!(
        files
            .iter()
            .all(|file| file.starts_with("host/native/src/sandbox")),
        "{files:?}"
    );
}

#[test]
fn processes_start_in_one_place() {
    let elsewhere = [
        "tests",
        "host/native/tests",
        // The baselines are children of std's and tokio's.
        "host/native/benches",
        "host/native/src/sandbox/sys",
        "host/native/init",
        // Runs the compiler.
        "host/native/build.rs",
    ];
    for source in sources("rs").iter().filter(|s| !s.below(&elsewhere)) {
        for form in ["process::Command", "posix_spawn", "libc::fork", "execve"] {
            assert_eq!(source.lines_with(form), [""; 0]);
        }
    }
    for source in sources("rs") {
        assert_eq!(source.lines_with("pre_exec"), [""; 0]);
        assert_eq!(source.lines_with("static mut"), [""; 0]);
    }
}

#[test]
fn files_are_short() {
    for source in sources("rs").iter().chain(&sources("wit")) {
        let lines = source.text.lines().count();
        assert!(lines <= MAX_LINES, "{} has {lines} lines", source.path);
    }
}

#[test]
fn every_wit_item_says_since_when() {
    let mut items = 0;
    for source in sources("wit") {
        let mut gated = false;
        for (index, line) in source.text.lines().map(str::trim).enumerate() {
            if is_wit_item(line) {
                items += 1;
                assert!(
                    gated,
                    "{}:{}: no @since before `{line}`",
                    source.path,
                    index + 1
                );
            }
            gated = line.starts_with("@since(");
        }
    }
    assert!(items > 40, "the rule no longer sees the items: {items}");
}

/// Whether a line declares something that may be added in a later version.
fn is_wit_item(line: &str) -> bool {
    let keywords = [
        "interface ",
        "world ",
        "use ",
        "import ",
        "export ",
        "type ",
        "record ",
        "enum ",
        "variant ",
        "flags ",
        "resource ",
        "constructor(",
    ];
    let function = || {
        line.split_once(": ").is_some_and(|(name, shape)| {
            let named = name
                .chars()
                .all(|c| c.is_ascii_alphanumeric() || c == '-' || c == '%');
            named
                && ["func(", "static func(", "async func(", "static async func("]
                    .iter()
                    .any(|f| shape.starts_with(f))
        })
    };
    !line.starts_with("//") && (keywords.iter().any(|word| line.starts_with(word)) || function())
}

#[test]
fn comments_and_literals_are_not_code() {
    let source = "a // unsafe {\n/* b\n */ \"c\\\"d\nunsafe {\" e r#\"f\"g\"# '\"' h";
    let kept: Vec<_> = code(source).split_whitespace().map(str::to_owned).collect();
    assert_eq!(kept, ["a", "e", "h"]);
    assert_eq!(code(source).lines().count(), source.lines().count());
}
