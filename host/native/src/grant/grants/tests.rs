//! Grant files: loading, naming components, intersecting files.

use super::*;
use crate::grant::testing::{allowed, denied, echo, load, open_to_all, request};

#[test]
fn every_mistake_is_shown_with_its_place() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let path = folder.path().join("g.toml");
    let text = "version = 1\n[component.c]\nmax-liv = 1\nrate = \"x\"\nlimits = { wall = 5 }\n";
    fs::write(&path, text).expect("the folder is ours");
    let error = Grants::load(&path).expect_err("there are three mistakes");
    let places: Vec<_> = error.diagnostics().iter().map(|one| one.place).collect();
    assert_eq!(places, [Some((3, 1)), Some((4, 8)), Some((5, 19))]);
    assert!(
        error.diagnostics()[0]
            .message
            .ends_with("did you mean `max-live`?")
    );
    let shown = error.to_string();
    assert!(
        shown.starts_with(&format!("{}:3:1: unknown key", path.display())),
        "{shown}"
    );
    fs::write(&path, "version = 1\n").expect("the folder is ours");
    Grants::load(&path).expect("there is no mistake");
}

#[test]
fn a_file_that_cannot_be_read_as_text_is_refused() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    Grants::load(folder.path()).expect_err("it is a folder");
    let path = folder.path().join("g.toml");
    Grants::load(&path).expect_err("it is missing");
    fs::write(&path, b"version = 1\n# \xff\n").expect("the folder is ours");
    let error = Grants::load(&path).expect_err("it is not UTF-8");
    assert_eq!(error.diagnostics()[0].place, Some((2, 3)));
    fs::write(&path, "version =\n[x\n").expect("the folder is ours");
    let error = Grants::load(&path).expect_err("it is not TOML");
    assert!(error.diagnostics()[0].place.is_some());
}

#[test]
fn a_grant_without_a_known_version_is_refused() {
    let base = Path::new("/");
    for text in ["", "version = 2", "version = \"1\""] {
        Grants::from_toml_str(text, base).expect_err("it is not version 1");
    }
    Grants::from_toml_str("version = 1", base).expect("it is version 1");
}

#[test]
fn relative_paths_are_relative_to_the_file() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    fs::create_dir(folder.path().join("work")).expect("an empty folder");
    let path = folder.path().join("g.toml");
    let text = format!("version = 1\n{}", echo("cwd = { roots = [\"work\"] }"));
    fs::write(&path, text).expect("the folder is ours");
    let plan = allowed(
        &Grants::load(&path).expect("it is sound").component("c"),
        &request(&[]),
    );
    let real = folder.path().canonicalize().expect("it exists");
    assert_eq!(plan.cwd.path, real.join("work"));
}

#[test]
fn json_and_values_load_as_toml_does() {
    let text = format!("version = 1\n{}", echo("args = [\"a\", { int = [1, 2] }]"));
    let table: toml::Table = text.parse().expect("it is TOML");
    let value = serde_json::to_value(&table).expect("it fits JSON");
    let base = Path::new("/");
    let loaded = [
        Grants::from_toml_str(&text, base),
        Grants::from_json_str(&value.to_string(), base),
        Grants::from_value(value, base),
        Grants::from_value(table, base),
    ];
    for grants in loaded {
        let grant = grants.expect("it is sound").component("c");
        allowed(&grant, &request(&["a", "1"]));
        denied(&grant, &request(&["a", "3"]));
    }
}

#[test]
fn a_mistake_in_json_has_its_place_too() {
    let base = Path::new("/");
    let error = Grants::from_json_str("{\"version\": 1,\n \"defalts\": {}}", base)
        .expect_err("a key is unknown");
    assert_eq!(error.diagnostics()[0].place, Some((2, 2)));
    let error = Grants::from_json_str("{\"version\": 1,\n \"version\": 1}", base)
        .expect_err("a key is duplicate");
    assert!(
        error.to_string().contains("2:2: duplicate key `version`"),
        "{error}"
    );
    Grants::from_json_str("{", base).expect_err("it is not JSON");
    Grants::from_json_str("[]", base).expect_err("it is not a table");
    Grants::from_json_str("{\"version\": 1}", base).expect("it is sound");
}

