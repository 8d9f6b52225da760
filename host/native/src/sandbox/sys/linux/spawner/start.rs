//! What a child executes, and with what.

use std::ffi::OsStr;
use std::fs::File;
use std::io;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;

use capspawn_raw::child::{ChildArgs, FailureSlot};
use capspawn_raw::limit::Limit;
use capspawn_raw::step::Fault;
use capspawn_raw::wire::InitArgs;

use crate::launch::{Identity, LaunchError, Stage};
use crate::sandbox::sys::linux::cgroup::Entry;
use crate::sandbox::sys::linux::fd::cstrings::CStrings;
use crate::sandbox::sys::linux::fd::stdio::{above_stdio, null};

/// A program with its arguments and its surroundings. Every descriptor is 3 or higher.
pub(crate) struct Start<'a> {
    pub(crate) program: BorrowedFd<'a>,
    pub(crate) argv: Vec<&'a OsStr>,
    pub(crate) env: CStrings,
    pub(crate) cwd: BorrowedFd<'a>,
    pub(crate) stdio: [i32; 3],
    pub(crate) limits: &'a [Limit],
    /// The most tasks that the child's user may have.
    pub(crate) user_tasks: Option<Limit>,
    /// The user as which the program runs; `None` for the one that all children have in common.
    pub(crate) user: Option<Identity>,
    /// The child's cgroup, if it gets one.
    pub(crate) cgroup: Membership<'a>,
}

/// How a child enters its cgroup. By default it stays in that of its parent.
#[derive(Default)]
pub(crate) struct Membership<'a> {
    /// The files to which it writes.
    pub(crate) files: Vec<i32>,
    /// The directory into which it is cloned.
    pub(crate) into: Option<BorrowedFd<'a>>,
}

impl<'a> Membership<'a> {
    /// Returns the membership of a child that enters by `entry`.
    pub(crate) fn of(entry: &'a Entry) -> Self {
        match entry {
            Entry::Write(files) => Self {
                files: files.iter().map(AsRawFd::as_raw_fd).collect(),
                into: None,
            },
            Entry::Clone(directory) => Self {
                files: Vec::new(),
                into: Some(directory.as_fd()),
            },
        }
    }
}

impl Start<'_> {
    /// Returns the arguments, after those of `capspawn-init` if it is to execute the program.
    pub(crate) fn arguments(&self, init: Option<InitArgs>) -> Result<CStrings, LaunchError> {
        let init = init.map(|args| args.encode());
        let first = init.iter().map(|args| OsStr::new(args.as_str()));
        let mut arguments = CStrings::new();
        for argument in first.chain(self.argv.iter().copied()) {
            let pushed = arguments.push(&[argument.as_bytes()]);
            pushed.map_err(|source| LaunchError::new(Stage::Spawn, source))?;
        }
        Ok(arguments)
    }

    /// Returns what the vfork child needs to execute the program as it is, unconfined.
    pub(crate) fn child_args<'c>(&'c mut self, arguments: &'c mut CStrings) -> ChildArgs<'c> {
        ChildArgs {
            has_signal_actions: true,
            has_own_attributes: false,
            stdio: self.stdio.map(Some),
            cwd: self.cwd.as_raw_fd(),
            affinity: None,
            limits: self.limits,
            keep: &[],
            filter_pass: [0; 2],
            announce: None,
            cgroups: &self.cgroup.files,
            user: None,
            confine: None,
            program: self.program.as_raw_fd(),
            argv: arguments.array(),
            envp: self.env.array(),
            fault: Fault::NONE,
            failure: FailureSlot::new(),
        }
    }
}

/// The surroundings of the host's own processes: the null device and the root directory.
pub(crate) struct Surroundings {
    null: OwnedFd,
    root: OwnedFd,
}

impl Surroundings {
    /// Opens both.
    pub(crate) fn open() -> io::Result<Self> {
        Ok(Self {
            null: above_stdio(null()?)?,
            root: above_stdio(File::open("/")?.into())?,
        })
    }

    /// Returns a start of `program` without arguments, environment and limits.
    pub(crate) fn start<'a>(&'a self, program: BorrowedFd<'a>) -> Start<'a> {
        Start {
            program,
            argv: Vec::new(),
            env: CStrings::new(),
            cwd: self.root.as_fd(),
            stdio: [self.null.as_raw_fd(); 3],
            limits: &[],
            user_tasks: None,
            cgroup: Membership::default(),
            user: None,
        }
    }
}
