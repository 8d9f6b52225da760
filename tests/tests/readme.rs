//! The README says what is true: its blocks are run, loaded or compared. (The
//! embedder's block is a documentation test of capspawn-cli.)

mod support;

use std::fs;
use std::process::Command;
use std::time::Duration;

use capspawn_native::{grant, limits};
use support::{capspawn, exec, program, root};

fn readme() -> String {
    fs::read_to_string(root().join("README.md")).expect("there is a README")
}

/// The blocks with this info string.
fn blocks(info: &str) -> Vec<String> {
    let readme = readme();
    let mut blocks = Vec::new();
    let mut lines = readme.lines();
    while let Some(line) = lines.next() {
        let Some(found) = line.strip_prefix("```") else {
            continue;
        };
        let body: String = lines
            .by_ref()
            .take_while(|line| *line != "```")
            .map(|line| format!("{line}\n"))
            .collect();
        if found == info {
            blocks.push(body);
        }
    }
    assert!(!blocks.is_empty(), "no block {info}");
    blocks
}

#[test]
fn the_component_is_the_example() {
    let example = root().join("guest-examples/src/bin/run-once.rs");
    assert_eq!(
        blocks("rust,ignore"),
        [fs::read_to_string(example).unwrap()]
    );
}

#[test]
fn the_grant_lets_the_command_print_what_it_prints() {
    let dir = tempfile::tempdir().unwrap();
    let [grant] = blocks("toml").try_into().expect("one grant");
    // The machine may keep git elsewhere.
    let git = program("git");
    let grant = grant.replace("/usr/bin/git", git.to_str().unwrap());
    fs::write(dir.path().join("grants.toml"), grant).unwrap();
    fs::copy(exec(), dir.path().join("exec.wasm")).unwrap();

    let sessions = blocks("console");
    let session = sessions.iter().find(|text| text.contains("exec.wasm"));
    let session = session.expect("it shows the grant above it");
    let (line, printed) = session.split_once('\n').expect("a command and its output");
    let mut words = line.split(' ');
    assert_eq!((words.next(), words.next()), (Some("$"), Some("capspawn")));
    let output = Command::new(capspawn())
        .args(words)
        .current_dir(dir.path())
        .output()
        .unwrap();
    assert!(output.status.success(), "{output:?}");
    // All but the version.
    let stdout = String::from_utf8(output.stdout).unwrap();
    let words = |text: &str| {
        text.split(' ')
            .take(2)
            .map(str::to_owned)
            .collect::<Vec<_>>()
    };
    assert_eq!(words(&stdout), words(printed));
}

#[test]
fn the_stream_example_prints_what_it_prints() {
    let sessions = blocks("console");
    let session = sessions.iter().find(|text| text.contains("pipe-through"));
    let (line, printed) = session
        .and_then(|text| text.split_once('\n'))
        .expect("a command and its output");
    let script = line.strip_prefix("$ ").expect("a command");
    let folder = std::path::Path::new(capspawn()).parent().expect("a folder");
    let path = std::env::var("PATH").unwrap_or_default();
    let output = Command::new("/bin/sh")
        .args(["-c", script])
        .env("PATH", format!("{}:{path}", folder.display()))
        .current_dir(root())
        .output()
        .unwrap();
    assert!(output.status.success(), "{output:?}");
    assert_eq!(String::from_utf8(output.stdout).unwrap(), printed);
}

#[test]
fn the_grants_of_the_examples_load() {
    let grants = root().join("guest-examples/grants.toml");
    let output = Command::new(capspawn())
        .arg("check")
        .arg(grants)
        .output()
        .unwrap();
    assert!(output.status.success(), "{output:?}");
}

#[test]
fn the_two_commands_exist() {
    let commands = &blocks("sh")[0];
    let commands: Vec<_> = commands
        .lines()
        .map(|line| line.split('#').next().unwrap_or(line).trim())
        .collect();
    assert_eq!(commands, ["cargo demo", "cargo test --workspace"]);
    let config = fs::read_to_string(root().join(".cargo/config.toml")).unwrap();
    assert!(config.contains("demo = \"run "), "the alias is gone");
    assert!(root().join("tests/src/bin/demo.rs").is_file());
    let ci = fs::read_to_string(root().join(".ci/run")).unwrap();
    assert!(ci.contains(commands[1]), "CI runs another command");
}

