//! The directories of `--dir`: what a component makes there its children can change.

use std::fs;
use std::os::unix::fs::MetadataExt as _;
use std::path::Path;
use std::process::Command;

use e2e::guests;
use rustix::process::geteuid;

use crate::harness::{Outcome, outcome};
use crate::support::{capspawn, program};

/// Runs `makes-file`, whose child appends a line to the file that the component has made in
/// `folder`, with more options.
fn run(folder: &Path, dir: &str, options: &[&str]) -> Outcome {
    let folder = folder.display();
    let grant = format!(
        "version = 1\n[[component.makes-file.command]]\nname = \"sh\"\nprogram = {:?}\n\
         args = [\"-c\", \"*\"]\ninterpreter = true\nsandbox = \"best-effort\"\n\
         fs = {{ write = [\"{folder}\"] }}\n",
        program("sh")
    );
    let grants = tempfile::tempdir().expect("/tmp is writable");
    let file = grants.path().join("grants.toml");
    fs::write(&file, grant).expect("the folder is writable");
    let mut command = Command::new(capspawn());
    command.arg("run").arg("--grants").arg(&file).args(options);
    command.args([
        "--dir",
        dir,
        guests::MAKES_FILE.path,
        "--",
        "/work/made",
        "sh",
        "-c",
    ]);
    outcome(command.arg(format!(
        "echo child >> {folder}/made && cat {folder}/made >&2"
    )))
}

#[test]
fn a_component_and_its_children_change_each_others_files() {
    let mut all = vec![vec![], vec!["--tier", "B"]];
    if geteuid().is_root() {
        all.push(vec!["--run-as", "1234:4321"]);
    }
    for options in all {
        let folder = test_kit::scratch();
        let dir = format!("{}::/work", folder.path().display());
        let ran = run(folder.path(), &dir, &options);
        if ran.stderr.contains("cannot change them") {
            // This file system has no idmapped mounts, which the message states.
            assert!(ran.stderr.contains("belong to root"), "{ran:?}");
            assert_ne!(ran.code, Some(0), "{ran:?}");
            continue;
        }
        assert_eq!(ran.code, Some(0), "{options:?}: {ran:?}");
        assert_eq!(ran.stdout, "component\nchild\n", "{options:?}: {ran:?}");
        assert_eq!(ran.stderr, "component\nchild\n", "{options:?}: {ran:?}");
        let file = fs::metadata(folder.path().join("made")).expect("the component has made it");
        let owner = match (geteuid().is_root(), options.last()) {
            (false, _) => (geteuid().as_raw(), file.gid()),
            (true, Some(&"1234:4321")) => (1234, 4321),
            (true, _) => (65534, 65534),
        };
        assert_eq!((file.uid(), file.gid()), owner, "{options:?}");
    }
}

#[test]
fn a_directory_that_is_read_only_can_be_read_and_not_changed() {
    let folder = test_kit::scratch();
    let dir = format!("{}::/work:ro", folder.path().display());
    let refused = run(folder.path(), &dir, &[]);
    assert_eq!(refused.code, Some(1), "{refused:?}");
    assert!(refused.stderr.contains("Err("), "{refused:?}");
    // The child of the same request has written, by its own grant.
    let made = fs::read_to_string(folder.path().join("made")).expect("the child has made it");
    assert_eq!(made, "child\n");
}

#[test]
fn a_directory_that_does_not_exist_is_named() {
    let folder = test_kit::scratch();
    let absent = folder.path().join("absent");
    let complaint = run(folder.path(), absent.to_str().expect("text"), &[]);
    let complaint = complaint.complaint();
    assert!(
        complaint.contains("cannot open the directory"),
        "{complaint}"
    );
    assert!(complaint.contains("No such file"), "{complaint}");
}
