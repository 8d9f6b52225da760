//! Directories that the host removes and creates again while a guest lives, as build tools and
//! test runners do between two runs.

use std::fs::{create_dir_all, remove_dir_all, write};
use std::path::Path;

use capspawn_native::launch::Exit;
use test_kit::{open_to_all, scratch};

use crate::spec::Spec;

/// Makes the directory and everything that the tests look for in it.
fn make(dir: &Path) {
    create_dir_all(dir.join("sub")).expect("the test may write the folder");
    for dir in [dir, &dir.join("sub")] {
        open_to_all(dir);
    }
    write(dir.join("sub/file"), "x").expect("the test may write the folder");
}

fn remove(dir: &Path) {
    remove_dir_all(dir).expect("the test may write the folder");
}

fn shell(script: &str) -> Spec {
    Spec::new("/bin/sh").args(["-ec", script])
}

/// Runs `spec`, again after `dir` was removed and created, and once more after a child has
/// failed because it was missing.
#[track_caller]
fn outlives(spec: &Spec, dir: &Path, removed: &Path) {
    make(dir);
    assert_eq!(spec.succeed(), "x\n", "at first");
    remove(removed);
    make(dir);
    assert_eq!(spec.succeed(), "x\n", "created again");
    remove(removed);
    let mut elsewhere = spec.clone();
    elsewhere.cwd = "/".into();
    if let Ok(started) = elsewhere.start() {
        let run = started.finish();
        assert_ne!(run.exit, Exit::Code(0), "missing: {}", run.output);
    }
    make(dir);
    assert_eq!(spec.succeed(), "x\n", "created once more");
}

#[test]
fn a_write_root_that_is_created_again_is_the_new_directory() {
    let folder = scratch();
    let root = folder.path().join("root");
    make(&root);
    let spec = shell("echo x > new; cat new; rm new").home(&root);
    outlives(&spec, &root, &root);
}

#[test]
fn a_read_root_that_is_created_again_is_the_new_directory() {
    let folder = scratch();
    let root = folder.path().join("root");
    make(&root);
    let mut spec = shell("cat file; echo").read(&root);
    spec.cwd = root.join("sub");
    outlives(&spec, &root, &root);
}

#[test]
fn a_working_directory_that_is_created_again_is_the_new_directory() {
    let folder = scratch();
    let root = folder.path().join("root");
    let cwd = root.join("sub");
    make(&root);
    for spec in [
        shell("cat file; echo").home(&root),
        shell("cat file; echo").read(&root),
    ] {
        let mut spec = spec;
        spec.cwd.clone_from(&cwd);
        outlives(&spec, &root, &cwd);
    }
}

#[test]
fn a_directory_above_the_roots_may_be_created_again() {
    let folder = scratch();
    let above = folder.path().join("above");
    let (read, written) = (above.join("read"), above.join("written"));
    make(&read);
    make(&written);
    let script = format!("cat {}/sub/file; echo; touch file", read.display());
    let spec = shell(&script).home(&written).read(&read);
    assert_eq!(spec.succeed(), "x\n");
    remove(&above);
    make(&read);
    make(&written);
    assert_eq!(spec.succeed(), "x\n");
}

#[test]
fn a_root_in_another_root_may_be_created_again() {
    let folder = scratch();
    let outer = folder.path().join("outer");
    let inner = outer.join("inner");
    make(&outer);
    make(&inner);
    let spec = shell("cat sub/file; echo; touch new")
        .home(&inner)
        .read(&outer);
    outlives(&spec, &inner, &inner);
}
