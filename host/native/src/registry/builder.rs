//! Builds the registry: its caps, its launcher, and the embedder's hooks.

use std::sync::Arc;
use std::time::Duration;
use std::{fmt, io};

use super::core::{Core, Settings};
use super::events::OnEvent;
use super::{Registry, adopted, sampler, thread};
use crate::approval::{Approver, Hooks, Question};
use crate::clock::Clock;
use crate::event::Event;
use crate::launch::Launcher;
use crate::limits::{DEFAULT_MAX_ENTRIES, DEFAULT_MAX_HELD_BYTES, DEFAULT_MAX_RECEIPTS};
use crate::sandbox::NativeLauncher;

/// Builds a [`Registry`].
pub struct RegistryBuilder {
    max_entries: usize,
    max_held_bytes: usize,
    max_held_descriptors: Option<usize>,
    max_receipts: usize,
    return_memory: bool,
    launcher: Option<Arc<dyn Launcher>>,
    clock: Clock,
    on_event: Option<OnEvent>,
    hooks: Hooks,
}

impl fmt::Debug for RegistryBuilder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RegistryBuilder")
            .field("max_entries", &self.max_entries)
            .field("max_held_bytes", &self.max_held_bytes)
            .field("max_held_descriptors", &self.max_held_descriptors)
            .field("max_receipts", &self.max_receipts)
            .finish_non_exhaustive()
    }
}

impl Registry {
    /// Returns a builder with these defaults: 1024 entries, 1 GiB of memory and three quarters
    /// of the process's descriptors for what is held for guests, 1024 receipts, the native launcher, no event hook, no veto, and no
    /// approver, so that `ask` is a denial; an approver has 60 s for each answer.
    pub fn builder() -> RegistryBuilder {
        RegistryBuilder::new()
    }
}

impl RegistryBuilder {
    /// See [`Registry::builder`].
    pub(super) fn new() -> Self {
        Self {
            max_entries: DEFAULT_MAX_ENTRIES,
            max_held_bytes: DEFAULT_MAX_HELD_BYTES,
            max_held_descriptors: None,
            max_receipts: DEFAULT_MAX_RECEIPTS,
            return_memory: true,
            launcher: None,
            clock: Clock::system(),
            on_event: None,
            hooks: Hooks::default(),
        }
    }

    /// Sets how many entries there are at most, running and ended together.
    #[must_use]
    pub fn max_entries(mut self, entries: usize) -> Self {
        self.max_entries = entries;
        self
    }

    /// Sets how many bytes the host holds at most for all guests together: captured output,
    /// arguments, and standard input that no child has read.
    ///
    /// A running child's captures count with their caps (`capture` in the grant) from its start on, so
    /// that another guest's output can never leave it without; an owner counts with its share
    /// (`max-held-memory` in the grant) at most. A spawn that finds too little left fails as
    /// [`Quota::HostCapacity`](crate::Quota::HostCapacity). A share that is larger than this counts as this.
    /// [`Registry::host_holdings`] shows what is in use.
    #[must_use]
    pub fn max_held_bytes(mut self, bytes: usize) -> Self {
        self.max_held_bytes = bytes;
        self
    }

    /// Sets how many descriptors the host holds at most for all guests together: the pipes of
    /// children and of streams that outlive their child, and those by which children are watched.
    ///
    /// By default it is three quarters of the process's soft limit on open files
    /// (`RLIMIT_NOFILE`) when the registry is built; the rest is for sessions, for what a spawn opens for a
    /// moment, and for the host itself. That limit is often 1024, which a few owners fill: a host of
    /// many guests raises it to the hard limit before it builds the registry, as `capspawn run` does. Children
    /// have a limit of their own (`limits.open-files` in the grant).
    #[must_use]
    pub fn max_held_descriptors(mut self, descriptors: usize) -> Self {
        self.max_held_descriptors = Some(descriptors);
        self
    }

    /// Sets how many receipts of unobserved children are kept at most.
    #[must_use]
    pub fn max_receipts(mut self, receipts: usize) -> Self {
        self.max_receipts = receipts;
        self
    }

