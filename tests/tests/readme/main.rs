//! Checks that README.md and the pages below `host` are true: their blocks are
//! run, loaded or compared, and their links lead somewhere. (The embedder's block is
//! a documentation test of capspawn-cli.)

#![expect(clippy::disallowed_types, reason = "the tests run the command")]

mod bounds;
#[path = "../support/mod.rs"]
mod support;

use std::collections::HashSet;
use std::fs::{self, Permissions};
use std::os::unix::fs::{PermissionsExt as _, symlink};
use std::path::{Path, PathBuf};
use std::process::Command;

use capspawn_native::grant::Grants;
use support::{capspawn, exec, program, root};
use tempfile::TempDir;

fn readme() -> String {
    page(&root().join("README.md"))
}

fn page(path: &Path) -> String {
    fs::read_to_string(path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

/// The README, the pages that it links to, and those of the libraries for components.
fn pages() -> Vec<PathBuf> {
    let entries = fs::read_dir(root().join("host")).expect("the plugin's folder");
    let mut pages: Vec<_> = entries
        .map(|entry| entry.expect("readable").path())
        .filter(|path| path.extension().is_some_and(|extension| extension == "md"))
        .collect();
    assert!(!pages.is_empty(), "no pages below host");
    let more = ["README.md", "guest/README.md", "guest/rust/README.md"];
    pages.extend(more.map(|page| root().join(page)));
    pages
}

/// The blocks of a page with this info string.
fn blocks(page: &str, info: &str) -> Vec<String> {
    let mut blocks = Vec::new();
    let mut lines = page.lines();
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
    assert_eq!(blocks(&readme(), "rust,ignore"), [page(&example)]);
}

/// A folder with what a reader has after the first of the two commands, and the
/// README's grant.
fn clone() -> TempDir {
    let clone = tempfile::tempdir().expect("a temporary folder");
    let path = clone.path();
    // Children of a root host run as another user.
    fs::set_permissions(path, Permissions::from_mode(0o755)).expect("it is ours");
    let [grant, narrow, _] = blocks(&readme(), "toml")
        .try_into()
        .expect("two grants and a manifest");
    for (name, grant) in [("grants.toml", grant), ("narrow.toml", narrow)] {
        fs::write(path.join(name), here(&grant)).expect("it is empty");
    }
    for folder in ["guest-examples", "target"] {
        fs::create_dir(path.join(folder)).expect("it is empty");
    }
    let file = "guest-examples/grants.toml";
    fs::copy(root().join(file), path.join(file)).expect("it is empty");
    let folder_of = |file: &'static Path| file.parent().expect("a file has a folder");
    symlink(folder_of(capspawn()), path.join("target/debug")).expect("it is empty");
    symlink(folder_of(Path::new(exec())), path.join("target/guests")).expect("it is empty");
    clone
}

/// Replaces the paths of programs, which this machine may keep elsewhere.
fn here(text: &str) -> String {
    ["git", "sort", "wc"]
        .iter()
        .fold(text.to_owned(), |text, name| {
            let path = program(name);
            let path = path.to_str().expect("the path is UTF-8");
            text.replace(&format!("/usr/bin/{name}"), path)
        })
}

/// The versions that an embedder needs are those of this workspace, and the features exist.
#[test]
fn the_manifest_of_the_embedder_has_our_versions_and_features() {
    let [_, _, manifest] = blocks(&readme(), "toml")
        .try_into()
        .expect("a grant and a manifest");
    let manifest: toml::Table = manifest.parse().expect("it is TOML");
    let dependencies = manifest["dependencies"].as_table().expect("a table");
    let ours: toml::Table = page(&root().join("Cargo.toml")).parse().expect("TOML");
    let ours = &ours["workspace"]["dependencies"];
    let version = |it: &toml::Value| it.get("version").unwrap_or(it).as_str().map(str::to_owned);
    for (name, dependency) in dependencies {
        if name == "capspawn" {
            let path = dependency["path"].as_str().expect("it is not published");
            assert_eq!(path.strip_prefix("capspawn/"), ours[name]["path"].as_str());
            continue;
        }
        let [theirs, ours] = [dependency, &ours[name]].map(|it| version(it).expect("a version"));
        assert!(ours.starts_with(&theirs), "{name}: {theirs} and {ours}");
    }
    let host: toml::Table = page(&root().join("host/Cargo.toml")).parse().expect("TOML");
    let features = host["features"].as_table().expect("features");
    for feature in features.keys().filter(|it| *it != "default") {
        assert!(
            readme().contains(&format!("`{feature}`")),
            "{feature} is not in the README"
        );
    }
}

/// Where the README's reader has the clone.
const CLONE: &str = "/home/me/capspawn";

#[test]
fn each_command_prints_what_is_shown() {
    assert_sessions(&readme(), &clone());
}

/// With the grant of the page, in a folder with what the README's reader has.
#[test]
fn each_command_of_the_tapes_prints_what_is_shown() {
    let (clone, text) = (clone(), page(&root().join("host/TAPES.md")));
    let [grant] = blocks(&text, "toml").try_into().expect("one grant");
    fs::write(clone.path().join("words.toml"), here(&grant)).expect("the folder is ours");
    assert_sessions(&text, &clone);
}

/// Each event and each option of tapes is on their page.
#[test]
fn the_page_of_the_tapes_has_each_option() {
    let text = page(&root().join("host/TAPES.md"));
    let help = Command::new(capspawn()).args(["run", "--help"]).output();
    let help = String::from_utf8(help.unwrap().stdout).unwrap();
    let (_, options) = help.split_once("\nTapes:\n").expect("a heading");
    let options = options.split("\n\n").map_while(|entry| {
        let option = entry.trim_start().strip_prefix("--")?;
        option.split([' ', '\n']).next()
    });
    let options: Vec<_> = options.collect();
    assert!(options.len() >= 2, "{help}");
    for option in options {
        assert!(
            text.contains(&format!("| `--{option}")),
            "no row for --{option}"
        );
    }
}

/// Runs the sessions of a page in the folder of a clone.
#[track_caller]
fn assert_sessions(page: &str, clone: &TempDir) {
    const END: &str = "-- the end of one command --";
    for session in blocks(&here(page), "console") {
        // A command, and the lines that it prints.
        let shown: Vec<_> = session
            .strip_prefix("$ ")
            .expect("a session begins with a command")
            .split("\n$ ")
            .map(|command| command.split_once('\n').unwrap_or((command, "")))
            .collect();
        let script: String = shown
            .iter()
            .map(|(command, _)| format!("{{ {command}; }} 2>&1; echo '{END}'\n"))
            .collect();
        let script = format!("PATH=$PWD/target/debug:$PATH\n{script}");
        let output = Command::new("/bin/sh")
            .args(["-c", &script])
            .current_dir(clone.path())
            .output()
            .expect("a shell is there");
        let printed = String::from_utf8(output.stdout).expect("it is text");
        let printed: Vec<_> = printed.split(&format!("{END}\n")).collect();
        assert_eq!(printed.len(), shown.len() + 1, "{printed:?}");
        // The reader's clone is elsewhere.
        let here = clone.path().canonicalize().expect("it is there");
        let here = here.to_str().expect("the path is UTF-8");
        for ((command, shown), printed) in shown.iter().zip(printed) {
            let printed = printed.replace(here, CLONE);
            assert_eq!(
                without_numbers(&printed),
                without_numbers(shown),
                "{command}"
            );
        }
    }
}

/// The lines, with one `N` for each number: versions and sizes differ.
fn without_numbers(text: &str) -> Vec<String> {
    let is_number = |c: char| c.is_ascii_digit() || c == '.';
    text.lines()
        .map(|line| {
            let words = line
                .split(' ')
                .map(|word| match word.chars().all(is_number) {
                    true => "N",
                    false => word,
                });
            words.collect::<Vec<_>>().join(" ")
        })
        .collect()
}

#[test]
fn the_reference_of_grants_loads() {
    let text = page(&root().join("host/GRANTS.md"));
    for block in blocks(&text, "toml") {
        let grants = Grants::from_toml_str(&block, Path::new("/"));
        let grants = grants.unwrap_or_else(|error| panic!("{error}"));
        assert!(grants.components().count() > 0);
    }
    // What the schema names, the page names too.
    let schema = page(&root().join("host/native/grants.schema.json"));
    let schema: serde_json::Value = serde_json::from_str(&schema).unwrap();
    let mut keys = Vec::new();
    collect_keys(&schema, &mut keys);
    assert!(keys.len() > 40, "the rule no longer sees the keys");
    let words: HashSet<_> = text
        .split(|c: char| !c.is_ascii_alphanumeric() && c != '-')
        .collect();
    for key in keys {
        assert!(
            words.contains(key.as_str()),
            "the page does not name the key {key}"
        );
    }
}

#[test]
fn each_command_that_the_pages_name_exists_with_its_options() {
    let help = |command: &str| {
        let output = Command::new(capspawn())
            .args([command, "--help"])
            .output()
            .unwrap();
        assert!(output.status.success(), "capspawn {command}: {output:?}");
        String::from_utf8(output.stdout).expect("a manual is text")
    };
    let mut seen = 0;
    for page in [
        readme(),
        page(&root().join("host/GRANTS.md")),
        page(&root().join("host/EVENTS.md")),
    ] {
        let page = page.replace('\n', " ");
        // Every second part is code.
        for code in page.split('`').skip(1).step_by(2) {
            let Some(rest) = code.strip_prefix("capspawn ") else {
                continue;
            };
            let mut words = rest.split_whitespace();
            let Some(command) = words
                .next()
                .filter(|word| word.chars().all(|c| c.is_ascii_lowercase()))
            else {
                continue;
            };
            let manual = help(command);
            for option in words
                .take_while(|word| *word != "--")
                .filter(|word| word.starts_with("--"))
            {
                assert!(
                    manual.contains(option),
                    "capspawn {command} has no {option}"
                );
            }
            seen += 1;
        }
    }
    assert!(seen > 15, "{seen} commands");
}

#[test]
fn the_tables_of_keys_are_those_of_the_command() {
    let output = Command::new(capspawn())
        .args(["help", "grants", "--markdown"])
        .output()
        .unwrap();
    assert!(output.status.success(), "{output:?}");
    let tables = String::from_utf8(output.stdout).expect("tables are text");
    let path = root().join("host/GRANTS.md");
    let mut text = page(&path);
    let mut found = 0;
    for table in tables
        .split_inclusive(" -->\n\n")
        .collect::<Vec<_>>()
        .chunks(2)
    {
        let [begin, rest] = table else {
            panic!("a table without an end: {table:?}")
        };
        let end = rest.trim_end().lines().last().expect("a table has lines");
        let (start, stop) = (text.find(begin.trim_end()), text.find(end));
        let (Some(start), Some(stop)) = (start, stop) else {
            panic!("no place for {begin}")
        };
        text.replace_range(start..stop + end.len(), format!("{begin}{rest}").trim_end());
        found += 1;
    }
    assert_eq!(found, 5);
    if std::env::var_os("CAPSPAWN_BLESS").is_some() {
        fs::write(&path, &text).expect("the source folder is writable");
    }
    assert!(
        page(&path) == text,
        "host/GRANTS.md is out of date: run the test with CAPSPAWN_BLESS=1 to rewrite its tables"
    );
}

/// The names of all properties in a schema.
fn collect_keys(schema: &serde_json::Value, keys: &mut Vec<String>) {
    if let Some(properties) = schema["properties"].as_object() {
        keys.extend(properties.keys().cloned());
    }
    let children: Vec<_> = match schema {
        serde_json::Value::Object(map) => map.values().collect(),
        serde_json::Value::Array(items) => items.iter().collect(),
        _ => Vec::new(),
    };
    for child in children {
        collect_keys(child, keys);
    }
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
    let commands = &blocks(&readme(), "sh")[0];
    let commands: Vec<_> = commands
        .lines()
        .map(|line| line.split('#').next().unwrap_or(line).trim())
        .collect();
    assert_eq!(commands, ["cargo demo", "cargo test --workspace"]);
    let config = page(&root().join(".cargo/config.toml"));
    assert!(config.contains("demo = \"run "), "the alias is gone");
    assert!(root().join("tests/src/bin/demo.rs").is_file());
    let ci = page(&root().join(".ci/run"));
    assert!(ci.contains(commands[1]), "CI runs another command");
}

#[test]
fn links_lead_somewhere() {
    for path in pages() {
        let text = page(&path);
        let folder = path.parent().expect("a page has a folder");
        for link in text.split("](").skip(1) {
            let link = link.split(')').next().unwrap_or_default();
            if link.starts_with("https://") {
                continue;
            }
            let (file, anchor) = link.split_once('#').unwrap_or((link, ""));
            let target = match file {
                "" => path.clone(),
                file => folder.join(file),
            };
            let shown = format!("{}: {link}", path.display());
            assert!(target.exists(), "{shown}");
            if !anchor.is_empty() {
                assert!(
                    anchors(&page(&target)).iter().any(|it| it == anchor),
                    "{shown}"
                );
            }
        }
    }
}

/// The anchors of a page's headings, as GitHub makes them.
fn anchors(page: &str) -> Vec<String> {
    let headings = page.lines().filter(|line| line.starts_with("##"));
    headings
        .map(|line| {
            let title = line.trim_start_matches('#').trim().to_lowercase();
            title
                .replace(' ', "-")
                .chars()
                .filter(|c| c.is_alphanumeric() || *c == '-')
                .collect()
        })
        .collect()
}

#[test]
fn each_page_is_linked_from_the_readme() {
    let readme = readme();
    for path in pages() {
        let name = path.strip_prefix(root()).expect("below the root");
        let link = format!("]({})", name.display());
        assert!(
            name == Path::new("README.md") || readme.contains(&link),
            "no link to {}",
            name.display()
        );
    }
    for file in ["wit/p2", "guest-examples/src/lib.rs", "host/native"] {
        assert!(
            readme.contains(file) && root().join(file).exists(),
            "{file}"
        );
    }
}
