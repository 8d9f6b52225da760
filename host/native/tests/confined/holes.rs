//! Denied paths inside granted ones, which a session alone has.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use capspawn_native::Stage;
use capspawn_native::sandbox::FsRoot;
use tempfile::TempDir;

use crate::session::is_session;
use crate::support::{Spec, scratch};

/// A writable working tree whose `.git/hooks` and `secret` are denied.
fn tree() -> TempDir {
    let dir = scratch();
    fs::create_dir_all(dir.path().join(".git/hooks")).expect("room");
    let files = [".git/config", ".git/hooks/pre-commit", "secret"];
    for name in files {
        fs::write(dir.path().join(name), "original").expect("room");
    }
    for name in files.iter().chain(&[".git", ".git/hooks"]) {
        let open = fs::Permissions::from_mode(0o777);
        fs::set_permissions(dir.path().join(name), open).expect("it is ours");
    }
    dir
}

fn script(dir: &Path, text: &str) -> Spec {
    let mut spec = Spec::new("/bin/sh").args(["-c", text]).home(dir);
    for hole in [".git/hooks", "secret"] {
        let hole = FsRoot::resolve(dir.join(hole)).expect("it exists");
        spec.confinement.fs.deny.push(hole);
    }
    spec
}

/// Each tries to read or to replace what is denied. Without the holes each is done.
const ATTACKS: [&str; 12] = [
    "cat secret",
    "echo x > secret",
    "rm -f secret",
    "mv secret x",
    "ln secret x",
    "chmod 700 secret",
    "ls .git/hooks",
    "touch .git/hooks/evil",
    "mv .git/hooks .git/x",
    "mv .git x",
    "mv .git x && mkdir -p .git/hooks && touch .git/hooks/evil",
    "chmod 700 .git/hooks",
];

#[test]
fn a_hole_in_a_write_root_holds() {
    if !is_session() {
        return;
    }
    for attack in ATTACKS {
        let dir = tree();
        let text = format!("{{ {attack}; }} && echo done");
        let output = script(dir.path(), &text).run().output;
        assert!(!output.contains("done"), "{attack}: {output}");
        let read = |name: &str| fs::read_to_string(dir.path().join(name)).expect("it is there");
        assert_eq!(read("secret"), "original", "{attack}");
        assert_eq!(read(".git/hooks/pre-commit"), "original", "{attack}");
        assert!(!dir.path().join(".git/hooks/evil").exists(), "{attack}");
        // Root's files belong to nobody else: there another than the mode's owner cannot change it.
        if attack.starts_with("chmod") {
            continue;
        }
        let mut open = script(dir.path(), &text);
        open.confinement.fs.deny.clear();
        let output = open.run().output;
        assert!(output.contains("done"), "{attack} shows nothing: {output}");
    }
}

#[test]
fn what_lies_beside_a_hole_is_writable() {
    if !is_session() {
        return;
    }
    let dir = tree();
    let text = "echo new > .git/config && touch .git/index beside && mv beside other && mkdir sub && mv sub renamed && echo done";
    assert_eq!(script(dir.path(), text).run().output, "done\n");
    let config = fs::read_to_string(dir.path().join(".git/config"));
    assert_eq!(config.expect("it is there"), "new\n");
}

/// What is documented: a name that was linked before is another path to the same file.
#[test]
fn a_hard_link_that_was_made_before_is_not_covered() {
    if !is_session() {
        return;
    }
    let dir = tree();
    fs::hard_link(dir.path().join("secret"), dir.path().join("other")).expect("made");
    assert_eq!(script(dir.path(), "cat other").run().output, "original");
}

#[test]
fn a_hole_that_is_missing_in_a_write_root_is_no_session() {
    if !is_session() {
        return;
    }
    let dir = tree();
    let mut spec = script(dir.path(), "true");
    spec.confinement
        .fs
        .deny
        .push(dir.path().join("absent").into());
    let error = spec.start().err().expect("it is missing");
    assert_eq!(error.stage, Stage::Root);
    let text = error.to_string();
    assert!(
        text.contains("create it or narrow the write root"),
        "{text}"
    );
}

/// The host takes a denied directory away and puts another in its place: the running child sees neither, and no
/// child sees the new one.
#[test]
fn a_hole_that_is_made_again_after_the_start_is_not_seen() {
    if !is_session() {
        return;
    }
    let dir = tree();
    let text = "echo ready; until [ -e go ]; do sleep 0.05; done; cat .git/hooks/* secret 2>/dev/null && echo done; echo end";
    let mut started = script(dir.path(), text).start().expect("it starts");
    crate::bounded::read_to(&mut started.output, Some("ready"));
    let hooks = dir.path().join(".git/hooks");
    fs::rename(&hooks, dir.path().join(".git/old")).expect("the host may");
    fs::create_dir(&hooks).expect("room");
    fs::write(hooks.join("new"), "new").expect("room");
    fs::write(dir.path().join("go"), "").expect("room");
    let output = started.finish().output;
    println!("{output}");
    assert!(!output.contains("done"), "{output}");
}

/// In a read root a denied path may be missing, and nothing can be mounted over it. Once it is there, the next child is
/// in a session that hides it.
#[test]
fn a_hole_in_a_read_root_that_comes_later_is_hidden_from_the_next_child() {
    if !is_session() {
        return;
    }
    let dir = scratch();
    let late = dir.path().join("late");
    let mut open =
        Spec::new("/bin/sh").args(["-c", &format!("cat {} || echo none", late.display())]);
    open.confinement.fs.read.push(dir.path().into());
    let mut denied = open.clone();
    denied.confinement.fs.deny.push(late.clone().into());
    assert!(denied.run().output.ends_with("none\n"));
    fs::write(&late, "secret").expect("room");
    fs::set_permissions(&late, fs::Permissions::from_mode(0o644)).expect("it is ours");
    let output = denied.run().output;
    assert!(output.ends_with("none\n"), "{output}");
    assert_eq!(open.run().output, "secret");
}
