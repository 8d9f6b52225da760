//! Programs that the guest names itself: `name = "*"` with `program = "*"`.
//!
//! The guest names a path in the child's file system: the part of the host's tree that the
//! rule's `fs.read` and `fs.write` cover. Every directory and link on the path must lie in
//! that part. Nothing outside of it is looked at, so the guest cannot learn whether a file
//! outside exists.
//!
//! Two checks of listed commands do not apply: that an interpreter with a wildcard needs
//! `interpreter = true`, and that no child can replace the program. A guest that may start
//! anything may start an interpreter, and may start what it has written. The boundary is
//! the sandbox, so such a rule must have `sandbox = "required"`. A command of the same
//! component with `ask` or `deny` applies to its own name, not to the path of its program.

use std::collections::BTreeSet;
use std::fs::File;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use rustix::fs::OFlags;
use rustix::io::Errno;

use super::executable::{Executable, MissingProgram, OpenFile, ProgramPolicy, Script};
use super::settings::Settings;
use super::shebang;
use crate::confinement::{FsRoot, open_resolved};
use crate::error::{Denial, DeniedItem, SpawnError};
use crate::grant::check::replaceable::Children;
use crate::grant::lookups::Lookups;
use crate::grant::paths::{self, is_under};
use crate::grant::suggestion;
use crate::launch::{Identity, LaunchError, Stage};

/// The longest path that Linux accepts, in bytes: `PATH_MAX` without the final NUL.
const MAX_PATH: usize = 4095;

/// The part of the child's file system in which programs are looked up.
#[derive(Debug)]
pub(in crate::grant) struct ChildFs {
    /// Where children of this rule may execute programs.
    roots: Vec<FsRoot>,
    /// What is excluded from the roots.
    deny: Vec<FsRoot>,
    /// The directories and links on the paths to the roots.
    ways: BTreeSet<PathBuf>,
    /// Has the grant's `PATH`. The guest's own `PATH` is not used for the lookup.
    policy: Arc<ProgramPolicy>,
}

/// The program that a guest's name refers to.
#[derive(Debug)]
pub(in crate::grant) struct Found {
    pub(in crate::grant) executable: Executable,
    /// `argv[0]`: the program as the guest wrote it. For a script it is the interpreter as
    /// the script writes it, as the kernel does.
    pub(in crate::grant) arg0: String,
}

/// Why a path does not name a program.
#[derive(Debug)]
enum Failure {
    /// The path leaves the child's file system.
    Outside,
    /// The file does not exist.
    Missing,
    /// The file cannot be executed.
    NotExecutable,
    /// The host lacks descriptors or memory for the lookup.
    HostExhausted(Errno),
}

impl ChildFs {
    /// Returns the file system of children with these settings, who run as `identity`.
    pub(in crate::grant) fn new(settings: &Settings, search: &str, identity: Identity) -> Self {
        let roots = [settings.read.as_slice(), &settings.write].concat();
        let ways = paths::ways(&roots);
        let policy = ProgramPolicy {
            search: search.to_owned(),
            children: Children {
                write: Arc::new([]),
                sandbox: settings.sandbox,
                identity,
            },
            // What a guest names must exist: a stand-in for every name would be found for any.
            missing: MissingProgram::Refuse,
        };
        Self {
            roots,
            deny: settings.deny.clone(),
            ways,
            policy: Arc::new(policy),
        }
    }

    /// Returns the folders of `PATH` that are not searched because children do not see them.
    pub(in crate::grant) fn skipped(&self) -> impl Iterator<Item = &str> {
        let lookups = Lookups::new();
        let folders = self.policy.search.split(':');
        folders.filter(move |folder| !self.has_folder(folder, &lookups))
    }

    /// Opens the program that a guest names by an absolute path, or by a bare name that is
    /// looked up in the grant's `PATH`. Similar to `execvp`.
    ///
    /// # Errors
    ///
    /// - [`SpawnError::Denied`]: the path, or that of its interpreter, leads out of the
    ///   child's file system, or is relative.
    /// - [`SpawnError::NoEntry`]: there is no such file in the child's file system.
    /// - [`SpawnError::NotExecutable`]: the file is not regular, not executable, or a
    ///   script whose `#!` line names no usable interpreter.
    pub(in crate::grant) fn find(
        &self,
        name: &str,
        lookups: &Lookups,
    ) -> Result<Found, SpawnError> {
        let is_bare = !name.contains('/');
        if !is_bare && !name.starts_with('/') {
            let reason = format!(
                "{} is neither an absolute path nor a bare name",
                suggestion::escaped(name)
            );
            return Err(denial(reason, None));
        }
        let found = match is_bare {
            true => self.search(name, lookups),
            false => self.open(name, lookups).map(|file| (name.to_owned(), file)),
        };
        let (path, file) = found.map_err(|failure| self.refusal(failure, name))?;
        let Some((script, arg0)) = self.interpreter(&path, &file, lookups)? else {
            return Ok(Found {
                executable: Executable::found(file, None, &self.policy),
                arg0: name.to_owned(),
            });
        };
        Ok(Found {
            executable: Executable::found(file, Some(script), &self.policy),
            arg0,
        })
    }

