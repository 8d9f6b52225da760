//! Write roots that are valid, and with which programs do not work as the operator may expect.

use std::fs::Metadata;
use std::os::unix::fs::MetadataExt;
use std::path::Path;

use crate::confinement::FsRoot;

/// Returns a line for each surprise in the roots of a command.
pub(in crate::grant) fn surprises(read: &[FsRoot], write: &[FsRoot]) -> Vec<String> {
    let found: Vec<(&FsRoot, Metadata)> = write
        .iter()
        .filter_map(|root| Some((root, root.real.metadata().ok()?)))
        .collect();
    let mut lines = Vec::new();
    for (index, (root, metadata)) in found.iter().enumerate() {
        let shown = root.written.display();
        if metadata.is_file() {
            lines.push(format!(
                "fs.write {shown} is a single file: programs can write it, and those that replace it (`sed -i`, most editors) fail: put it into a directory of its own and list that"
            ));
            continue;
        }
        let inside = read.iter().filter(|other| is_below(&other.real, root));
        lines.extend(inside.map(|other| {
            let other = other.written.display();
            format!("fs.read {other} lies in fs.write {shown}: children can write it")
        }));
        let others = &found[..index];
        let separate = others.iter().filter(|(other, _)| {
            !root.real.starts_with(&other.real) && !other.real.starts_with(&root.real)
        });
        let mut near =
            separate.filter(|(_, other)| other.is_dir() && other.dev() == metadata.dev());
        if let Some((other, _)) = near.next() {
            let other = other.written.display();
            lines.push(format!(
                "fs.write {other} and {shown} are on one file system, but in tier A files can neither be renamed nor linked from one to the other (EXDEV; `mv` copies): if programs need that, put both into a directory of their own and list that"
            ));
        }
    }
    lines
}

fn is_below(path: &Path, root: &FsRoot) -> bool {
    path != root.real && path.starts_with(&root.real)
}

#[cfg(test)]
mod tests {
    use std::fs::{create_dir_all, write};

    use tempfile::TempDir;

    use super::*;

    fn folder() -> TempDir {
        let folder = tempfile::tempdir().expect("the test may write /tmp");
        for name in ["a/in", "b", "c"] {
            create_dir_all(folder.path().join(name)).expect("the folder is new");
        }
        write(folder.path().join("a/file"), "x").expect("the folder is new");
        folder
    }

    fn lines(folder: &TempDir, read: &[&str], write: &[&str]) -> Vec<String> {
        let roots = |names: &[&str]| -> Vec<FsRoot> {
            let path = |name: &&str| folder.path().join(name).into();
            names.iter().map(path).collect()
        };
        surprises(&roots(read), &roots(write))
    }

    #[test]
    fn a_single_file_cannot_be_replaced() {
        let folder = folder();
        let found = lines(&folder, &[], &["a/file"]);
        assert_eq!(found.len(), 1, "{found:?}");
        assert!(found[0].contains("a/file is a single file"), "{found:?}");
        assert_eq!(lines(&folder, &["a/file"], &["b"]), [""; 0]);
    }

    #[test]
    fn two_directories_of_one_file_system_are_two_mounts() {
        let folder = folder();
        let found = lines(&folder, &[], &["a", "b"]);
        assert_eq!(found.len(), 1, "{found:?}");
        assert!(found[0].contains("EXDEV"), "{found:?}");
        // One for each further root, and not for each pair.
        assert_eq!(lines(&folder, &[], &["a", "b", "c"]).len(), 2);
        // One in the other is one mount, and another file system is another one outside too.
        assert_eq!(lines(&folder, &[], &["a", "a/in"]), [""; 0]);
        let shm: FsRoot = "/dev/shm".into();
        let other = surprises(&[], &[folder.path().join("a").into(), shm]);
        assert_eq!(other, [""; 0]);
    }

    #[test]
    fn a_read_root_in_a_write_root_is_writable() {
        let folder = folder();
        let found = lines(&folder, &["a/in"], &["a"]);
        assert_eq!(found.len(), 1, "{found:?}");
        assert!(found[0].contains("children can write it"), "{found:?}");
        assert_eq!(lines(&folder, &["a", "b"], &["a/in"]), [""; 0]);
        assert_eq!(lines(&folder, &["a"], &["a"]), [""; 0]);
    }
}
