//! The files that a request names for standard streams: which root each lies below.
//!
//! The decision is about the path as it is written, so that a path outside the roots costs no
//! access to the file system, whether or not a file is there. The kernel resolves the rest of the
//! path below the root when the file is opened, and refuses one that leads out.

use std::fmt;
use std::path::{Path, PathBuf};

use crate::confinement::{FsRoot, FsRules};
use crate::grant::suggestion;
use crate::launch::{FileAccess, Identity, StreamFile, StreamFiles};
use crate::streams::{Stdin, Stdio, Streams};

/// A path outside the roots.
#[derive(Debug)]
pub(in crate::grant) struct Outside {
    path: PathBuf,
    access: FileAccess,
}

impl Outside {
    fn key(&self) -> &'static str {
        match self.access {
            FileAccess::Read => "read",
            FileAccess::Write(_) => "write",
        }
    }

    /// Returns the line of the grant that would allow it.
    pub(in crate::grant) fn would_allow(&self) -> Option<String> {
        let is_plain = !self.path.components().any(|it| it.as_os_str() == "..");
        let folder = self.path.parent().filter(|_| is_plain)?;
        suggestion::root(self.key(), folder)
    }
}

impl fmt::Display for Outside {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let path = suggestion::escaped_os(self.path.as_os_str());
        write!(f, "the file {path} is not below fs.{}", self.key())
    }
}

/// Returns the files of `streams`; relative paths are relative to `cwd`.
///
/// # Errors
///
/// A path that lies below no root that the child may read, or write.
pub(in crate::grant) fn decide(
    streams: &Streams,
    cwd: &Path,
    fs: &FsRules,
    identity: Identity,
) -> Result<StreamFiles, Outside> {
    let find = |path: &str, access| find(cwd.join(path), access, fs, identity);
    let output = |stdio: &Stdio| match stdio {
        Stdio::File { path, mode } => find(path, FileAccess::Write(*mode)).map(Some),
        _ => Ok(None),
    };
    let stdin = match &streams.stdin {
        Stdin::File(path) => Some(find(path, FileAccess::Read)?),
        _ => None,
    };
    Ok(StreamFiles {
        stdin,
        stdout: output(&streams.stdout)?,
        stderr: output(&streams.stderr)?,
    })
}

fn find(
    path: PathBuf,
    access: FileAccess,
    fs: &FsRules,
    identity: Identity,
) -> Result<StreamFile, Outside> {
    let roots = fs.read.iter().chain(&fs.write);
    let below = roots.filter_map(|root| Some((root, rest(&path, root)?)));
    // The innermost root: a child may only read a read root inside a write root.
    let innermost = below.min_by_key(|(_, rest)| rest.components().count());
    let writes = access != FileAccess::Read;
    match innermost {
        Some((root, rest)) if !writes || fs.write.contains(root) => Ok(StreamFile {
            root: root.clone(),
            below: rest.to_owned(),
            access,
            identity,
        }),
        _ => Err(Outside { path, access }),
    }
}

/// Returns what is left of `path` below `root`, as the grant writes the root or as it resolved.
fn rest<'p>(path: &'p Path, root: &FsRoot) -> Option<&'p Path> {
    let rest = path.strip_prefix(&root.written);
    rest.or_else(|_| path.strip_prefix(&root.real)).ok()
}
