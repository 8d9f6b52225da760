//! What a child can reach, as its plan says it: what its observations are compared with.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use crate::confinement::{Confinement, FsRoot};
use crate::launch::Plan;
use crate::limits::Limits;

/// The devices that every child has.
const DEVICES: [&str; 10] = [
    "/dev/full",
    "/dev/null",
    "/dev/ptmx",
    "/dev/random",
    "/dev/tty",
    "/dev/urandom",
    "/dev/zero",
    "/dev/fd",
    "/dev/stdin",
    "/dev/stdout",
];
/// The files that every session has of its own.
const OWN_FILES: [&str; 2] = ["/etc/hosts", "/etc/hostname"];
/// The places that every session has of its own.
const OWN: [&str; 5] = ["/proc", "/tmp", "/dev/shm", "/dev/pts", "/dev/mqueue"];

/// What a child can reach.
#[derive(Debug)]
pub(crate) struct View {
    /// Whether it has a root of its own, in tier A: what is not granted is not there.
    pub(super) in_session: bool,
    /// The confinement.
    pub(super) confinement: Arc<Confinement>,
    /// The limits.
    pub(super) limits: Limits,
    /// Its temporary directory, outside a session.
    tmp: Option<PathBuf>,
    /// The program, which it can open wherever that lies.
    program: PathBuf,
}

impl View {
    /// Returns the view of a child that is started as `plan` says, in a session or with the temporary directory `tmp`.
    pub(crate) fn of(plan: &Plan, in_session: bool, tmp: Option<&Path>) -> Self {
        let program = &plan.program.path;
        Self {
            in_session,
            confinement: Arc::clone(&plan.confinement),
            limits: plan.limits.clone(),
            tmp: tmp.map(Path::to_owned),
            program: program.canonicalize().unwrap_or_else(|_| program.clone()),
        }
    }

    /// Whether a root shows `path`; for a change only a write root does.
    pub(super) fn has(&self, path: &Path, changes: bool) -> bool {
        let fs = &self.confinement.fs;
        let shows = |root: &FsRoot| path.starts_with(&root.real) || path.starts_with(&root.written);
        let own = |root: &FsRoot| shows(root) && !self.is_between(root, path);
        let is_tmp = self.tmp.as_ref().is_some_and(|tmp| path.starts_with(tmp));
        is_tmp
            || fs.write.iter().any(own)
            || !changes && (fs.read.iter().any(own) || path == self.program)
    }

    /// Whether `fs.deny` hides `path`.
    pub(super) fn hides(&self, path: &Path) -> bool {
        let mut denied = self.confinement.fs.deny.iter();
        denied.any(|root| path.starts_with(&root.real) || path.starts_with(&root.written))
    }

    /// Whether `path` leads to a root: a session has such directories, and links, itself.
    pub(super) fn leads_to_root(&self, path: &Path) -> bool {
        let fs = &self.confinement.fs;
        let mut roots = fs.read.iter().chain(&fs.write);
        path == Path::new("/")
            || OWN.iter().any(|own| Path::new(own).starts_with(path))
            || roots.any(|root| root.written.starts_with(path) || root.real.starts_with(path))
    }

    /// Whether `path` is not the host's, but the child's own.
    pub(super) fn is_own(&self, path: &Path) -> bool {
        if DEVICES.iter().any(|device| path.starts_with(device)) || path == Path::new("/dev/stderr")
        {
            return true;
        }
        let is_own_file = || OWN_FILES.iter().any(|file| path == Path::new(file));
        self.in_session && (OWN.iter().any(|own| path.starts_with(own)) || is_own_file())
    }

    /// Whether what a session has of its own lies between the root and the path.
    fn is_between(&self, root: &FsRoot, path: &Path) -> bool {
        let hides = |own: &&str| {
            let own = Path::new(own);
            path.starts_with(own) && own.starts_with(&root.real) && own != root.real
        };
        self.in_session && OWN.iter().any(hides)
    }
}