#[test]
fn the_limits_are_the_constants() {
    let readme = readme();
    let child = limits::Limits::default();
    let set = |limit: Option<u64>| limit.expect("limited by default");
    let rows = [
        (
            "Children of one owner that run at once",
            limits::DEFAULT_MAX_LIVE.to_string(),
        ),
        (
            "Children of one guest in all",
            limits::DEFAULT_MAX_TOTAL.to_string(),
        ),
        ("Time until a child is killed", time(limits::DEFAULT_WALL)),
        (
            "Processor time of a child's tree",
            time(child.cpu.expect("limited")),
        ),
        ("Memory of a child's tree", bytes(set(child.memory_bytes))),
        ("Tasks of a child's tree", set(child.processes).to_string()),
        (
            "Open files of one process",
            set(child.open_files).to_string(),
        ),
        ("Size of a written file", bytes(set(child.file_size_bytes))),
        (
            "Private `/tmp` of a guest's children",
            bytes(child.tmpfs_bytes),
        ),
        (
            "Standard output that is kept",
            bytes(limits::DEFAULT_CAPTURE_STDOUT_BYTES),
        ),
        (
            "Standard error that is kept",
            bytes(limits::DEFAULT_CAPTURE_STDERR_BYTES),
        ),
        (
            "Children of the host, running and ended",
            limits::DEFAULT_MAX_ENTRIES.to_string(),
        ),
        (
            "Captured output of the host, together",
            size(limits::DEFAULT_MAX_RETAINED_BYTES),
        ),
        (
            "Receipts of ended children that made room",
            limits::DEFAULT_MAX_RECEIPTS.to_string(),
        ),
        (
            "Detached children of one owner that nobody attached to",
            limits::MAX_DETACHED.to_string(),
        ),
        (
            "Time that a detached child may run unattached",
            time(grant::Detach::default().max_life),
        ),
        (
            "One argument, variable or path",
            size(limits::MAX_ARGUMENT_BYTES),
        ),
        (
            "Arguments and environment of one request",
            size(limits::MAX_REQUEST_BYTES),
        ),
        (
            "Standard input of one request",
            size(limits::MAX_STDIN_BYTES),
        ),
        (
            "Wait for the output of an ended child",
            time(limits::DRAIN_GRACE),
        ),
        (
            "Wait for the end of a released child",
            time(limits::RELEASE_TIMEOUT),
        ),
    ];
    for (what, value) in &rows {
        let row = format!("| {what} | {value} | ");
        assert!(readme.contains(&row), "the README lacks {row}");
    }
    let table = readme.lines().filter(|line| line.starts_with("| ")).count();
    assert_eq!(table, rows.len() + 1, "a row that nothing checks");
}

fn size(bytes: usize) -> String {
    self::bytes(bytes.try_into().expect("fits"))
}

fn bytes(bytes: u64) -> String {
    const KIB: u64 = 1024;
    const MIB: u64 = 1024 * KIB;
    match bytes {
        whole if whole.is_multiple_of(MIB) => format!("{} MiB", whole / MIB),
        whole if whole.is_multiple_of(KIB) => format!("{} KiB", whole / KIB),
        odd => format!("{odd} bytes"),
    }
}

fn time(duration: Duration) -> String {
    match duration.subsec_millis() {
        0 => format!("{} s", duration.as_secs()),
        _ => format!("{} ms", duration.as_millis()),
    }
}

#[test]
fn its_own_links_lead_somewhere() {
    let readme = readme();
    let anchors: Vec<String> = readme
        .lines()
        .filter_map(|line| line.strip_prefix("## "))
        .map(|title| {
            let kept = title.to_lowercase().replace(' ', "-");
            kept.chars()
                .filter(|c| c.is_alphanumeric() || *c == '-')
                .collect()
        })
        .collect();
    for link in readme.split("](#").skip(1) {
        let anchor = link.split(')').next().unwrap_or_default();
        assert!(anchors.iter().any(|it| it == anchor), "no section {anchor}");
    }
    for file in ["wit/p2", "guest-examples/src/lib.rs", "host/native"] {
        assert!(
            readme.contains(file) && root().join(file).exists(),
            "{file}"
        );
    }
}
