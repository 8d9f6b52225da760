//! What is started, apart from how.

use std::fs::File;
use std::io;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};

use capspawn_raw::child::Limit;
use capspawn_raw::steps::Confine;

use super::helper::Mode;
use super::watcher::Watcher;
use crate::launch::{LaunchError, Stage};
use crate::sandbox::sys::linux::fd::cstrings::CStrings;
use crate::sandbox::sys::linux::fd::stdio::{null, raised};

/// A program with its arguments and surroundings. Its descriptors are 3 or higher.
pub(crate) struct Job<'a> {
    pub(crate) program: BorrowedFd<'a>,
    pub(crate) argv: Vec<&'a str>,
    pub(crate) env: CStrings,
    pub(crate) cwd: BorrowedFd<'a>,
    pub(crate) stdio: [i32; 3],
    pub(crate) limits: &'a [Limit],
    /// What the helper is for, where it is started.
    pub(crate) mode: Mode,
    /// The process that a probe tries to signal.
    pub(crate) canary: u32,
}

impl Job<'_> {
    /// Appends the program's arguments.
    pub(crate) fn push_arguments(&self, argv: &mut CStrings) -> Result<(), LaunchError> {
        for argument in &self.argv {
            let pushed = argv.push(&[argument]);
            pushed.map_err(|source| LaunchError::new(Stage::Spawn, source))?;
        }
        Ok(())
    }
}

/// What the vfork child itself executes, and what it does before.
pub(crate) struct Form<'a> {
    pub(crate) program: BorrowedFd<'a>,
    pub(crate) confine: Option<Confine>,
    pub(crate) keep: &'a [i32],
    pub(crate) watcher: Option<&'a Watcher>,
}

/// The surroundings of the host's own processes: null streams, in the root.
pub(crate) struct Streams {
    null: OwnedFd,
    root: OwnedFd,
}

impl Streams {
    pub(crate) fn null() -> io::Result<Self> {
        Ok(Self {
            null: raised(null()?)?,
            root: raised(File::open("/")?.into())?,
        })
    }

    /// The root directory.
    pub(crate) fn root(&self) -> io::Result<OwnedFd> {
        self.root.try_clone()
    }

    /// A job for the helper.
    pub(crate) fn job<'a>(&'a self, helper: BorrowedFd<'a>, mode: Mode) -> Job<'a> {
        Job {
            program: helper,
            argv: Vec::new(),
            env: CStrings::new(),
            cwd: self.root.as_fd(),
            stdio: [self.null.as_raw_fd(); 3],
            limits: &[],
            mode,
            canary: 0,
        }
    }
}
