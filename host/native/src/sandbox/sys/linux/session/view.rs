//! The private root as a list of operations for the helper.
//!
//! The helper does what it is told and decides nothing: which roots there are,
//! in which order, and what has to be pinned for a hole, is worked out here.
//! Roots are shown at their real paths; then holes are made; then what was
//! written with symbolic links in its path is shown there too, holes included.

use std::ffi::CString;
use std::io;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

use capspawn_raw::wire::Operation;

use crate::confinement::{FsRoot, FsRules};

/// What every session has of its own, and shows in place of the host's: those would come
/// without the right to open a device.
const OWN_DEVICES: [&str; 6] = [
    "/dev",
    "/dev/full",
    "/dev/null",
    "/dev/random",
    "/dev/urandom",
    "/dev/zero",
];

/// The operations, as the helper reads them, and what each of them is.
#[derive(Debug, Default)]
pub(crate) struct View {
    pub(crate) bytes: Vec<u8>,
    /// Holes that may be missing, in roots that nobody in the session writes to.
    pub(crate) optional: Vec<PathBuf>,
    steps: Vec<(What, PathBuf)>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum What {
    Own,
    Root { writable: bool },
    Pin,
    Hole { writable: bool },
    Alias,
}

/// A granted path: as written, and as it really is.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Root {
    written: PathBuf,
    real: PathBuf,
    writable: bool,
}

impl View {
    /// Returns the operations for `rules`, with private file systems of `bytes`.
    pub(crate) fn new(rules: &FsRules, bytes: u64) -> io::Result<Self> {
        let roots = roots(rules)?;
        let mut view = Self::default();
        let shown: Vec<&Root> = roots
            .iter()
            .filter(|root| !is_covered(root, &roots))
            .filter(|root| !OWN_DEVICES.iter().any(|own| root.real == Path::new(own)))
            .collect();
        // By depth, so that nothing is mounted over what is below it; the session's own first.
        let own = [
            (Operation::Dev { bytes }, "/dev"),
            (Operation::Proc, "/proc"),
            (Operation::Tmp { bytes }, "/tmp"),
        ];
        let depth = |path: &Path| path.components().count();
        let deepest = shown.iter().map(|root| depth(&root.real)).max();
        for level in 0..=deepest.unwrap_or(0).max(2) {
            for (operation, path) in &own {
                if depth(Path::new(path)) == level {
                    view.push(What::Own, Path::new(path), operation);
                }
            }
            for root in shown.iter().filter(|root| depth(&root.real) == level) {
                let writable = root.writable;
                let path = c_string(&root.real)?;
                let bind = Operation::Bind {
                    path: &path,
                    writable,
                    required: writable,
                };
                view.push(What::Root { writable }, &root.real, &bind);
            }
        }
        view.holes(rules, &roots)?;
        view.aliases(&roots)?;
        Ok(view)
    }

    fn holes(&mut self, rules: &FsRules, roots: &[Root]) -> io::Result<()> {
        let mut holes: Vec<(PathBuf, bool)> = Vec::new();
        for denied in &rules.deny {
            for path in hidden(denied)? {
                let around: Vec<_> = roots
                    .iter()
                    .filter(|root| path.starts_with(&root.real))
                    .collect();
                let writable = around.iter().any(|root| root.writable);
                if writable && path.is_symlink() {
                    return Err(refused(
                        &path,
                        "is a symbolic link: deny what it leads to, or narrow the write root",
                    ));
                }
                if !around.is_empty() && !path.is_symlink() {
                    holes.push((path, writable));
                }
            }
        }
        holes.sort();
        // A hole within a hole is hidden already.
        let mut outer: Vec<(PathBuf, bool)> = Vec::new();
        for (path, writable) in holes {
            if !outer.iter().any(|(hole, _)| path.starts_with(hole)) {
                outer.push((path, writable));
            }
        }
        let mut pins: Vec<PathBuf> = Vec::new();
        for (path, _) in outer.iter().filter(|(_, writable)| *writable) {
            let directories = path.ancestors().skip(1);
            let below = |path: &Path| {
                let inside = |root: &&Root| root.writable && path.starts_with(&root.real);
                roots.iter().any(|root| inside(&root) && root.real != path)
                    && !roots.iter().any(|root| root.real == path)
            };
            pins.extend(
                directories
                    .filter(|path| below(path))
                    .map(Path::to_path_buf),
            );
        }
        pins.sort();
        pins.dedup();
        for pin in &pins {
            let path = c_string(pin)?;
            self.push(What::Pin, pin, &Operation::Pin { path: &path });
        }
        let optional = outer.iter().filter(|(_, writable)| !writable);
        self.optional = optional.map(|(hole, _)| hole.clone()).collect();
        for (hole, writable) in &outer {
            let path = c_string(hole)?;
            let operation = Operation::Hole {
                path: &path,
                required: *writable,
            };
            let what = What::Hole {
                writable: *writable,
            };
            self.push(what, hole, &operation);
        }
        Ok(())
    }

