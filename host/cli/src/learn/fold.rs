//! Folds the paths that a program used into few directories.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

use capspawn_native::launch::{Access, Observation, Outcome, Subject};

use super::secrets::is_secret;
use super::sight::is_grantable;

/// So many files below a directory make it a root: fewer are listed one by one.
const MANY: usize = 4;
/// The most entries of a directory that are looked at for secrets.
const MAX_ENTRIES: usize = 10_000;
/// What programs read if it is there, and do without: other names of locales, the sizes of the machine, and the settings of
/// names, which `network = "host"` shows by itself.
const OPTIONAL: [&str; 7] = [
    "/etc/locale.alias",
    "/etc/inputrc",
    "/sys",
    "/etc/resolv.conf",
    "/run/systemd/resolve",
    "/etc/host.conf",
    "/etc/gai.conf",
];
/// Directories of which files are listed one by one: each belongs to another program.
const MIXED: [&str; 3] = ["/etc", "/run", "/var/lib"];

/// The roots of a proposal.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Roots {
    /// What it reads or executes, beyond what the built-in `fs.read` has.
    pub(crate) read: BTreeSet<PathBuf>,
    /// Where it writes.
    pub(crate) write: BTreeSet<PathBuf>,
    /// Secrets that it wanted, which are not granted.
    pub(crate) secrets: BTreeSet<PathBuf>,
    /// What it wanted to change and could not.
    pub(crate) unwritten: BTreeSet<PathBuf>,
}

/// What decides how paths are folded.
#[derive(Debug)]
pub(crate) struct Folding<'a> {
    /// The working directory: the project, which is one root.
    pub(crate) cwd: Option<&'a Path>,
    /// The home directory, which is never a root.
    pub(crate) home: Option<&'a Path>,
    /// The roots of the built-in `fs.read`: the loader, the locale, certificates, the time zone.
    pub(crate) system: &'a [PathBuf],
}

