//! The trait behind which children are started.

use std::fmt;
use std::sync::Arc;

use super::error::LaunchError;
use super::plan::{ChildStdio, Plan};
use super::process::Process;
use crate::confinement::{Confinement, Enforcement};

/// The guest whose children may share what a launcher keeps between launches.
///
/// A number is not reused while the registry lives.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Scope(pub u64);

/// Whose a guest is: guests of one owner count against the same quotas.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Owner<'a> {
    /// The component's section of the grant.
    pub component: &'a str,
    /// The embedder's tenant; empty if it distinguishes none.
    pub tenant: &'a str,
}

/// Starts children.
///
/// [`NativeLauncher`](crate::sandbox::NativeLauncher) is the launcher of this crate.
/// Another one may start children elsewhere, or none at all. What it must do, in the order in which the registry
/// calls it:
///
/// 1. [`Launcher::enforcement`] at every spawn. A command whose grant demands more than the report has is
///    refused, so a launcher that confines nothing starts only what the grant leaves unconfined.
/// 2. [`Launcher::launch`]. The child's ends of the pipes are in [`ChildStdio`]; the launcher closes its own copies of them, or
///    the registry never sees the end of the output. The registry has the other ends, writes the input, and reads the output.
/// 3. The [`Process`] that it returns ends once, by itself or by a signal, and reports that by its descriptor. The streams
///    are closed before that, but for those that a grandchild holds.
///
/// Time is the registry's, too: it kills the child at its limits. A launcher that waits for a time itself uses the registry's
/// [`Clock`](crate::clock::Clock), so that it obeys a test's virtual time.
///
/// `host/testing/examples/functions.rs` of the repository is a whole launcher in 150 lines, whose children are functions, and
/// `host/native/examples/custom-launcher.rs` one that passes launches on. One that refuses everything:
///
/// ```
/// use std::io;
/// use std::sync::Arc;
///
/// use capspawn_native::confinement::{Confinement, Enforcement};
/// use capspawn_native::launch::{
///     ChildStdio, LaunchError, Launcher, Plan, Process, Scope, Stage,
/// };
///
/// /// Refuses every launch: for a host that is being drained.
/// #[derive(Debug)]
/// struct Drained;
///
/// impl Launcher for Drained {
///     fn enforcement(&self, confinement: &Confinement) -> Arc<Enforcement> {
///         let reason = "the host is being drained";
///         Arc::new(Enforcement::none(confinement, reason, "try again later"))
///     }
///
///     fn launch(
///         &self,
///         _scope: Scope,
///         _plan: &Plan,
///         _stdio: ChildStdio,
///     ) -> Result<Box<dyn Process>, LaunchError> {
///         let source = io::ErrorKind::ResourceBusy.into();
///         Err(LaunchError::new(Stage::Spawn, source))
///     }
/// }
/// ```
pub trait Launcher: Send + Sync + fmt::Debug {
    /// Returns what this launcher would enforce for `confinement` on this host.
    ///
    /// The registry calls this at every spawn, so a launcher should build a report once
    /// for each confinement.
    fn enforcement(&self, confinement: &Confinement) -> Arc<Enforcement>;

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

    /// Reaps processes of children's trees that have lost their parents, have become children of this
    /// process, and have ended; no child that other code of this process has started. Returns whether
    /// this process adopts orphans at all, as pid 1 and a subreaper (`PR_SET_CHILD_SUBREAPER`) do:
    /// the registry then calls this once a second. By default it does nothing. Similar to `waitpid`
    /// with `WNOHANG`.
    fn reap_adopted(&self) -> bool {
        false
    }

    /// Learns whose guest `scope` is, before its first launch. Children of different owners
    /// should share nothing. A launcher that passes launches on to another one passes this
    /// on too: [`NativeLauncher`](crate::sandbox::NativeLauncher) otherwise treats every
    /// guest as an owner of its own. Does not block.
    fn open(&self, _scope: Scope, _owner: Owner<'_>) {}

    /// Closes what is kept only so that later launches are faster, because the host is short of descriptors. Returns
    /// whether there was anything. A launcher that passes launches on to another one passes this on too.
    fn make_room(&self) -> bool {
        false
    }

    /// Drops what is kept for `scope`, whose guest is gone. What its running children
    /// need stays until they have ended. Does not block.
    fn close(&self, _scope: Scope) {}
}