#[test]
fn a_component_may_be_named_by_its_hash() {
    let hash = [0xab; 32];
    let section = format!("sha256:{}", "AB".repeat(32));
    let body = echo("args = [\"h\"]").replace("component.c", &format!("component.\"{section}\""));
    let grants = load(&format!("{}{body}", echo("args = [\"n\"]"))).expect("it is sound");
    let by_hash = grants.component_with_sha256("c", &hash);
    assert_eq!(by_hash.component(), "c");
    allowed(&by_hash, &request(&["h"]));
    denied(&by_hash, &request(&["n"]));
    allowed(
        &grants.component_with_sha256("c", &[0; 32]),
        &request(&["n"]),
    );
    // A component cannot claim the section of a hash by its name.
    denied(&grants.component(&section), &request(&["h"]));
    assert_eq!(grants.components().count(), 2);
    load("[component.\"sha256:12\"]").expect_err("that is not a hash");
}

#[test]
fn an_intersection_of_two_files_allows_what_both_allow() {
    let one = load(&echo("args = [{ one-of = [\"a\", \"b\"] }]")).expect("it is sound");
    let two = load(&echo("args = [{ one-of = [\"b\", \"c\"] }]")).expect("it is sound");
    let both = one.intersect(&two);
    for grant in [
        both.component("c"),
        both.components().next().expect("there is one"),
    ] {
        allowed(&grant, &request(&["b"]));
        denied(&grant, &request(&["a"]));
        denied(&grant, &request(&["c"]));
    }
    denied(&both.component("d"), &request(&["b"]));
}

/// A grant with every kind of setting, for programs that every host has.
#[test]
fn a_whole_grant_loads_and_decides() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let work = folder.path().join("work");
    for name in ["", "out", "scripts", ".git", ".git/hooks"] {
        fs::create_dir(work.join(name)).expect("the folder is ours");
    }
    open_to_all(&work.join("out"));
    fs::write(work.join(".env"), "").expect("the folder is ours");
    let text = r#"
version = 1

[defaults]
sandbox  = "required"
network  = "none"
env      = { set = { LANG = "C.UTF-8" }, inherit = ["TZ"] }
fs       = { read = ["/usr", "/lib", "/lib64", "/bin", "/etc/ssl", "/etc/ld.so.cache"] }
limits   = { wall = "30s", cpu = "10s", memory = "256MiB", processes = 256, open-files = 64, file-size = "64MiB", tmpfs = "64MiB" }
capture  = { stdout = "1MiB", stderr = "64KiB" }

[component."report-builder"]
max-live  = 4
max-total = 200
rate      = "20/min"
detach    = { allow = false, max-life = "10min" }
cwd       = { default = "work", roots = ["work"] }
fs        = { read = ["work"], write = ["work/out"], deny = ["work/.git/hooks", "work/.env"] }

[[component."report-builder".command]]
name      = "git-log"
program   = "/bin/echo"
fixed     = ["-c", "core.hooksPath=/dev/null", "--no-pager"]
args      = ["log", { one-of = ["--oneline", "--stat"] }, { int = [1, 1000], prefix = "-n" }, "--",
         { path = { under = ["work"], access = "read" }, repeat = "0..8" }]
env       = { allow = ["GIT_AUTHOR_DATE"], set = { GIT_CONFIG_NOSYSTEM = "1" } }
decision  = "allow"
match     = [["log", "--oneline", "-n5", "--", "a"]]
not-match = [["push"], ["log", "--oneline", "-n5", "--upload-pack=x"]]

[[component."report-builder".command]]
name        = "shell"
program     = "/bin/sh"
args        = ["-e", { path = { under = ["work/scripts"], access = "read" } }, "**"]
interpreter = true
"#;
    let grants = Grants::from_toml_str(text, folder.path()).expect("it is sound");
    let grant = grants.component("report-builder");
    let ask = |name: &str, args: &[&str]| crate::Command::new(name).args(args.iter().copied());
    let plan = allowed(
        &grant,
        &ask("git-log", &["log", "--stat", "-n9", "--", "a", "b"]),
    );
    assert_eq!(plan.argv.len(), 10);
    allowed(&grant, &ask("shell", &["-e", "scripts/x", "y"]));
    denied(&grant, &ask("shell", &["-e", "x", "y"]));
    denied(
        &grant,
        &ask("git-log", &["log", "--stat", "-n9", "--", ".env"]),
    );
    let many = [
        "log", "--stat", "-n9", "--", "a", "a", "a", "a", "a", "a", "a", "a", "a",
    ];
    denied(&grant, &ask("git-log", &many));
    allowed(&grant, &ask("git-log", &many[..12]));
}
