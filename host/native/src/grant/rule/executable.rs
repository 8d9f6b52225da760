//! The file behind a command: opened when the grant is loaded, compared before each start.

use std::fs::{self, File};
use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use rustix::fs::{MemfdFlags, Mode, OFlags, memfd_create, open};
use sha2::{Digest, Sha256};

use super::shebang;
use crate::confinement::{Confinement, FsRoot, open_resolved};
use crate::error::SpawnError;
use crate::grant::check::replaceable::{Children, replaceable};
use crate::grant::paths::is_under;
use crate::launch::{Program, Stamp};

/// The files to execute, and the arguments that come before the command's own.
#[derive(Debug, Clone)]
pub(in crate::grant) struct Executable {
    /// The file that the grant names: a binary or a script.
    file: OpenFile,
    /// The SHA-256 that the file must have.
    pin: Option<[u8; 32]>,
    script: Option<Script>,
    /// The file is missing, and an empty one stands in for it.
    stands_in: bool,
    policy: Arc<ProgramPolicy>,
}

/// What the loader of a grant does about a program that does not exist.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::grant) enum MissingProgram {
    /// It is a mistake in the grant.
    Refuse,
    /// An empty file stands in for it, which no system executes.
    StandIn,
}

/// How a script is run.
#[derive(Debug, Clone)]
pub(in crate::grant) struct Script {
    pub(in crate::grant) interpreter: OpenFile,
    /// The arguments of the `#!` line, which come before the script's path.
    pub(in crate::grant) arguments: Vec<String>,
    /// The path of the script that its interpreter receives.
    pub(in crate::grant) path: String,
}

/// What a program is checked against, at load and whenever it is opened again.
#[derive(Debug)]
pub(in crate::grant) struct ProgramPolicy {
    /// The search path of a `#!` line's `env`.
    pub(in crate::grant) search: String,
    /// The children that must not be able to replace the program.
    pub(in crate::grant) children: Children,
    pub(in crate::grant) missing: MissingProgram,
}

/// An open executable file, and its stamp from when it was opened.
#[derive(Debug, Clone)]
pub(in crate::grant) struct OpenFile {
    program: Arc<Program>,
    stamp: Stamp,
}

impl Executable {
    /// Opens a program, compares it with its pin, and follows its `#!` line.
    ///
    /// # Errors
    ///
    /// Why the file cannot be used, as a sentence fragment.
    pub(in crate::grant) fn open(
        path: &Path,
        pin: Option<[u8; 32]>,
        policy: &Arc<ProgramPolicy>,
    ) -> Result<Self, String> {
        if policy.missing == MissingProgram::StandIn && !path.exists() {
            return Ok(Self {
                file: OpenFile::stand_in(path)?,
                pin,
                script: None,
                stands_in: true,
                policy: policy.clone(),
            });
        }
        let file = OpenFile::open(path)?;
        if let Some(pin) = pin {
            file.check(pin)?;
        }
        let mut script = None;
        if let Some(line) = shebang::read(path, &policy.search)? {
            let held = OpenFile::open(&line.interpreter)?;
            if shebang::read(&line.interpreter, &policy.search)?.is_some() {
                let path = line.interpreter.display();
                return Err(format!(
                    "{path} is the interpreter of a script and is itself a script"
                ));
            }
            script = Some(Script {
                interpreter: held,
                arguments: line.arguments,
                path: path.to_string_lossy().into_owned(),
            });
        }
        let opened = Self {
            file,
            pin,
            script,
            stands_in: false,
            policy: policy.clone(),
        };
        for path in opened.paths() {
            if let Some(reason) = replaceable(path, &policy.children) {
                return Err(reason);
            }
        }
        Ok(opened)
    }

    /// Returns a program that a guest has named under a rule for any program: it has no
    /// pin, and a child may be able to replace it.
    pub(in crate::grant) fn found(
        file: OpenFile,
        script: Option<Script>,
        policy: &Arc<ProgramPolicy>,
    ) -> Self {
        Self {
            file,
            pin: None,
            script,
            stands_in: false,
            policy: policy.clone(),
        }
    }

    /// Returns what to execute: the files as they were opened, or the files that their
    /// paths name now if those pass the same checks.
    ///
    /// # Errors
    ///
    /// [`SpawnError::NoEntry`] if the path no longer names a file, otherwise
    /// [`SpawnError::NotExecutable`].
    pub(in crate::grant) fn current(&self) -> Result<Self, SpawnError> {
        if self.stands_in && !self.path().exists() {
            return Ok(self.clone());
        }
        // An open binary stays the same file whatever happens to its name. A pinned program,
        // and a script, which is read by its name, must not have been written either.
        let exact = self.pin.is_some() || self.script.is_some();
        let script = self.script.as_ref();
        if self.file.is_current(exact)
            && script.is_none_or(|script| script.interpreter.is_current(false))
        {
            return Ok(self.clone());
        }
        Self::open(self.path(), self.pin, &self.policy).map_err(|_| {
            match self.path().try_exists() {
                Ok(false) => SpawnError::NoEntry,
                _ => SpawnError::NotExecutable,
            }
        })
    }

