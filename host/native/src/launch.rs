//! What starts a child, behind one trait.
//!
//! A [`Plan`] is what the grant decided, complete: a launcher looks nothing up
//! and decides nothing. It gets the descriptors for the standard streams and
//! gives back a [`Process`] to signal, watch and reap. The registry knows no
//! other way to a process, so that a launcher may as well answer from a record.

use std::fmt;
use std::fs::File;
use std::io;
use std::os::fd::{BorrowedFd, OwnedFd};
use std::path::PathBuf;
use std::sync::Arc;

use crate::error::LaunchError;
use crate::limits::{CaptureCaps, Limits};
use crate::sandbox::{Confinement, Enforcement};
use crate::status::Signal;

/// A program, opened when its grant was loaded or, where a grant lists none by
/// name, at the decision.
#[derive(Debug)]
pub struct Program {
    /// Its absolute path, for messages.
    pub path: PathBuf,
    /// The open file (`O_PATH`): what is executed, whatever the path names by now.
    pub file: File,
}

/// A working directory, opened at the decision.
#[derive(Debug, Clone)]
pub struct WorkingDirectory {
    /// Its absolute path, for messages.
    pub path: PathBuf,
    /// The open directory: what is entered, whatever the path names by now.
    pub dir: Arc<OwnedFd>,
    /// Whether the grant or the guest names it. If not, a child that has a
    /// private `/tmp` starts there.
    pub named: bool,
}

/// A decided request: everything a launcher needs, and nothing it may change.
#[derive(Debug, Clone)]
pub struct Plan {
    /// The command's name in the grant.
    pub name: String,
    /// The program to execute.
    pub program: Arc<Program>,
    /// The script that the program interprets, as it was opened. Its interpreter
    /// reads it by its name, which is in `argv`.
    pub script: Option<Arc<Program>>,
    /// The argument vector, `argv[0]` included.
    pub argv: Vec<String>,
    /// The whole environment.
    pub env: Vec<(String, String)>,
    /// Where the child starts.
    pub cwd: WorkingDirectory,
    /// The limits in force, the guest's own narrowing included.
    pub limits: Limits,
    /// How much output is kept.
    pub capture: CaptureCaps,
    /// What the child is confined to.
    pub confinement: Arc<Confinement>,
    /// Whether the guest may see the process id, the host's.
    pub disclose_pid: bool,
}

/// The descriptors that become a child's standard streams; the null device where
/// there is none.
#[derive(Debug, Default)]
pub struct ChildStdio {
    /// Descriptor 0.
    pub stdin: Option<OwnedFd>,
    /// Descriptor 1.
    pub stdout: Option<OwnedFd>,
    /// Descriptor 2.
    pub stderr: Option<OwnedFd>,
}

/// What `waitid(2)` says of an ended leader.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Exit {
    /// It called `exit` with this code.
    Code(i32),
    /// A signal of this number ended it.
    Signal(u8),
}

/// A started child: the leader of its tree, and the tree.
///
/// No method blocks. After [`Process::reap`] no other method is called: the
/// process id may belong to a stranger by then.
pub trait Process: Send + Sync + fmt::Debug {
    /// The process id, for the operator.
    fn pid(&self) -> u32;

    /// A descriptor that becomes readable once the leader has ended.
    fn exit_fd(&self) -> BorrowedFd<'_>;

    /// Says how the leader ended, and goes on saying so until
    /// [`Process::reap`]; none while it runs. Similar to `waitid` with `WEXITED | WNOWAIT | WNOHANG`.
    ///
    /// # Errors
    ///
    /// Whatever the system says; the child is then given up as killed by the host.
    fn try_exit(&self) -> io::Result<Option<Exit>>;

    /// Sends `signal` to the leader. Similar to `pidfd_send_signal`.
    ///
    /// # Errors
    ///
    /// Whatever the system says but that the leader has ended, which is success.
    fn signal(&self, signal: Signal) -> io::Result<()>;

    /// Sends `signal` to the leader and all that it started, as far as the
    /// confinement keeps them together. Similar to `killpg`.
    ///
    /// # Errors
    ///
    /// Whatever the system says but that nothing is left, which is success.
    fn signal_tree(&self, signal: Signal) -> io::Result<()>;

    /// Reaps the ended leader: its numbers may then be used again. Similar to `waitid` with `WEXITED | WNOHANG`.
    ///
    /// # Errors
    ///
    /// Whatever the system says.
    fn reap(&self) -> io::Result<()>;
}

/// Whose children may share what a launcher keeps between launches: one guest's.
///
/// Numbers are not used again while the registry lives.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Scope(pub u64);

/// What starts a child.
pub trait Launcher: Send + Sync + fmt::Debug {
    /// Says what this launcher would enforce for `confinement` on this host.
    fn enforcement(&self, confinement: &Confinement) -> Enforcement;

    /// Starts what `plan` says, for the guest `scope`. Returns once the program
    /// executes.
    ///
    /// # Errors
    ///
    /// The stage that failed and the system's error; nothing is left running.
    fn launch(
        &self,
        scope: Scope,
        plan: &Plan,
        stdio: ChildStdio,
    ) -> Result<Box<dyn Process>, LaunchError>;

    /// Gives up what is kept for `scope`, whose guest is gone: what its running
    /// children need stays until they have ended. Does not block.
    fn close(&self, _scope: Scope) {}
}
