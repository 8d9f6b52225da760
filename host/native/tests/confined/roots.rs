//! Several roots: one in another, and two on one file system.

use std::fs::{create_dir_all, read_to_string, write};
use std::path::{Path, PathBuf};

use capspawn_native::launch::Exit;
use capspawn_native::sandbox::Tier;
use tempfile::TempDir;
use test_kit::scratch_in;

use crate::fixture::give_to_children;
use crate::launcher::tier;
use crate::spec::Spec;

/// Directories `a`, `a/b`, `a/b/c` and `d` with a file `f` each, outside of `/tmp`.
fn folder() -> TempDir {
    let folder = scratch_in("/var/tmp");
    for name in ["a", "a/b", "a/b/c", "d"] {
        let dir = folder.path().join(name);
        create_dir_all(&dir).expect("the folder is new");
        write(dir.join("f"), format!("{name}\n")).expect("the folder is new");
        give_to_children(&dir.join("f"));
        give_to_children(&dir);
    }
    folder
}

fn spec(folder: &Path, read: &[&str], write: &[&str], script: &str) -> Spec {
    let path = |name: &&str| match name.starts_with('/') {
        true => PathBuf::from(name),
        false => folder.join(name),
    };
    let script = format!("cd /; R={}; {script}", folder.display());
    let mut spec = Spec::new("/bin/sh").args(["-c", &script]);
    let fs = &mut spec.confinement.fs;
    fs.read.extend(read.iter().map(|name| path(name).into()));
    fs.write.extend(write.iter().map(|name| path(name).into()));
    spec
}

#[test]
fn of_two_roots_that_contain_a_path_one_that_can_be_written_is_enough() {
    let folder = folder();
    let script = "for d in a a/b a/b/c d; do cat $R/$d/f >/dev/null 2>&1 && echo -n \"$d \"; \
                  touch $R/$d/n 2>/dev/null && echo -n 'written '; rm -f $R/$d/n; done; \
                  touch $R/n 2>/dev/null && echo -n above; cat /dev/null; : > /dev/null";
    for (read, write, expected) in [
        (&["a"][..], &["a/b"][..], "a a/b written a/b/c written "),
        (&["a/b"], &["a"], "a written a/b written a/b/c written "),
        (&[], &["a", "a/b"], "a written a/b written a/b/c written "),
        (&[], &["a/b", "a"], "a written a/b written a/b/c written "),
        (&["a", "a/b/c"], &["a/b"], "a a/b written a/b/c written "),
        (&["/"], &["a/b"], "a a/b written a/b/c written d "),
        (&["/", "a"], &["a/b"], "a a/b written a/b/c written d "),
        (&["/", "a/b"], &[], "a a/b a/b/c d "),
        (&["a/b", "/"], &["d"], "a a/b a/b/c d written "),
    ] {
        let spec = spec(folder.path(), read, write, script);
        assert_eq!(spec.succeed(), expected, "{read:?} {write:?}");
    }
}

#[test]
fn files_move_within_a_write_root_that_contains_another() {
    let folder = folder();
    let script = "set -e; python3 -c \"import os, sys; r = sys.argv[1]\n\
                  os.rename(r + '/a/f', r + '/a/b/g'); os.link(r + '/a/b/g', r + '/a/b/c/g')\" $R; \
                  cat $R/a/b/c/g";
    let spec = spec(folder.path(), &["/usr"], &["a", "a/b"], script);
    assert_eq!(spec.succeed(), "a\n");
}

/// A limit of tier A, of which `capspawn check` warns.
#[test]
fn between_two_write_roots_files_are_copied_in_a_session_and_renamed_in_tier_b() {
    let folder = folder();
    let script = "mv $R/a/f $R/d/moved && cat $R/d/moved; ln $R/d/moved $R/a/linked 2>&1 || true";
    let output = spec(folder.path(), &[], &["a", "d"], script).succeed();
    match tier() {
        Tier::A => {
            assert!(output.starts_with("a\n"), "{output}");
            assert!(output.contains("Invalid cross-device link"), "{output}");
        }
        Tier::B | Tier::C => assert_eq!(output, "a\n"),
    }
}

/// A limit of both tiers, of which `capspawn check` warns.
#[test]
fn a_write_root_that_is_a_file_is_written_in_place_and_not_replaced() {
    let folder = folder();
    let file = folder.path().join("a/f");
    let written = spec(
        folder.path(),
        &["a"],
        &["a/f"],
        "echo b >> $R/a/f; cat $R/a/f",
    );
    assert_eq!(written.succeed(), "a\nb\n");
    let replace = "mv $R/a/f $R/a/g || sed -i s/a/c/ $R/a/f";
    let replaced = spec(folder.path(), &["a"], &["a/f"], replace).run();
    assert_ne!(replaced.exit, Exit::Code(0), "{}", replaced.output);
    assert_eq!(read_to_string(&file).expect("it is there"), "a\nb\n");
    // What the warning recommends.
    let own = "sed -i s/a/c/ $R/a/f; cat $R/a/f";
    let own = spec(folder.path(), &[], &["a"], own);
    assert_eq!(own.succeed(), "c\nb\n");
}