    /// Returns the file that is executed.
    pub(in crate::grant) fn program(&self) -> &Arc<Program> {
        match &self.script {
            Some(script) => &script.interpreter.program,
            None => &self.file.program,
        }
    }

    /// Returns the script that the program interprets; none if the program is a binary.
    pub(in crate::grant) fn script(&self) -> Option<&Arc<Program>> {
        self.script.as_ref().map(|_| &self.file.program)
    }

    /// Returns the arguments between `argv[0]` and the command's own: for a script, the
    /// arguments of its `#!` line and its path.
    pub(in crate::grant) fn leading(&self) -> impl Iterator<Item = String> {
        let script = self.script.as_ref().map(|script| {
            let path = script.path.clone();
            script.arguments.iter().cloned().chain([path])
        });
        script.into_iter().flatten()
    }

    /// Returns the SHA-256 that the file must have, if the grant names one.
    pub(in crate::grant) fn pin(&self) -> Option<[u8; 32]> {
        self.pin
    }

    /// Returns the path that the grant names.
    pub(in crate::grant) fn path(&self) -> &Path {
        &self.file.program.path
    }

    /// Returns the paths of every file that is executed or interpreted.
    pub(in crate::grant) fn paths(&self) -> impl Iterator<Item = &PathBuf> {
        let script = self.script.as_ref();
        let interpreter = script.map(|script| &script.interpreter.program.path);
        std::iter::once(&self.file.program.path).chain(interpreter)
    }

    /// Returns `confinement` with every file that is executed or interpreted readable.
    pub(in crate::grant) fn readable_in(&self, mut confinement: Confinement) -> Confinement {
        let fs = &mut confinement.fs;
        for root in self.paths().filter_map(|path| FsRoot::resolve(path).ok()) {
            // What the path led to when the grant was loaded would cover it.
            fs.read
                .retain(|it| it.written != root.written || it.real == root.real);
            if !is_under(&root.real, fs.read.iter().chain(&fs.write)) {
                fs.read.push(root);
            }
        }
        confinement
    }

    /// Returns whether both are the same files.
    pub(in crate::grant) fn is_same(&self, other: &Self) -> bool {
        let same = |a: &OpenFile, b: &OpenFile| a.stamp.is_same_file(&b.stamp);
        same(&self.file, &other.file)
            && match (&self.script, &other.script) {
                (Some(a), Some(b)) => {
                    same(&a.interpreter, &b.interpreter) && a.arguments == b.arguments
                }
                (None, None) => true,
                _ => false,
            }
    }
}

impl OpenFile {
    fn open(path: &Path) -> Result<Self, String> {
        let say = |error: io::Error| format!("{}: {error}", path.display());
        let flags = OFlags::PATH | OFlags::CLOEXEC;
        let file = File::from(open(path, flags, Mode::empty()).map_err(|errno| say(errno.into()))?);
        Self::new(path, file)
    }

    /// Returns an empty file of no name, for the missing one at `path`.
    fn stand_in(path: &Path) -> Result<Self, String> {
        let file = memfd_create("capspawn-stand-in", MemfdFlags::CLOEXEC);
        let file = file.map_err(|errno| format!("{}: {errno}", path.display()))?;
        Self::new(path, file.into())
    }

    /// Takes a file that is already open (`O_PATH`).
    pub(in crate::grant) fn new(path: &Path, file: File) -> Result<Self, String> {
        let say = |error: io::Error| format!("{}: {error}", path.display());
        let metadata = file.metadata().map_err(say)?;
        if !metadata.is_file() {
            return Err(format!("{} is not a regular file", path.display()));
        }
        if metadata.mode() & 0o111 == 0 {
            return Err(format!("{} is not executable", path.display()));
        }
        let stamp = Stamp::of(&metadata);
        let program = Arc::new(Program {
            path: path.to_owned(),
            file,
        });
        Ok(Self { program, stamp })
    }

    /// Opens the same file for reading. Its path must be a resolved one, and still name
    /// the file.
    pub(in crate::grant) fn reopen(&self) -> io::Result<File> {
        // The path may name a pipe by now; NONBLOCK keeps the open from waiting.
        let flags =
            OFlags::RDONLY | OFlags::NONBLOCK | OFlags::NOCTTY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let file = File::from(open_resolved(&self.program.path, flags)?);
        if !Stamp::of(&file.metadata()?).is_same_file(&self.stamp) {
            return Err(io::ErrorKind::NotFound.into());
        }
        Ok(file)
    }