    /// Sets whether memory goes back to the machine after guests have given it back; true by default.
    ///
    /// glibc's allocator keeps what is freed. The registry calls `malloc_trim` on a thread of its own, a
    /// second after 1 MiB or more was given back and at most once a second. It concerns the heap of the
    /// whole process, whose other threads may wait for it for some milliseconds: a host with a large heap and
    /// little patience passes false. With another allocator or C library it has no effect.
    #[must_use]
    pub fn return_memory(mut self, is_returned: bool) -> Self {
        self.return_memory = is_returned;
        self
    }

    /// Sets what starts children; by default [`NativeLauncher`].
    #[must_use]
    pub fn launcher(mut self, launcher: Arc<dyn Launcher>) -> Self {
        self.launcher = Some(launcher);
        self
    }

    /// Sets where all deadlines, waits, rates and time stamps come from; by default the system's clock. With a
    /// [`VirtualClock`](crate::clock::VirtualClock) a test waits ten minutes in no time.
    #[must_use]
    pub fn clock(mut self, clock: impl Into<Clock>) -> Self {
        self.clock = clock.into();
        self
    }

    /// Sets the hook for events: spawns, exits, and refusals, of which an event counts those of an owner over 64 at
    /// once and 10 a second. It is called on the thread where the event happens and must not block. A panic in it
    /// is logged and otherwise ignored.
    #[must_use]
    pub fn on_event(mut self, on_event: impl Fn(&Event) + Send + Sync + 'static) -> Self {
        self.on_event = Some(Arc::new(on_event));
        self
    }

    /// Sets the approver for commands whose `decision` is `ask`; without one `ask` is
    /// a denial. See [`Guest::spawn_with_approval`](crate::Guest::spawn_with_approval).
    #[must_use]
    pub fn approver(mut self, approver: Arc<dyn Approver>) -> Self {
        self.hooks.set_approver(approver);
        self
    }

    /// Sets how long the approver may take for one answer. After that the request is
    /// denied. The default is
    /// [`DEFAULT_APPROVAL_TIMEOUT`](crate::limits::DEFAULT_APPROVAL_TIMEOUT).
    #[must_use]
    pub fn approval_timeout(mut self, timeout: Duration) -> Self {
        self.hooks.set_approval_timeout(timeout);
        self
    }

    /// Sets the veto: it may refuse what the grant (and the approver) has allowed,
    /// with a reason for the operator. There is none by default.
    ///
    /// It is called once for every child that is about to start, on the thread that
    /// starts it and with its quotas taken, so it must not block. It can only narrow
    /// what the grant allows; a panic in it is a denial.
    #[must_use]
    pub fn veto(
        mut self,
        veto: impl Fn(&Question) -> Result<(), String> + Send + Sync + 'static,
    ) -> Self {
        self.hooks.set_veto(Box::new(veto));
        self
    }

    /// Builds the registry and starts its thread.
    ///
    /// # Errors
    ///
    /// The system cannot create a thread or an event queue.
    pub fn build(self) -> io::Result<Registry> {
        let launcher = self.launcher;
        let clock = self.clock;
        let thread = thread::start(|handle| {
            Core::new(Settings {
                handle,
                launcher: launcher.unwrap_or_else(|| Arc::new(NativeLauncher::new())),
                clock,
                hooks: self.hooks,
                on_event: self.on_event,
                max_entries: self.max_entries,
                max_receipts: self.max_receipts,
                max_held_bytes: self.max_held_bytes,
                max_held_descriptors: self
                    .max_held_descriptors
                    .unwrap_or_else(default_max_descriptors),
                return_memory: self.return_memory,
            })
        })?;
        let core = thread.core();
        core.handle().spawn(sampler::sample(Arc::clone(core)));
        core.handle().spawn(adopted::reap(Arc::clone(core)));
        Ok(Registry::new(thread))
    }
}

/// Returns three quarters of the descriptors that this process may open.
fn default_max_descriptors() -> usize {
    let soft = rustix::process::getrlimit(rustix::process::Resource::Nofile).current;
    let soft = soft.and_then(|soft| usize::try_from(soft).ok());
    soft.map_or(usize::MAX, |soft| soft / 4 * 3)
}
