//! What the two versions of cgroups have in common: cgroups by name, in the host's directory.

use std::fmt;
use std::io;
use std::os::fd::OwnedFd;
use std::time::Duration;

use super::entry::Entry;
use super::leaf_limits::LeafLimits;
use crate::launch::Identity;

/// What cgroups can limit and count.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Controllers {
    pub(crate) memory: bool,
    pub(crate) tasks: bool,
    pub(crate) cpu: bool,
}

/// The files with what is counted; those that the kernel lacks are missing.
#[derive(Debug, Default)]
pub(super) struct CounterFiles {
    /// Open for reading, and for writing where that forgets the peak.
    pub(super) memory_peak: Option<OwnedFd>,
    pub(super) tasks_peak: Option<OwnedFd>,
    /// The tasks that are in the cgroup now.
    pub(super) tasks: Option<OwnedFd>,
    pub(super) cpu: Option<OwnedFd>,
}

/// The host's directory, or with version 1 one for each controller.
pub(super) trait Hierarchy: fmt::Debug + Send + Sync {
    fn controllers(&self) -> Controllers;

    /// Makes a cgroup without limits.
    fn add(&self, name: &str) -> io::Result<()>;

    /// Removes a cgroup; `EBUSY` as long as a process is in it.
    fn remove(&self, name: &str) -> io::Result<()>;

    fn set_limits(&self, name: &str, limits: LeafLimits) -> io::Result<()>;

    /// Returns how a child enters. `has_clone3`: the system can clone it into a cgroup.
    fn entry(&self, name: &str, has_clone3: bool) -> io::Result<Entry>;

    /// Lets a process of `user` clone children into the cgroup, where the kernel demands a right
    /// for that.
    fn give_to(&self, _name: &str, _user: Identity) -> io::Result<()> {
        Ok(())
    }

    /// Returns the cgroup in which a session's server has to be so that it may clone children
    /// into theirs; none where that does not matter.
    fn servers(&self) -> io::Result<Option<Entry>> {
        Ok(None)
    }

    /// Opens the files that count.
    fn counter_files(&self, name: &str) -> io::Result<CounterFiles>;

    /// Returns the memory that is charged to the cgroup now, in bytes.
    fn memory_bytes(&self, name: &str) -> io::Result<u64>;

    /// Returns how many processes the kernel has ended because the cgroup was at its limit.
    fn memory_kills(&self, name: &str) -> io::Result<u64>;

    /// Returns the processor time in [`CounterFiles::cpu`].
    fn cpu(&self, file: &OwnedFd) -> io::Result<Duration>;

    /// What is written to [`CounterFiles::memory_peak`] in order to forget the peak.
    fn forget(&self) -> &'static [u8];

    /// Kills every process in the cgroup, where the kernel has a call for that.
    fn kill(&self, _name: &str) {}
}