    fn is_current(&self, exact: bool) -> bool {
        fs::metadata(&self.program.path).is_ok_and(|now| {
            let now = Stamp::of(&now);
            if exact {
                now == self.stamp
            } else {
                now.is_same_file(&self.stamp)
            }
        })
    }

    /// Compares the file's SHA-256 with `pin`.
    fn check(&self, pin: [u8; 32]) -> Result<(), String> {
        let path = self.program.path.display();
        let say = |error: io::Error| format!("{path} cannot be read to check its sha256: {error}");
        // An O_PATH descriptor cannot be read; the stamp shows that this is the same file.
        let mut file = File::open(&self.program.path).map_err(say)?;
        let mut hash = Sha256::new();
        io::copy(&mut file, &mut hash).map_err(say)?;
        if Stamp::of(&file.metadata().map_err(say)?) != self.stamp {
            return Err(format!("{path} changed while it was read"));
        }
        let found = hash.finalize();
        if found.as_slice() == pin {
            return Ok(());
        }
        Err(format!("{path} has another sha256: {found:x}"))
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;
    use crate::confinement::Sandbox;
    use crate::launch::Identity;

    fn open(path: &Path, pin: Option<[u8; 32]>) -> Result<Executable, String> {
        let policy = ProgramPolicy {
            search: "/usr/bin:/bin".into(),
            children: Children {
                write: Arc::new([]),
                sandbox: Sandbox::Required,
                identity: Identity::default(),
            },
            missing: MissingProgram::Refuse,
        };
        Executable::open(path, pin, &Arc::new(policy))
    }

    fn write(path: &Path, text: &str) {
        fs::write(path, text).expect("the folder is ours");
        fs::set_permissions(path, fs::Permissions::from_mode(0o755)).expect("the file is ours");
    }

    /// Renames a new file over an existing one, as a package manager does.
    fn replace(path: &Path, text: &str) {
        let new = path.with_extension("new");
        write(&new, text);
        fs::rename(new, path).expect("the folder is ours");
    }

    fn hash(text: &str) -> [u8; 32] {
        Sha256::digest(text).into()
    }

    #[test]
    fn only_executable_regular_files_are_programs() {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let path = folder.path().join("p");
        open(&path, None).expect_err("it is missing");
        fs::write(&path, "x").expect("the folder is ours");
        open(&path, None).expect_err("it is not executable");
        open(folder.path(), None).expect_err("it is a folder");
        write(&path, "x");
        open(&path, None).expect("it is a program");
    }

    #[test]
    fn a_replaced_program_is_opened_again() {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let path = folder.path().join("p");
        write(&path, "one");
        let opened = open(&path, None).expect("it is a program");
        assert!(opened.current().expect("nothing changed").is_same(&opened));
        replace(&path, "two");
        let renewed = opened.current().expect("it is a program as well");
        assert!(!renewed.is_same(&opened));
        fs::remove_file(&path).expect("the folder is ours");
        assert!(matches!(opened.current(), Err(SpawnError::NoEntry)));
    }

    #[test]
    fn a_pin_detects_a_replaced_and_a_rewritten_program() {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let path = folder.path().join("p");
        write(&path, "one");
        open(&path, Some(hash("two"))).expect_err("another hash");
        let opened = open(&path, Some(hash("one"))).expect("its hash");
        replace(&path, "one");
        opened.current().expect("another file with the same bytes");
        write(&path, "two");
        assert!(matches!(opened.current(), Err(SpawnError::NotExecutable)));
        replace(&path, "two");
        assert!(matches!(opened.current(), Err(SpawnError::NotExecutable)));
    }

    #[test]
    fn a_script_is_run_by_its_interpreter() {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let path = folder.path().join("p");
        write(&path, "#!/bin/sh -e\n");
        let opened = open(&path, None).expect("it is a script");
        assert_eq!(opened.program().path, Path::new("/bin/sh"));
        let leading: Vec<_> = opened.leading().collect();
        assert_eq!(leading, ["-e", path.to_str().expect("it is UTF-8")]);
        // A script that is written in place is read again.
        write(&path, "#!/bin/cat\n");
        let current = opened.current().expect("it is a script");
        assert_eq!(current.program().path, Path::new("/bin/cat"));
        let twice = folder.path().join("q");
        write(&twice, &format!("#!{}\n", path.display()));
        open(&twice, None).expect_err("its interpreter is a script");
    }
}