impl Folding<'_> {
    /// Folds what was used.
    pub(crate) fn fold(&self, observations: &[Observation]) -> Roots {
        let mut roots = Roots::default();
        let mut read = BTreeSet::new();
        let mut changed = BTreeSet::new();
        for observation in observations {
            let Subject::File { path, real, access } = &observation.subject else {
                continue;
            };
            let is_optional = OPTIONAL.iter().any(|it| real.starts_with(it));
            if is_optional || matches!(observation.outcome, Outcome::Absent | Outcome::Private) {
                continue;
            }
            if observation.outcome == Outcome::Hidden || is_secret(path) || is_secret(real) {
                roots.secrets.insert(path.clone());
                continue;
            }
            match access {
                Access::Look | Access::Read | Access::Execute => {
                    // A link and what it leads to.
                    for used in [path, real] {
                        let is_file = || fs::symlink_metadata(used).is_ok_and(|it| !it.is_dir());
                        let in_cwd = self.cwd.is_some_and(|cwd| used.starts_with(cwd));
                        if *access != Access::Look || in_cwd || is_file() {
                            read.insert(used.clone());
                        }
                    }
                }
                Access::Write | Access::Create | Access::Remove
                    if observation.outcome == Outcome::Permitted =>
                {
                    changed.insert((real.clone(), *access));
                }
                Access::Write | Access::Create | Access::Remove => {
                    roots.unwritten.insert(path.clone());
                }
            }
        }
        roots.write = self.write_roots(&changed);
        // A file that the program made itself, or changed, is covered by a write root.
        read.retain(|path| !self.is_system(path) && !is_below(path, &roots.write));
        roots.read = self.read_roots(&read);
        roots
    }

    fn is_system(&self, path: &Path) -> bool {
        self.system.iter().any(|root| path.starts_with(root))
    }

    /// A file is changed in its directory: most programs write another one and rename it.
    fn write_roots(&self, changed: &BTreeSet<(PathBuf, Access)>) -> BTreeSet<PathBuf> {
        let mut dirs = BTreeSet::new();
        for (path, access) in changed {
            let in_place = *access == Access::Write && path.is_file();
            let parent = path.ancestors().skip(1).find(|it| it.is_dir());
            let parent = parent.filter(|parent| is_grantable(parent, self.home));
            dirs.extend(match (in_place, parent) {
                (true, _) | (false, None) => path.exists().then(|| path.clone()),
                (false, Some(parent)) => Some(parent.to_owned()),
            });
        }
        let mut roots = outermost(dirs);
        // Three directories of the project, and the project is written.
        if let Some(cwd) = self.cwd {
            let inside = roots.iter().filter(|root| root.starts_with(cwd)).count();
            if inside >= MANY {
                let mut common = roots.iter().filter(|root| root.starts_with(cwd)).cloned();
                let first = common.next().unwrap_or_default();
                let shared = common.fold(first, |shared, next| shared_ancestor(&shared, &next));
                roots.retain(|root| !root.starts_with(cwd));
                roots.insert(if shared.starts_with(cwd) {
                    shared
                } else {
                    cwd.to_owned()
                });
            }
        }
        outermost(roots)
    }

    fn read_roots(&self, read: &BTreeSet<PathBuf>) -> BTreeSet<PathBuf> {
        let mut roots = BTreeSet::new();
        let mut left = Vec::new();
        for path in read {
            match self.cwd {
                // All of the project: what it reads there changes with every edit.
                Some(cwd) if path.starts_with(cwd) => drop(roots.insert(cwd.to_owned())),
                _ => left.push(path),
            }
        }
        let mut below: BTreeMap<PathBuf, usize> = BTreeMap::new();
        for path in &left {
            for dir in path.ancestors().skip(1) {
                *below.entry(dir.to_owned()).or_default() += 1;
            }
        }
        for path in left {
            let mut dirs: Vec<_> = path.ancestors().skip(1).collect();
            dirs.reverse();
            let found = dirs.into_iter().find(|dir| {
                below.get(*dir).is_some_and(|count| *count >= MANY) && self.may_be_root(dir)
            });
            roots.insert(found.unwrap_or(path).to_owned());
        }
        outermost(roots)
    }

    /// Whether all of `dir` may be granted: it belongs to one program, and holds no secret.
    fn may_be_root(&self, dir: &Path) -> bool {
        let is_mixed = MIXED.iter().any(|mixed| dir == Path::new(mixed));
        let is_shared_config = self.home.is_some_and(|home| {
            [".config", ".local", ".local/share", ".cache"]
                .iter()
                .any(|it| dir == home.join(it))
        });
        // A directory just below the root, such as /opt or /data, has more than one owner.
        let is_deep = dir.components().count() > 2;
        is_deep
            && is_grantable(dir, self.home)
            && !is_mixed
            && !is_shared_config
            && !self.system.iter().any(|root| root.starts_with(dir))
            && !has_secret(dir)
    }
}

/// Whether an entry of `dir` holds secrets.
fn has_secret(dir: &Path) -> bool {
    let Ok(entries) = fs::read_dir(dir) else {
        return true;
    };
    entries
        .flatten()
        .take(MAX_ENTRIES)
        .any(|entry| is_secret(&entry.path()))
}

fn is_below(path: &Path, roots: &BTreeSet<PathBuf>) -> bool {
    roots.iter().any(|root| path.starts_with(root))
}

/// Returns the paths that lie below no other of them.
pub(crate) fn outermost(paths: BTreeSet<PathBuf>) -> BTreeSet<PathBuf> {
    let mut kept: Vec<PathBuf> = Vec::new();
    // A directory sorts before what is below it.
    for path in paths {
        if !kept.iter().any(|root| path.starts_with(root)) {
            kept.push(path);
        }
    }
    kept.into_iter().collect()
}

