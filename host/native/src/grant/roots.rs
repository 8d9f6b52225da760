//! Paths of the file system: roots, and where a guest's path leads.

use std::collections::VecDeque;
use std::ffi::OsString;
use std::io;
use std::path::{Component, Path, PathBuf};

/// As many links as Linux follows in one path.
const MAX_LINKS: usize = 40;

/// A directory (or file) below which something is allowed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Root {
    /// Absolute, as the grant says it: what the child sees.
    pub(super) written: PathBuf,
    /// Where that leads: what paths are compared with.
    pub(super) real: PathBuf,
}

impl Root {
    /// Resolves what a grant says, relative to the folder of its file.
    pub(super) fn new(base: &Path, written: &str) -> io::Result<Self> {
        let written = base.join(written);
        let real = written.canonicalize()?;
        Ok(Self { written, real })
    }
}

/// Whether `path`, resolved, is a root or lies below one.
pub(super) fn is_under<'a>(path: &Path, roots: impl IntoIterator<Item = &'a Root>) -> bool {
    roots.into_iter().any(|root| path.starts_with(&root.real))
}

/// Returns where `path` leads from `cwd`, every link followed. What does not
/// exist yet lies below the deepest directory that does.
///
/// The answer may be stale the moment it is given: a grant's paths are admission,
/// and the sandbox is what holds.
///
/// # Errors
///
/// A path that the system would not follow either: through a file, up from what
/// does not exist, through too many links, or into a directory that is closed.
pub(super) fn resolve(cwd: &Path, path: &Path) -> io::Result<PathBuf> {
    let mut todo: VecDeque<OsString> = VecDeque::new();
    let mut real = PathBuf::from("/");
    let push_front = |todo: &mut VecDeque<OsString>, path: &Path| {
        for part in path.components().rev() {
            match part {
                Component::Normal(name) => todo.push_front(name.to_owned()),
                Component::ParentDir => todo.push_front("..".into()),
                _ => {}
            }
        }
    };
    push_front(&mut todo, &cwd.join(path));
    let mut links = 0;
    let mut missing = false;
    while let Some(name) = todo.pop_front() {
        if name == ".." {
            if missing || !real.symlink_metadata()?.is_dir() {
                return Err(io::ErrorKind::NotADirectory.into());
            }
            real.pop();
            continue;
        }
        real.push(&name);
        if missing {
            continue;
        }
        match real.symlink_metadata() {
            Ok(found) if found.is_symlink() => {
                links += 1;
                if links > MAX_LINKS {
                    return Err(rustix::io::Errno::LOOP.into());
                }
                let target = real.read_link()?;
                real.pop();
                if target.is_absolute() {
                    real = PathBuf::from("/");
                }
                push_front(&mut todo, &target);
            }
            Ok(_) => {}
            Err(error) if error.kind() == io::ErrorKind::NotFound => missing = true,
            Err(error) => return Err(error),
        }
    }
    Ok(real)
}
