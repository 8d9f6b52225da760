//! Temporary files: every guest has a directory for them, which no other guest opens.

use std::path::PathBuf;

use capspawn_native::launch::{Exit, Launcher as _, Scope};
use capspawn_native::sandbox::{NativeLauncher, Tier};
use test_kit::{eventually, scratch};

use crate::installed::installed;
use crate::launcher::{OwnScope, launcher, own_launcher, tier};
use crate::spec::{Run, Spec};

fn shell(script: &str) -> Spec {
    Spec::new("/bin/sh").args(["-ec", script])
}

fn run_as(spec: &Spec, launcher: &NativeLauncher, scope: Scope) -> Run {
    spec.start_as(launcher, scope).expect("it starts").finish()
}

/// Runs `script` in a write root, with a temporary directory of the launcher's choice.
fn succeed_at_home(script: &str) -> String {
    let dir = scratch();
    let mut spec = shell(script).home(dir.path());
    spec.env.remove("TMPDIR");
    spec.succeed()
}

#[test]
fn programs_make_temporary_files_and_directories() {
    let script = "f=$(mktemp); echo x > $f; d=$(mktemp -d); mv $f $d/y; cat $d/y; rm -r $d; \
                  printf 'b\\na\\n' | sort -S 1k; cat <<EOF\nhere\nEOF\n";
    assert_eq!(shell(script).succeed(), "x\na\nb\nhere\n");
}

#[test]
fn git_commits_and_gcc_compiles_without_a_tmpdir_of_the_grant() {
    if installed("git", "git").is_some() {
        let script = "git init -q g; cd g; echo x > f; git add f; \
                      git -c user.name=n -c user.email=e commit -qm m; git log --oneline | wc -l";
        assert_eq!(succeed_at_home(script), "1\n");
    }
    if installed("gcc", "gcc libc6-dev").is_some() {
        let script = "echo 'int main(void) { return 0; }' > a.c; gcc a.c -o a; ./a; echo ran";
        assert_eq!(succeed_at_home(script), "ran\n");
    }
    if installed("python3", "python3").is_some() {
        let script =
            "python3 -c 'import tempfile; tempfile.TemporaryFile().write(b\"x\")'; echo ran";
        assert_eq!(succeed_at_home(script), "ran\n");
    }
}

#[test]
fn a_program_that_was_written_to_the_temporary_directory_runs() {
    let script = "d=$(mktemp -d); printf '#!/bin/sh\\necho ran\\n' > $d/p; chmod 700 $d/p; $d/p";
    assert_eq!(shell(script).succeed(), "ran\n");
}

#[test]
fn a_tmpdir_of_the_grant_or_the_request_is_kept() {
    let dir = scratch();
    let spec = shell("echo $TMPDIR; basename $(dirname $(mktemp))").home(dir.path());
    let name = dir.path().file_name().expect("it has a name");
    let expected = format!("{}\n{}\n", dir.path().display(), name.display());
    assert_eq!(spec.succeed(), expected);
}

#[test]
fn children_of_one_guest_share_temporary_files_and_no_other_guest_opens_them() {
    let (one, two) = (OwnScope::new(), OwnScope::new());
    let run = |script: &str, guest: &OwnScope| run_as(&shell(script), launcher(), guest.0);
    let made = run("f=$(mktemp); echo secret > $f; echo $f", &one);
    let path = made.output.trim();
    let read = format!("cat {path}");
    assert_eq!(run(&read, &one).output, "secret\n");
    // Each has its own, also under one confinement.
    assert_eq!(run("mktemp", &two).exit, Exit::Code(0));
    let other = run(&read, &two);
    assert_eq!(other.exit, Exit::Code(1), "{}", other.output);
    assert!(!other.output.contains("secret"), "{}", other.output);
    if tier() == Tier::B {
        let folder = PathBuf::from(path);
        let all = folder
            .ancestors()
            .nth(2)
            .expect("it lies in a folder of all guests");
        for listing in ["ls", "find"] {
            let listed = run(&format!("{listing} {}", all.display()), &one);
            assert_ne!(listed.exit, Exit::Code(0), "{}", listed.output);
        }
    }
}

#[test]
fn temporary_files_are_removed_with_their_guest_and_their_launcher() {
    if tier() != Tier::B {
        return;
    }
    let launcher = own_launcher();
    let spec = shell("cd $TMPDIR; mkdir -p a/b; echo x > a/b/c; chmod 500 a/b; pwd");
    let make = |scope| PathBuf::from(run_as(&spec, &launcher, Scope(scope)).output.trim());
    let (one, two) = (make(1), make(2));
    assert!(one.join("a/b/c").exists() && two.exists());
    launcher.close(Scope(1));
    // By a thread of its own.
    eventually("the guest's directory is removed", || !one.exists());
    assert!(two.exists());
    drop(launcher);
    assert!(!two.exists());
    let all = two.parent().expect("it lies in a folder of all guests");
    assert!(!all.exists());
}

#[test]
fn an_unconfined_child_gets_no_temporary_directory() {
    let spec = shell("echo ${TMPDIR-none}").sandbox(capspawn_native::sandbox::Sandbox::None);
    assert_eq!(spec.succeed(), "none\n");
}
