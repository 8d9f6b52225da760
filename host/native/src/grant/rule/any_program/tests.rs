//! Any program: each refusal next to what is allowed.

use std::ffi::OsString;
use std::fs;
use std::os::unix::fs::{PermissionsExt, symlink};

use super::*;
use crate::command::Command;
use crate::grant::Grant;
use crate::grant::testing::{allowed, component, denied, echo, open_to_all};

/// A folder with the roots `in` (read) and `out` (write), the folder `in/hole` (deny), and
/// the folder `secret`, which is no root. Each has the program `tool`.
struct Tree {
    _keep: tempfile::TempDir,
    path: PathBuf,
}

impl Tree {
    fn new() -> Self {
        let keep = tempfile::tempdir().expect("a temporary folder");
        let path = keep.path().canonicalize().expect("it exists");
        let tree = Self { _keep: keep, path };
        for folder in ["in", "in/hole", "out", "secret"] {
            fs::create_dir(tree.path.join(folder)).expect("an empty folder");
            tree.program(&format!("{folder}/tool"), "\u{7f}ELF");
        }
        open_to_all(&tree.path.join("out"));
        tree
    }

    fn at(&self, name: &str) -> String {
        self.path.join(name).to_str().expect("UTF-8").to_owned()
    }

    fn program(&self, name: &str, text: &str) -> String {
        let path = self.at(name);
        fs::write(&path, text).expect("the folder is ours");
        fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).expect("it is ours");
        path
    }

    fn link(&self, target: &str, name: &str) {
        symlink(target, self.at(name)).expect("the folder is ours");
    }

    /// A grant of any program with `lines`, in which `$T` is the folder.
    fn grant(&self, lines: &str) -> Arc<Grant> {
        let text = format!(
            "[component.c]\nfs = {{ read = [\"$T/in\"], write = [\"$T/out\"], deny = [\"$T/in/hole\"] }}
             env = {{ set = {{ PATH = \"$T/secret::bin:$T/in:$T/out:/usr/bin:/bin\" }} }}
             [[component.c.command]]\nname = \"*\"\nprogram = \"*\"\n{lines}\n"
        );
        component(&text.replace("$T", &self.at("")).replace("//", "/"))
    }
}

fn program(grant: &Grant, name: &str) -> PathBuf {
    allowed(grant, &Command::new(name)).program.path.clone()
}

fn is_denied(grant: &Grant, name: &str) {
    let denial = denied(grant, &Command::new(name));
    assert_eq!(denial.item, DeniedItem::Program, "{name}");
    assert_eq!(denial.nearest.as_deref(), Some("*"), "{name}");
}

fn is_missing(grant: &Grant, name: &str) {
    let result = grant.decide(&Command::new(name));
    assert!(matches!(result, Err(SpawnError::NoEntry)), "{result:?}");
}

fn is_not_executable(grant: &Grant, name: &str) {
    let result = grant.decide(&Command::new(name));
    assert!(
        matches!(result, Err(SpawnError::NotExecutable)),
        "{result:?}"
    );
}

#[test]
fn a_path_below_a_root_is_started_and_one_outside_is_refused() {
    let tree = Tree::new();
    let grant = tree.grant("");
    for name in ["in/tool", "out/tool", "out/../in/tool", "in/./tool"] {
        let plan = allowed(&grant, &Command::new(tree.at(name)));
        assert_eq!(plan.argv, [tree.at(name).as_str()], "as the guest wrote it");
        assert!(plan.program.path.ends_with("in/tool") || name == "out/tool");
    }
    // The default roots, and the links that lead to them.
    assert!(program(&grant, "/usr/bin/env").starts_with("/usr"));
    program(&grant, "/bin/sh");
    for name in ["secret/tool", "in/../secret/tool", "in/hole/tool", "tool"] {
        is_denied(&grant, &tree.at(name));
    }
    // A directory on the path to a root is not below a root.
    for name in ["/", "/usr/..", &tree.at("")] {
        is_denied(&grant, name);
    }
    // The denial of a file outside suggests a root, that of an excluded file does not.
    let suggestion = |name: &str| denied(&grant, &Command::new(tree.at(name))).would_allow;
    let line = format!("fs = {{ read = [\"{}\"] }}", tree.at("secret/tool"));
    assert_eq!(suggestion("secret/tool"), Some(line));
    assert_eq!(suggestion("in/hole/tool"), None);
}

#[test]
fn a_path_outside_is_refused_whether_it_exists_or_not() {
    let tree = Tree::new();
    let grant = tree.grant("");
    tree.link(&tree.at("in/tool"), "secret/link");
    tree.link(&tree.at("secret/none"), "in/none");
    tree.link(&tree.at("secret/tool"), "in/some");
    for name in [
        "secret/tool",
        "secret/none",
        "secret/none/../../in/tool",
        "secret/../in/tool",
        "secret/link",
        "none",
        "none/../in/tool",
        "in/hole/none",
        "in/none",
        "in/some",
        &"x".repeat(MAX_PATH),
    ] {
        is_denied(&grant, &tree.at(name));
    }
    // A bare name that only a folder outside has is missing, like one that no folder has.
    is_missing(&grant, "no-such-program");
    tree.program("secret/only-there", "");
    is_missing(&grant, "only-there");
}

#[test]
fn a_link_out_of_the_roots_is_refused_and_one_within_is_followed() {
    let tree = Tree::new();
    let grant = tree.grant("");
    tree.link("tool", "in/near");
    tree.link("../in", "out/folder");
    for name in ["in/near", "out/folder/tool"] {
        let plan = allowed(&grant, &Command::new(tree.at(name)));
        assert_eq!(plan.program.path, tree.path.join("in/tool"));
        assert_eq!(plan.argv, [tree.at(name).as_str()]);
    }
    tree.link("../secret/tool", "in/far");
    tree.link("../secret", "out/away");
    // A path that leaves the roots and returns is outside.
    tree.link(&tree.at("in/tool"), "secret/back");
    tree.link("../secret/back", "in/round");
    for name in ["in/far", "out/away/tool", "in/round"] {
        is_denied(&grant, &tree.at(name));
    }
    is_denied(&grant, "far");
    tree.link("loop", "in/loop");
    is_not_executable(&grant, &tree.at("in/loop"));
}

#[test]
fn a_bare_name_is_looked_up_in_the_grants_path() {
    let tree = Tree::new();
    let grant = tree.grant("env = { allow = [\"PATH\"] }");
    let plan = allowed(&grant, &Command::new("tool"));
    assert_eq!(plan.program.path, tree.path.join("in/tool"));
    assert_eq!(plan.argv, ["tool"]);
    // A file that is not executable is skipped, and so is a link that leads outside.
    fs::write(tree.at("in/late"), "").expect("the folder is ours");
    tree.program("out/late", "");
    tree.link("../secret/tool", "in/later");
    tree.program("out/later", "");
    for name in ["late", "later"] {
        assert_eq!(program(&grant, name), tree.path.join("out").join(name));
    }
    // The guest's own PATH is not used.
    let command = Command {
        env: vec![("PATH".into(), tree.at("out").into())],
        ..Command::new("tool")
    };
    assert_eq!(
        allowed(&grant, &command).program.path,
        tree.path.join("in/tool")
    );
    for name in ["./tool", "in/tool", "../tool"] {
        is_denied(&grant, name);
    }
    // Without a PATH in the grant the default one is used.
    let plain = component("[[component.c.command]]\nname = \"*\"\nprogram = \"*\"\n");
    program(&plain, "env");
    assert!(plain.warnings().is_empty(), "{:?}", plain.warnings());
}

#[test]
fn a_missing_file_and_a_file_that_is_not_executable_are_different_errors() {
    let tree = Tree::new();
    let grant = tree.grant("");
    for name in ["in/none", "in/none/x", "in/tool/x", "out/tool/../tool"] {
        is_missing(&grant, &tree.at(name));
    }
    fs::write(tree.at("in/data"), "").expect("the folder is ours");
    for name in ["in", "out/", "in/data", "in/tool/", "in/tool/."] {
        is_not_executable(&grant, &tree.at(name));
    }
    is_not_executable(&grant, "data");
    is_missing(&grant, "*");
    // Each decision looks the name up again.
    tree.program("in/none", "");
    program(&grant, &tree.at("in/none"));
}

#[test]
fn a_script_is_started_by_an_interpreter_below_the_roots() {
    let tree = Tree::new();
    let grant = tree.grant("args = [\"*\"]");
    let plan = |name: &str| allowed(&grant, &Command::new(name).arg("x"));
    let script = tree.program("out/script", "#!/bin/sh -e\n");
    for name in [script.as_str(), "script"] {
        let plan = plan(name);
        assert_eq!(plan.argv, ["/bin/sh", "-e", &script, "x"]);
        assert_eq!(
            plan.program.path,
            fs::canonicalize("/bin/sh").expect("it exists")
        );
    }
    let tool = tree.at("in/tool");
    let by_env = tree.program("out/by-env", "#!/usr/bin/env tool\n");
    assert_eq!(plan(&by_env).argv, [&tool, &by_env, "x"]);
    let split = tree.program("out/split", "#!/usr/bin/env -S tool -a 'b c'\n");
    assert_eq!(plan(&split).argv, [&tool, "-a", "b c", &split, "x"]);
    let last = tree.program("out/last", "#!/bin/sh");
    assert_eq!(plan(&last).argv, ["/bin/sh", &last, "x"]);
    let decide = |text: &str| {
        let script = tree.program("out/other", text);
        grant.decide(&Command::new(script).arg("x"))
    };
    let outside = decide(&format!("#!{}\n", tree.at("secret/tool")));
    assert!(matches!(outside, Err(SpawnError::Denied(_))), "{outside:?}");
    let absent = decide(&format!("#!{}\n", tree.at("secret/none")));
    assert!(matches!(absent, Err(SpawnError::Denied(_))), "{absent:?}");
    let missing = decide(&format!("#!{}\n", tree.at("in/none")));
    assert!(matches!(missing, Err(SpawnError::NoEntry)), "{missing:?}");
    for text in [
        "#!tool\n",
        "#!/usr/bin/env -S 'sh\n",
        "#!/usr/bin/env no-such-program\n",
        &format!("#!{script}\n"),
    ] {
        let result = decide(text);
        assert!(
            matches!(result, Err(SpawnError::NotExecutable)),
            "{result:?}"
        );
    }
}

#[test]
fn arguments_and_variables_are_checked_for_any_program_too() {
    let tree = Tree::new();
    let grant = tree.grant("args = [\"a\", \"*\"]\narg0 = \"zero\"\nfixed = [\"f\"]");
    let tool = || Command::new("tool").arg("a");
    let plan = allowed(&grant, &tool().arg("b"));
    assert_eq!(plan.argv, ["zero", "f", "a", "b"]);
    assert_eq!(plan.name, "*");
    for command in [tool(), tool().arg("-b")] {
        assert_eq!(denied(&grant, &command).item, DeniedItem::Argument);
    }
    let variable = Command {
        env: vec![("A".into(), OsString::new())],
        ..tool().arg("b")
    };
    assert_eq!(denied(&grant, &variable).item, DeniedItem::Environment);
}

#[test]
fn a_named_command_wins() {
    let tree = Tree::new();
    let grant = tree.grant(&format!(
        "args = [\"**\"]\n{}",
        echo("args = [\"a\"]\ndecision = \"ask\"")
    ));
    let asks = grant.decide(&Command::new("echo").arg("a"));
    assert!(
        matches!(asks, Ok(crate::grant::Decision::Ask(_))),
        "{asks:?}"
    );
    denied(&grant, &Command::new("echo").arg("b"));
    // The path of its program is another name, which is a warning.
    allowed(&grant, &Command::new("/bin/echo").arg("b"));
    let warnings = grant.warnings().join("\n");
    assert!(warnings.contains("echo: decision = \"ask\""), "{warnings}");
    assert!(
        warnings.contains(&tree.at("secret")) && !warnings.contains(&tree.at("in")),
        "{warnings}"
    );
}

#[test]
fn an_explanation_names_the_file() {
    let tree = Tree::new();
    let grant = tree.grant("");
    let shown = grant.explain(&Command::new("tool")).to_string();
    for line in [
        "rule       \"*\"",
        &format!("program    {:?}", tree.at("in/tool")),
    ] {
        assert!(shown.contains(line), "{shown}");
    }
    let denied = grant.explain(&Command::new(tree.at("secret/tool")));
    assert!(denied.to_string().contains("refused    program"));
}

#[test]
fn an_intersection_of_rules_for_any_program_needs_the_same_file() {
    let tree = Tree::new();
    let wide = tree.grant("");
    let narrow = component("[[component.c.command]]\nname = \"*\"\nprogram = \"*\"\n");
    program(&wide.intersect(&narrow), "/bin/echo");
    is_denied(&wide.intersect(&narrow), &tree.at("in/tool"));
    let named = component(&echo(""));
    allowed(&named.intersect(&narrow), &Command::new("echo"));
    denied(&named.intersect(&narrow), &Command::new("cat"));
}