/// Returns the deepest directory that contains both paths.
pub(crate) fn shared_ancestor(one: &Path, other: &Path) -> PathBuf {
    let mut ancestors = one.ancestors();
    let shared = ancestors.find(|dir| other.starts_with(dir));
    shared.unwrap_or(Path::new("/")).to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn file(path: &Path, access: Access, outcome: Outcome) -> Observation {
        let subject = Subject::File {
            path: path.to_owned(),
            real: path.to_owned(),
            access,
        };
        Observation { subject, outcome }
    }

    fn tree(files: &[&str]) -> tempfile::TempDir {
        let dir = tempfile::tempdir().expect("/tmp is writable");
        for file in files {
            let path = dir.path().join(file);
            fs::create_dir_all(path.parent().expect("it has one")).expect("the folder is ours");
            fs::write(path, "").expect("the folder is ours");
        }
        dir
    }

    fn fold(dir: &Path, list: &[(&str, Access, Outcome)]) -> Roots {
        let project = dir.join("project");
        let folding = Folding {
            cwd: Some(&project),
            home: Some(&dir.join("home")),
            system: &[PathBuf::from("/usr")],
        };
        let list: Vec<_> = list
            .iter()
            .map(|(path, access, outcome)| file(&dir.join(path), *access, *outcome))
            .collect();
        folding.fold(&list)
    }

    fn paths(dir: &Path, list: &[&str]) -> BTreeSet<PathBuf> {
        list.iter().map(|path| dir.join(path)).collect()
    }

    #[test]
    fn files_of_the_project_are_one_root_and_few_others_are_listed() {
        let dir = tree(&["project/a", "project/b/c", "home/.toolrc", "home/.tool/1"]);
        let read = Access::Read;
        let ok = Outcome::Permitted;
        let roots = fold(
            dir.path(),
            &[
                ("project/a", read, ok),
                ("project/b/c", read, ok),
                ("home/.toolrc", read, ok),
                ("/usr/lib/x.so", read, ok),
                ("home/.missing", read, Outcome::Absent),
                ("/dev/null", read, Outcome::Private),
            ],
        );
        assert_eq!(roots.read, paths(dir.path(), &["project", "home/.toolrc"]));
        assert!(roots.write.is_empty());
    }

    #[test]
    fn many_files_make_their_directory_a_root_unless_it_holds_a_secret() {
        let files: Vec<String> = (0..5)
            .flat_map(|n| [format!("home/.tool/{n}"), format!("home/.other/x/{n}")])
            .collect();
        let files: Vec<&str> = files.iter().map(String::as_str).collect();
        let dir = tree(&[&files[..], &["home/.other/credentials.toml"]].concat());
        let list: Vec<_> = files
            .iter()
            .map(|path| (*path, Access::Read, Outcome::Permitted))
            .collect();
        let roots = fold(dir.path(), &list);
        assert_eq!(
            roots.read,
            paths(dir.path(), &["home/.tool", "home/.other/x"])
        );
    }

    #[test]
    fn secrets_are_listed_and_never_granted() {
        let dir = tree(&["home/.ssh/id_rsa", "project/.env", "project/a"]);
        let roots = fold(
            dir.path(),
            &[
                ("home/.ssh/id_rsa", Access::Read, Outcome::Permitted),
                ("project/.env", Access::Read, Outcome::Hidden),
            ],
        );
        assert_eq!(
            roots.secrets,
            paths(dir.path(), &["home/.ssh/id_rsa", "project/.env"])
        );
        assert!(roots.read.is_empty(), "{roots:?}");
    }

    #[test]
    fn what_is_created_needs_its_directory_and_what_was_refused_is_not_granted() {
        let dir = tree(&["project/target/x", "project/notes"]);
        let roots = fold(
            dir.path(),
            &[
                ("project/target/x", Access::Create, Outcome::Permitted),
                ("project/target/deep/y", Access::Create, Outcome::Permitted),
                ("project/notes", Access::Write, Outcome::Permitted),
                ("home/.cache/z", Access::Create, Outcome::Refused),
            ],
        );
        assert_eq!(
            roots.write,
            paths(dir.path(), &["project/target", "project/notes"])
        );
        assert_eq!(roots.unwritten, paths(dir.path(), &["home/.cache/z"]));
    }
}
