//! Programs that the guest names itself: `name = "*"` with `program = "*"`.
//!
//! What the guest names is a path inside the child's file system, which is the
//! host's tree as far as the rule's `fs.read` and `fs.write` reach. A program is
//! there if every place on the way to it is; of all else the guest learns nothing,
//! not even whether it exists, as nothing outside is looked at.
//!
//! Two rules of listed commands do not apply here: that an interpreter with a
//! wildcard is written out, and that no program lies where a child may write. A
//! guest that may start anything may start an interpreter, and what it wrote. The
//! sandbox is the boundary, and such a rule loads with a required one only. A
//! command of the same component that asks or refuses holds for its own name, and
//! not for the path of its program.

use std::collections::BTreeSet;
use std::fs::File;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use rustix::fs::OFlags;
use rustix::io::Errno;

use super::executable::{Executable, Held, Script, Terms};
use super::settings::Settings;
use super::shebang;
use crate::error::{Denial, DeniedItem, SpawnError};
use crate::grant::paths::{self, Root, is_under};
use crate::grant::suggestion;
use crate::launch::{LaunchError, Stage};

/// Longer paths are none for Linux.
const MAX_PATH: usize = 4095;

/// The child's file system, as far as programs are looked up in it.
#[derive(Debug)]
pub(in crate::grant) struct View {
    /// Where children of this rule may execute.
    roots: Vec<Root>,
    /// What is cut out of the roots.
    deny: Vec<Root>,
    /// The folders and links that lead to the roots.
    ways: BTreeSet<PathBuf>,
    /// The grant's `PATH`: the guest's own has no say.
    terms: Arc<Terms>,
}

/// What a guest's name leads to.
#[derive(Debug)]
pub(in crate::grant) struct Found {
    pub(in crate::grant) executable: Executable,
    /// `argv[0]`: the program as the guest wrote it, or a script's interpreter as
    /// the script does, which is what the kernel puts there.
    pub(in crate::grant) arg0: String,
}

/// Why a path leads to no program.
#[derive(Debug)]
enum Failure {
    /// It leaves the child's file system.
    Outside,
    /// There is nothing.
    Missing,
    /// What is there cannot be executed.
    Useless,
    /// The host could not look.
    HostShort(Errno),
}

impl View {
    /// Returns the file system of children with these settings.
    pub(in crate::grant) fn new(settings: &Settings, search: &str) -> Self {
        let roots = [settings.read.as_slice(), &settings.write].concat();
        let mut ways = BTreeSet::new();
        for root in &roots {
            // A root that cannot be followed any more is one that nothing leads to.
            let trail = paths::trail(&root.written).unwrap_or_default();
            for place in trail.iter().chain([&root.real]) {
                ways.extend(place.ancestors().map(Path::to_owned));
            }
        }
        let terms = Terms {
            search: search.to_owned(),
            write: Arc::new([]),
            sandbox: settings.sandbox,
        };
        Self {
            roots,
            deny: settings.deny.clone(),
            ways,
            terms: Arc::new(terms),
        }
    }

    /// Returns the folders of `PATH` in which no name is looked up.
    pub(in crate::grant) fn skipped(&self) -> impl Iterator<Item = &str> {
        let folders = self.terms.search.split(':');
        folders.filter(|folder| !self.has_folder(folder))
    }

    /// Opens the program that a guest names: by an absolute path, or by a bare name
    /// that is looked up in the grant's `PATH`.
    ///
    /// # Errors
    ///
    /// - [`SpawnError::Denied`]: it, or its interpreter, leads out of the child's
    ///   file system, or is a relative path.
    /// - [`SpawnError::NoEntry`]: there is no such file in the child's file system.
    /// - [`SpawnError::NotExecutable`]: it is no regular file, not executable, or a
    ///   script of which no interpreter follows.
    pub(in crate::grant) fn find(&self, name: &str) -> Result<Found, SpawnError> {
        let is_bare = !name.contains('/');
        if !is_bare && !name.starts_with('/') {
            let reason = format!(
                "{} is neither an absolute path nor a bare name",
                suggestion::shown(name)
            );
            return Err(denial(reason, None));
        }
        let found = match is_bare {
            true => self.search(name),
            false => self.open(name).map(|file| (name.to_owned(), file)),
        };
        let (path, file) = found.map_err(|failure| self.refusal(failure, name))?;
        let Some((script, arg0)) = self.interpreter(&path, &file)? else {
            return Ok(Found {
                executable: Executable::found(file, None, &self.terms),
                arg0: name.to_owned(),
            });
        };
        Ok(Found {
            executable: Executable::found(file, Some(script), &self.terms),
            arg0,
        })
    }

