//! What is started, apart from how.

use std::fs::File;
use std::io;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};

use super::child::Limit;
use super::descriptors::{null, raised};
use super::helper::Mode;
use super::steps::Confine;
use super::strings::CStrings;
use super::watcher::Watcher;
use crate::error::{LaunchError, Stage};

/// A program with its arguments and surroundings. Its descriptors are 3 or higher.
pub(super) struct Job<'a> {
    pub(super) program: BorrowedFd<'a>,
    pub(super) argv: Vec<&'a str>,
    pub(super) env: CStrings,
    pub(super) cwd: BorrowedFd<'a>,
    pub(super) stdio: [i32; 3],
    pub(super) limits: &'a [Limit],
    /// What the helper is for, where it is started.
    pub(super) mode: Mode,
    /// The process that a probe tries to signal.
    pub(super) canary: u32,
}

impl Job<'_> {
    /// Appends the program's arguments.
    pub(super) fn push_arguments(&self, argv: &mut CStrings) -> Result<(), LaunchError> {
        for argument in &self.argv {
            let pushed = argv.push(&[argument]);
            pushed.map_err(|source| LaunchError::new(Stage::Spawn, source))?;
        }
        Ok(())
    }
}

/// What the vfork child itself executes, and what it does before.
pub(super) struct Form<'a> {
    pub(super) program: BorrowedFd<'a>,
    pub(super) confine: Option<Confine>,
    pub(super) keep: &'a [i32],
    pub(super) watcher: Option<&'a Watcher>,
}

/// The surroundings of the host's own processes: null streams, in the root.
pub(super) struct Streams {
    null: OwnedFd,
    root: OwnedFd,
}

impl Streams {
    pub(super) fn null() -> io::Result<Self> {
        Ok(Self {
            null: raised(null()?)?,
            root: raised(File::open("/")?.into())?,
        })
    }

    /// The root directory.
    pub(super) fn root(&self) -> io::Result<OwnedFd> {
        self.root.try_clone()
    }

    /// A job for the helper.
    pub(super) fn job<'a>(&'a self, helper: BorrowedFd<'a>, mode: Mode) -> Job<'a> {
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
