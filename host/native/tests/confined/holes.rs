//! Denied paths inside granted ones ("holes"), which only a session can enforce.

use std::fs;
use std::path::Path;

use capspawn_native::Stage;
use capspawn_native::sandbox::FsRoot;
use tempfile::TempDir;

use test_kit::{TEST_TIMEOUT, is_readable, open_to_all, read_until, scratch};

use crate::session::is_session;
use crate::spec::Spec;

/// A writable working tree whose `.git/hooks` and `secret` are denied.
fn tree() -> TempDir {
    let dir = scratch();
    fs::create_dir_all(dir.path().join(".git/hooks")).expect("the test may write the folder");
    let files = [".git/config", ".git/hooks/pre-commit", "secret"];
    for name in files {
        fs::write(dir.path().join(name), "original").expect("the test may write the folder");
    }
    for name in files.iter().chain(&[".git", ".git/hooks"]) {
        open_to_all(dir.path().join(name));
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

/// Scripts that try to read or to replace a denied path. Without the holes each succeeds.
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
fn a_denied_path_in_a_write_root_can_be_neither_read_nor_replaced() {
    if !is_session() {
        return;
    }
    for attack in ATTACKS {
        let dir = tree();
        let text = format!("{{ {attack}; }} && echo done");
        let output = script(dir.path(), &text).run().output;
        assert!(!output.contains("done"), "{attack}: {output}");
        let read = |name: &str| fs::read_to_string(dir.path().join(name)).expect("the file exists");
        assert_eq!(read("secret"), "original", "{attack}");
        assert_eq!(read(".git/hooks/pre-commit"), "original", "{attack}");
        assert!(!dir.path().join(".git/hooks/evil").exists(), "{attack}");
        // As root the test owns the files, so its children cannot change their mode in any case.
        if attack.starts_with("chmod") {
            continue;
        }
        let mut open = script(dir.path(), &text);
        open.confinement.fs.deny.clear();
        let output = open.run().output;
        assert!(
            output.contains("done"),
            "{attack} shows nothing, it fails without the holes too: {output}"
        );
    }
}

#[test]
fn the_files_next_to_a_denied_path_are_writable() {
    if !is_session() {
        return;
    }
    let dir = tree();
    let text = "echo new > .git/config && touch .git/index beside && mv beside other && mkdir sub && mv sub renamed && echo done";
    assert_eq!(script(dir.path(), text).run().output, "done\n");
    let config = fs::read_to_string(dir.path().join(".git/config"));
    assert_eq!(config.expect("the file exists"), "new\n");
}

/// The documentation names this gap: an older hard link is another path to the same file.
#[test]
fn a_hard_link_that_existed_before_is_not_denied() {
    if !is_session() {
        return;
    }
    let dir = tree();
    fs::hard_link(dir.path().join("secret"), dir.path().join("other"))
        .expect("the test may write the folder");
    assert_eq!(script(dir.path(), "cat other").run().output, "original");
}

#[test]
fn a_denied_path_that_is_missing_in_a_write_root_is_an_error() {
    if !is_session() {
        return;
    }
    let dir = tree();
    let mut spec = script(dir.path(), "true");
    spec.confinement
        .fs
        .deny
        .push(dir.path().join("absent").into());
    let error = spec.start().err().expect("the path is missing");
    assert_eq!(error.stage, Stage::Root);
    let text = error.to_string();
    assert!(
        text.contains("create it or narrow the write root"),
        "{text}"
    );
}

/// Programs of the host's, each of which makes `secret` or `.git/hooks` another file.
const REPLACEMENTS: [&str; 7] = [
    "echo SECRET > n && mv n secret",
    "rm secret && echo SECRET > secret",
    "sed -i s/original/SECRET/ secret",
    "mv .git/hooks old && mkdir .git/hooks && echo SECRET > .git/hooks/pre-commit",
    "rm -r .git/hooks && mkdir .git/hooks && echo SECRET > .git/hooks/pre-commit",
    "mv .git old && mkdir -p .git/hooks && echo SECRET > .git/hooks/pre-commit",
    "cp -a .git copy && mv .git old && mv copy .git && echo SECRET > .git/hooks/pre-commit",
];

fn host(dir: &Path, text: &str) {
    let mut shell = std::process::Command::new("/bin/sh");
    let shell = shell.args(["-c", &format!("umask 0; {text}")]);
    let status = shell.current_dir(dir).status().expect("the shell starts");
    assert!(status.success(), "{text}: {status}");
}

/// What runs is ended, and what starts afterwards sees neither the old file nor the new one.
#[test]
fn a_denied_path_that_the_host_replaces_stays_hidden() {
    if !is_session() {
        return;
    }
    for replacement in REPLACEMENTS {
        let dir = tree();
        let started = script(dir.path(), "exec sleep 1000").start();
        let started = started.expect("it starts");
        host(dir.path(), replacement);
        let text = "cat .git/hooks/* secret 2>/dev/null; echo end";
        let output = script(dir.path(), text).run().output;
        assert_eq!(output, "end\n", "{replacement}");
        let has_ended = is_readable(started.process.exit_fd(), TEST_TIMEOUT);
        assert!(has_ended, "{replacement}: the running child is not ended");
        let error = started.process.try_exit().expect_err("the host ended it");
        assert!(error.to_string().contains("fs.deny"), "{error}");
        started.process.reap().expect("it has ended");
    }
}

#[test]
fn a_child_runs_on_when_the_host_writes_next_to_a_denied_path() {
    if !is_session() {
        return;
    }
    let dir = tree();
    let text = "echo ready; until [ -e go ]; do sleep 0.05; done; echo end";
    let mut started = script(dir.path(), text).start().expect("it starts");
    read_until(&mut started.output, "ready");
    host(
        dir.path(),
        "echo x > n; mv n .git/config; mkdir .git/hooks/sub; echo more >> secret; rm .git/config; touch .git secret",
    );
    script(dir.path(), "true").run();
    host(dir.path(), "touch go");
    assert!(started.finish().output.ends_with("end\n"));
}

/// In a read root a denied path may be missing, and then nothing can be mounted over it. Once it
/// exists, the next child gets a session that hides it.
#[test]
fn a_denied_path_that_appears_later_in_a_read_root_is_hidden_from_the_next_child() {
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
    fs::write(&late, "secret").expect("the test may write the folder");
    open_to_all(&late);
    let output = denied.run().output;
    assert!(output.ends_with("none\n"), "{output}");
    assert_eq!(open.run().output, "secret");
}