    /// Returns how a script is run, and its `argv[0]`; none if the file is not a script.
    fn interpreter(
        &self,
        path: &str,
        file: &OpenFile,
        lookups: &Lookups,
    ) -> Result<Option<(Script, String)>, SpawnError> {
        let find = |name: &str| self.search(name, lookups).ok().map(|(path, _)| path.into());
        // The inner error is a bad `#!` line; the outer one is a failure to read the file.
        let shebang = |file: &OpenFile| match file.reopen() {
            Ok(head) => Ok(shebang::read_from(Path::new(path), head, find)),
            // A file that may be executed but not read cannot be a script.
            Err(error) if error.kind() == io::ErrorKind::PermissionDenied => Ok(Ok(None)),
            Err(error) => match Errno::from_io_error(&error) {
                Some(errno) if paths::is_host_exhausted(errno) => {
                    Err(Failure::HostExhausted(errno))
                }
                _ => Err(Failure::NotExecutable),
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
            .open(&named, lookups)
            .map_err(|failure| self.refusal(failure, &named))?;
        // The kernel would accept a script as interpreter. Listed commands do not, nor does this.
        match shebang(&interpreter).map_err(refused)? {
            Ok(None) => {}
            _ => return Err(SpawnError::NotExecutable),
        }
        let script = Script {
            interpreter,
            arguments: line.arguments,
            path: path.to_owned(),
        };
        Ok(Some((script, named)))
    }

    /// Looks up a bare name, as `execvp(3)` does: a file that cannot be executed is skipped,
    /// and reported if no later folder has the name.
    fn search(&self, name: &str, lookups: &Lookups) -> Result<(String, OpenFile), Failure> {
        let mut worst = Failure::Missing;
        let search = self.policy.search.split(':');
        for folder in search.filter(|folder| self.has_folder(folder, lookups)) {
            let path = format!("{}/{name}", folder.trim_end_matches('/'));
            match self.open(&path, lookups) {
                Ok(file) => return Ok((path, file)),
                Err(Failure::Missing) => {}
                // A later folder could have another program of this name.
                Err(failure @ Failure::HostExhausted(_)) => return Err(failure),
                Err(failure) => worst = failure,
            }
        }
        Err(worst)
    }

    fn has_folder(&self, folder: &str, lookups: &Lookups) -> bool {
        folder.starts_with('/') && self.resolve(folder, lookups).is_ok()
    }

    /// Opens the file at an absolute path, which must be executable.
    fn open(&self, path: &str, lookups: &Lookups) -> Result<OpenFile, Failure> {
        let real = self.resolve(path, lookups)?;
        let flags = OFlags::PATH | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        match open_resolved(&real, flags) {
            // To the kernel such a path always names a directory.
            Ok(_) if path.ends_with('/') || path.ends_with("/.") => Err(Failure::NotExecutable),
            Ok(file) => OpenFile::new(&real, File::from(file)).map_err(|_| Failure::NotExecutable),
            Err(Errno::NOENT | Errno::NOTDIR) => Err(Failure::Missing),
            Err(errno) if paths::is_host_exhausted(errno) => Err(Failure::HostExhausted(errno)),
            Err(_) => Err(Failure::NotExecutable),
        }
    }

    /// Resolves a path inside the child's file system. No place on it is looked at before it
    /// is known that the child sees the place.
    fn resolve(&self, path: &str, lookups: &Lookups) -> Result<PathBuf, Failure> {
        if path.len() > MAX_PATH {
            return Err(Failure::Outside);
        }
        let mut left = false;
        let real = lookups.resolve_within(Path::new(path), |place| {
            let is_inside = is_under(place, &self.roots) || self.ways.contains(place);
            left = !is_inside || lookups.is_denied(place, &self.deny);
            !left
        });
        match real {
            _ if left => Err(Failure::Outside),
            Ok(real) if is_under(&real, &self.roots) => Ok(real),
            Ok(_) => Err(Failure::Outside),
            Err(error) => match error.kind() {
                io::ErrorKind::NotFound | io::ErrorKind::NotADirectory => Err(Failure::Missing),
                _ => Err(Failure::NotExecutable),
            },
        }
    }

    fn refusal(&self, failure: Failure, name: &str) -> SpawnError {
        match failure {
            Failure::Missing => SpawnError::NoEntry,
            Failure::NotExecutable => SpawnError::NotExecutable,
            Failure::HostExhausted(errno) => {
                LaunchError::new(Stage::OpenProgram, errno.into()).into()
            }
            Failure::Outside => {
                let reason = format!(
                    "{} leads outside `fs.read` and `fs.write`",
                    suggestion::escaped(name)
                );
                // If a link leads outside, or `fs.deny` excludes the path, adding the path to
                // `fs.read` would not help.
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