    /// Follows the `#!` line of a file, if it has one.
    fn interpreter(&self, path: &str, file: &Held) -> Result<Option<(Script, String)>, SpawnError> {
        let find = |name: &str| self.search(name).ok().map(|(path, _)| path.into());
        // The inner error is what no script is; the outer one is not the file's fault.
        let shebang = |file: &Held| match file.reopen() {
            Ok(head) => Ok(shebang::read_from(Path::new(path), head, find)),
            // What may be executed and not read is no script.
            Err(error) if error.kind() == io::ErrorKind::PermissionDenied => Ok(Ok(None)),
            Err(error) => match Errno::from_io_error(&error) {
                Some(errno) if paths::is_host_short(errno) => Err(Failure::HostShort(errno)),
                _ => Err(Failure::Useless),
            },
        };
        let refused = |failure| self.refusal(failure, path);
        let Some(line) = shebang(file)
            .map_err(refused)?
            .map_err(|_| SpawnError::NotExecutable)?
        else {
            return Ok(None);
        };
        let named = line.interpreter.to_string_lossy().into_owned();
        let interpreter = self
            .open(&named)
            .map_err(|failure| self.refusal(failure, &named))?;
        // The kernel would go on; a listed program does not either.
        match shebang(&interpreter).map_err(refused)? {
            Ok(None) => {}
            _ => return Err(SpawnError::NotExecutable),
        }
        let script = Script {
            interpreter,
            argument: line.argument,
            path: path.to_owned(),
        };
        Ok(Some((script, named)))
    }

    /// Looks a bare name up, as `execvp(3)` does: what cannot be executed is passed
    /// over, and told if there is nothing else.
    fn search(&self, name: &str) -> Result<(String, Held), Failure> {
        let mut worst = Failure::Missing;
        let search = self.terms.search.split(':');
        for folder in search.filter(|folder| self.has_folder(folder)) {
            let path = format!("{}/{name}", folder.trim_end_matches('/'));
            match self.open(&path) {
                Ok(file) => return Ok((path, file)),
                Err(Failure::Missing) => {}
                // A later folder's program would be another one.
                Err(failure @ Failure::HostShort(_)) => return Err(failure),
                Err(failure) => worst = failure,
            }
        }
        Err(worst)
    }

    fn has_folder(&self, folder: &str) -> bool {
        folder.starts_with('/') && self.resolve(folder).is_ok()
    }

    /// Opens the file at an absolute path, if it can be executed.
    fn open(&self, path: &str) -> Result<Held, Failure> {
        let real = self.resolve(path)?;
        let flags = OFlags::PATH | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        match paths::open_resolved(&real, flags) {
            // To the kernel these name a folder, whatever is there.
            Ok(_) if path.ends_with('/') || path.ends_with("/.") => Err(Failure::Useless),
            Ok(file) => Held::new(&real, File::from(file)).map_err(|_| Failure::Useless),
            Err(Errno::NOENT | Errno::NOTDIR) => Err(Failure::Missing),
            Err(errno) if paths::is_host_short(errno) => Err(Failure::HostShort(errno)),
            Err(_) => Err(Failure::Useless),
        }
    }

    /// Returns where a path leads inside the child's file system. Each place is
    /// looked at only once it is known to be one that the child sees.
    fn resolve(&self, path: &str) -> Result<PathBuf, Failure> {
        if path.len() > MAX_PATH {
            return Err(Failure::Outside);
        }
        let mut left = false;
        let real = paths::resolve_within(Path::new(path), |place| {
            let is_inside = is_under(place, &self.roots) || self.ways.contains(place);
            left = !is_inside || is_under(place, &self.deny);
            !left
        });
        match real {
            _ if left => Err(Failure::Outside),
            Ok(real) if is_under(&real, &self.roots) => Ok(real),
            Ok(_) => Err(Failure::Outside),
            Err(error) => match error.kind() {
                io::ErrorKind::NotFound | io::ErrorKind::NotADirectory => Err(Failure::Missing),
                _ => Err(Failure::Useless),
            },
        }
    }

    fn refusal(&self, failure: Failure, name: &str) -> SpawnError {
        match failure {
            Failure::Missing => SpawnError::NoEntry,
            Failure::Useless => SpawnError::NotExecutable,
            Failure::HostShort(errno) => LaunchError::new(Stage::OpenProgram, errno.into()).into(),
            Failure::Outside => {
                let reason = format!(
                    "{} leads outside fs.read and fs.write",
                    suggestion::shown(name)
                );
                // Where a link leads, or a hole is, the path itself is no remedy.
                let path = Path::new(name);
                let is_plain = path.is_absolute()
                    && !name.contains("..")
                    && !is_under(path, self.roots.iter().chain(&self.deny));
                denial(reason, is_plain.then_some(path))
            }
        }
    }
}

fn denial(reason: String, readable: Option<&Path>) -> SpawnError {
    Denial {
        nearest: Some("*".to_owned()),
        would_allow: readable.and_then(suggestion::readable),
        ..Denial::new(DeniedItem::Program, reason)
    }
    .into()
}

#[cfg(test)]
mod tests;
