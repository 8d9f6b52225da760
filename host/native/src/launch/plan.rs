//! A decided request, complete.

use std::ffi::OsString;
use std::fs::{self, File};
use std::io;
use std::os::fd::OwnedFd;
use std::path::PathBuf;
use std::sync::Arc;

use rustix::fs::{Mode, OFlags, open};

use super::error::{LaunchError, Stage};
use super::stamp::Stamp;
use super::stream_file::StreamFiles;
use crate::confinement::Confinement;
use crate::limits::{CaptureCaps, Limits};
use crate::streams::Streams;

/// A program, opened when its grant was loaded, or at the decision where the rule
/// allows any program.
#[derive(Debug)]
pub struct Program {
    /// Its absolute path, for messages.
    pub path: PathBuf,
    /// The open file (`O_PATH`). It is executed, whatever the path names by now.
    pub file: File,
}

impl Program {
    /// Opens the file at `path`, to be executed whatever `path` names later.
    ///
    /// # Errors
    ///
    /// What `open(2)` with `O_PATH` reports.
    pub fn open(path: impl Into<PathBuf>) -> io::Result<Self> {
        let path = path.into();
        let file = open(&path, OFlags::PATH | OFlags::CLOEXEC, Mode::empty())?;
        Ok(Self {
            path,
            file: file.into(),
        })
    }
}

/// A working directory, opened at the decision.
#[derive(Debug, Clone)]
pub struct WorkingDirectory {
    /// Its absolute path, for messages.
    pub path: PathBuf,
    /// The open directory. It is entered, whatever the path names by now.
    pub dir: Arc<OwnedFd>,
    /// Whether the grant or the guest names it. If neither does, a child that has a
    /// private `/tmp` starts there.
    pub named: bool,
}

impl WorkingDirectory {
    /// Opens the directory at `path`, to be entered whatever `path` names later.
    ///
    /// # Errors
    ///
    /// What `open(2)` with `O_PATH | O_DIRECTORY` reports.
    pub fn open(path: impl Into<PathBuf>) -> io::Result<Self> {
        let path = path.into();
        let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC;
        let dir = open(&path, flags, Mode::empty())?;
        Ok(Self {
            path,
            dir: Arc::new(dir),
            named: true,
        })
    }
}

/// What a guest asked for, as far as events, approvals and the child's record show it.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Request {
    /// The command's name. Under a rule for any program it is the program's path or
    /// name, and [`Plan::name`] is that rule's.
    pub program: String,
    /// The `argv[0]` that the guest sets; none if it leaves it to the grant.
    pub arg0: Option<String>,
    /// The arguments, without `argv[0]` and without what the grant adds. What is not UTF-8 is
    /// replaced by U+FFFD.
    pub args: Vec<String>,
    /// The arguments that are not UTF-8: the place in `args`, and the bytes.
    pub raw_args: Vec<(usize, Vec<u8>)>,
    /// The names of the variables that the guest sets. Their values are in
    /// [`Plan::env`] alone.
    pub env_names: Vec<String>,
}

/// A decided request: everything that a launcher needs, and nothing that it may
/// change.
#[derive(Debug, Clone)]
pub struct Plan {
    /// The name of the grant's rule that allows it.
    pub name: String,
    /// What the guest asked for.
    pub request: Request,
    /// The program to execute.
    pub program: Arc<Program>,
    /// The script that the program interprets, as it was opened. The interpreter
    /// opens it again by its path, which is in `argv`.
    pub script: Option<Arc<Program>>,
    /// The argument vector, `argv[0]` included.
    pub argv: Vec<OsString>,
    /// The environment. A launcher adds a `TMPDIR` where the child has no private `/tmp` and this
    /// names none.
    pub env: Vec<(String, OsString)>,
    /// Where the child starts.
    pub cwd: WorkingDirectory,
    /// Where the standard streams lead.
    pub streams: Streams,
    /// The files among them. The registry opens them before the launch.
    pub files: StreamFiles,
    /// The limits in force, the guest's own narrowing included.
    pub limits: Limits,
    /// How much output is kept.
    pub capture: CaptureCaps,
    /// What the child is confined to.
    pub confinement: Arc<Confinement>,
    /// Whether the guest may see the process id, the host's.
    pub disclose_pid: bool,
}

impl Plan {
    /// Returns the plan to start `program` in `cwd` as a grant decides by default:
    /// no arguments, an empty environment, null standard input, captured output,
    /// the default limits, the strictest confinement, no process id disclosed.
    /// For callers that have no grant, as tests of a launcher.
    pub fn new(name: &str, program: Program, cwd: WorkingDirectory) -> Self {
        Self {
            name: name.to_owned(),
            request: Request {
                program: name.to_owned(),
                ..Request::default()
            },
            argv: vec![name.into()],
            program: Arc::new(program),
            script: None,
            env: Vec::new(),
            cwd,
            streams: Streams::default(),
            files: StreamFiles::default(),
            limits: Limits::default(),
            capture: CaptureCaps::default(),
            confinement: Arc::default(),
            disclose_pid: false,
        }
    }
}

impl Plan {
    /// Checks that the path of the script still names the file that was decided on: the
    /// interpreter opens it by that path.
    ///
    /// # Errors
    ///
    /// The path names another file, or none.
    #[allow(dead_code, reason = "a launcher checks it, where there is one")]
    pub(crate) fn check_script(&self) -> Result<(), LaunchError> {
        let Some(script) = &self.script else {
            return Ok(());
        };
        let at = |source| LaunchError::new(Stage::OpenProgram, source);
        let decided = Stamp::of(&script.file.metadata().map_err(at)?);
        let now = Stamp::of(&fs::metadata(&script.path).map_err(at)?);
        if now.is_same_file(&decided) {
            return Ok(());
        }
        let path = script.path.display();
        let text = format!("{path}: the script was replaced after the decision: request it again");
        Err(at(io::Error::new(
            io::ErrorKind::StaleNetworkFileHandle,
            text,
        )))
    }
}

/// The descriptors that become a child's standard streams. A stream without one is
/// the null device.
#[derive(Debug, Default)]
pub struct ChildStdio {
    /// Descriptor 0.
    pub stdin: Option<OwnedFd>,
    /// Descriptor 1.
    pub stdout: Option<OwnedFd>,
    /// Descriptor 2.
    pub stderr: Option<OwnedFd>,
}