    fn aliases(&mut self, roots: &[Root]) -> io::Result<()> {
        let mut aliases: Vec<&Root> = roots
            .iter()
            .filter(|root| root.written != root.real)
            .collect();
        aliases.sort_by_key(|root| root.written.components().count());
        for root in aliases {
            let (path, at) = (c_string(&root.real)?, c_string(&root.written)?);
            let alias = Operation::Alias {
                path: &path,
                at: &at,
            };
            self.push(What::Alias, &root.written, &alias);
        }
        Ok(())
    }

    fn push(&mut self, what: What, path: &Path, operation: &Operation<'_>) {
        operation.write(|bytes| self.bytes.extend_from_slice(bytes));
        self.steps.push((what, path.to_path_buf()));
    }

    /// Returns the error of the operation number `index`, in words.
    pub(crate) fn error(&self, index: u32, errno: i32) -> io::Error {
        let source = io::Error::from_raw_os_error(errno);
        let step = usize::try_from(index)
            .ok()
            .and_then(|index| self.steps.get(index));
        let Some((what, path)) = step else {
            return source;
        };
        let missing = [libc::ENOENT, libc::ENOTDIR, libc::ELOOP].contains(&errno);
        let hint = match what {
            What::Hole { writable: true } | What::Pin if missing => {
                "a denied path in a writable root must exist and be no symbolic link: create it or narrow the write root"
            }
            What::Root { .. } if errno == libc::ELOOP => {
                "a symbolic link has taken its place since the grant was loaded"
            }
            What::Root { .. } if errno == libc::EACCES => {
                "the user that children run as cannot reach it"
            }
            What::Root { .. } => "the root cannot be shown",
            What::Own => "the session's own file system cannot be mounted",
            What::Pin | What::Hole { .. } => "the denied path cannot be hidden",
            What::Alias => "the root cannot be shown at the path that the grant names",
        };
        let text = format!("{}: {hint} ({source})", path.display());
        AtPath { text, source }.into()
    }
}

/// An error with the path that it is about. The error stays within: a host short of
/// descriptors is told apart by it.
#[derive(Debug, thiserror::Error)]
#[error("{text}")]
struct AtPath {
    text: String,
    source: io::Error,
}

impl From<AtPath> for io::Error {
    fn from(error: AtPath) -> Self {
        Self::new(error.source.kind(), error)
    }
}

/// The roots of `rules` that exist. A writable one must.
fn roots(rules: &FsRules) -> io::Result<Vec<Root>> {
    let mut roots = Vec::new();
    let read = rules.read.iter().map(|root| (root, false));
    let write = rules.write.iter().map(|root| (root, true));
    for (root, writable) in read.chain(write) {
        // A link that was put there since the grant was loaded leads elsewhere: the root is refused, not followed.
        match root.open() {
            Ok(_) => {}
            Err(error) if error.kind() == io::ErrorKind::NotFound && !writable => continue,
            Err(source) => {
                let text = format!("{}: {source}", root.real.display());
                return Err(AtPath { text, source }.into());
            }
        }
        roots.push(Root {
            written: root.written.clone(),
            real: root.real.clone(),
            writable,
        });
    }
    roots.sort_by(|a, b| (&a.real, b.writable).cmp(&(&b.real, a.writable)));
    Ok(roots)
}

/// Whether another root shows all of `root` with the same rights or more; of
/// equals the first is kept.
fn is_covered(root: &Root, roots: &[Root]) -> bool {
    let position = |wanted: &Root| roots.iter().position(|it| std::ptr::eq(it, wanted));
    roots.iter().any(|other| {
        let more = other.writable || !root.writable;
        let first = position(other) < position(root);
        let equal = other.real == root.real && other.writable == root.writable;
        more && root.real.starts_with(&other.real) && if equal { first } else { true }
    })
}

/// The paths that a denied path stands for: itself, and what it leads to.
fn hidden(denied: &FsRoot) -> io::Result<Vec<PathBuf>> {
    let mut paths = vec![existing(&denied.written)?, denied.real.clone()];
    paths.dedup();
    Ok(paths)
}

/// `path` with its directories resolved as far as they exist, its last component as it is.
fn existing(path: &Path) -> io::Result<PathBuf> {
    let (Some(parent), Some(name)) = (path.parent(), path.file_name()) else {
        return Ok(path.to_path_buf());
    };
    match parent.canonicalize() {
        Ok(parent) => Ok(parent.join(name)),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(existing(parent)?.join(name)),
        Err(error) => Err(error),
    }
}

fn refused(path: &Path, why: &str) -> io::Error {
    let text = format!("{} {why}", path.display());
    io::Error::new(io::ErrorKind::InvalidInput, text)
}

fn c_string(path: &Path) -> io::Result<CString> {
    CString::new(path.as_os_str().as_bytes()).map_err(|_| refused(path, "holds a NUL"))
}
