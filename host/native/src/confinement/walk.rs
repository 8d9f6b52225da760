//! Resolving a path step by step, so that each place on it is known.

use std::collections::VecDeque;
use std::ffi::OsString;
use std::io;
use std::path::{Component, Path, PathBuf};

use rustix::io::Errno;

/// The number of symbolic links that Linux follows in one path.
const MAX_LINKS: usize = 40;

/// Resolves `path` from `cwd`, with every symbolic link followed. A file that does not exist
/// lies below the deepest directory that does. `may` sees every place before it is looked at,
/// and stops the walk by returning false; `on_link` sees every symbolic link.
///
/// # Errors
///
/// A place that `may` refuses, and a path that the system would not follow either: through a
/// file, up from a directory that does not exist, through too many links, or into a directory
/// that cannot be searched.
pub(crate) fn walk(
    cwd: &Path,
    path: &Path,
    mut may: impl FnMut(&Path) -> bool,
    mut on_link: impl FnMut(&Path),
) -> io::Result<PathBuf> {
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
            if missing {
                return Err(io::ErrorKind::NotADirectory.into());
            }
            real.pop();
            continue;
        }
        real.push(&name);
        if !may(&real) {
            return Err(io::ErrorKind::PermissionDenied.into());
        }
        if missing {
            continue;
        }
        match real.symlink_metadata() {
            Ok(found) if found.is_symlink() => {
                links += 1;
                if links > MAX_LINKS {
                    return Err(Errno::LOOP.into());
                }
                on_link(&real);
                let target = real.read_link()?;
                real.pop();
                if target.is_absolute() {
                    real = PathBuf::from("/");
                }
                push_front(&mut todo, &target);
            }
            Ok(found) if found.is_dir() || todo.is_empty() => {}
            Ok(_) => return Err(io::ErrorKind::NotADirectory.into()),
            Err(error) if error.kind() == io::ErrorKind::NotFound => missing = true,
            Err(error) => return Err(error),
        }
    }
    Ok(real)
}
