//! The launcher on a system without a sandbox: it refuses every launch.

use std::io;
use std::os::fd::OwnedFd;
use std::path::Path;
use std::sync::Arc;

use crate::confinement::{Confinement, Enforcement, Tier};
use crate::launch::{
    ChildStdio, Identity, LaunchError, Launcher, NoLauncher, OwnerUids, Plan, Process, RunAs,
    Scope, Stage, StreamFile,
};

/// Refuses every launch: this system has no sandbox.
#[derive(Debug, Default)]
pub struct NativeLauncher {}

/// Builds a [`NativeLauncher`].
#[derive(Debug, Clone, Default)]
#[must_use]
pub struct NativeLauncherBuilder {}

impl NativeLauncher {
    /// Returns a launcher that refuses every launch.
    pub fn new() -> Self {
        Self::default()
    }

    /// Returns the host's user: no child is started.
    pub fn run_as(&self) -> RunAs {
        RunAs::One(Identity::host())
    }

    /// Returns none: no child is started.
    ///
    /// # Errors
    ///
    /// None.
    pub fn shared_directory(&self, _path: &Path) -> io::Result<Option<OwnedFd>> {
        Ok(None)
    }

    /// Returns a builder of a launcher that refuses every launch.
    pub fn builder() -> NativeLauncherBuilder {
        NativeLauncherBuilder::default()
    }
}

impl NativeLauncherBuilder {
    /// Has no effect: this system has no tiers.
    pub fn tier(self, _tier: Tier) -> Self {
        self
    }

    /// Has no effect: no child is started.
    pub fn run_as(self, _uid: u32, _gid: u32) -> Self {
        self
    }

    /// Has no effect: no child is started.
    pub fn owner_uids(self, _uids: OwnerUids) -> Self {
        self
    }

    /// Builds a launcher that refuses every launch.
    pub fn build(self) -> NativeLauncher {
        NativeLauncher::default()
    }
}

impl Launcher for NativeLauncher {
    fn enforcement(&self, confinement: &Confinement) -> Arc<Enforcement> {
        let reason = "this system has no sandbox";
        Arc::new(Enforcement::none(confinement, reason, "run on Linux"))
    }

    fn launch(
        &self,
        _scope: Scope,
        _plan: &Plan,
        _stdio: ChildStdio,
    ) -> Result<Box<dyn Process>, LaunchError> {
        Err(LaunchError::new(Stage::Spawn, io::Error::other(NoLauncher)))
    }
}

/// No process has descriptors that this system shows.
#[derive(Debug)]
pub(crate) struct DescriptorTable {}

impl DescriptorTable {
    /// Returns none.
    pub(crate) fn of(_pid: u32, _tid: u32) -> Option<Self> {
        None
    }

    /// Returns none.
    pub(crate) fn socket_bytes(&self, _number: i32, _most: u64) -> Option<u64> {
        None
    }

    /// Returns none.
    pub(crate) fn pipe_bytes(&self, _number: i32) -> Option<u64> {
        None
    }
}

/// Returns none.
pub(crate) fn shared_memory_device() -> Option<u64> {
    None
}

/// Does nothing: no children run, so there is little to give back.
pub(crate) fn return_free_memory() {}

/// Why a file is not opened.
#[derive(Debug)]
pub(crate) enum FileFault {
    /// Not on this system.
    #[expect(dead_code, reason = "as on Linux")]
    Refused(String),
    /// Not on this system.
    #[expect(dead_code, reason = "as on Linux")]
    Missing,
    /// This system has no launcher.
    System(io::Error),
}

/// Opens nothing: no child is started.
pub(crate) fn open_stream_file(
    _file: &StreamFile,
    _refusal: impl Fn(&Path) -> Option<&'static str> + Sync,
) -> Result<OwnedFd, FileFault> {
    Err(FileFault::System(io::Error::other(NoLauncher)))
}
