//! Builds the registry: its caps, its launcher, and the embedder's hooks.

use std::sync::Arc;
use std::time::Duration;
use std::{fmt, io};

use super::core::{Core, Settings};
use super::events::OnEvent;
use super::{Registry, sampler, thread};
use crate::approval::{Approver, Hooks, Question};
use crate::event::Event;
use crate::launch::Launcher;
use crate::limits::{DEFAULT_MAX_ENTRIES, DEFAULT_MAX_RECEIPTS, DEFAULT_MAX_RETAINED_BYTES};
use crate::sandbox::NativeLauncher;

/// Builds a [`Registry`].
pub struct RegistryBuilder {
    max_entries: usize,
    max_retained_bytes: usize,
    max_receipts: usize,
    launcher: Option<Arc<dyn Launcher>>,
    on_event: Option<OnEvent>,
    hooks: Hooks,
}

impl fmt::Debug for RegistryBuilder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RegistryBuilder")
            .field("max_entries", &self.max_entries)
            .field("max_retained_bytes", &self.max_retained_bytes)
            .field("max_receipts", &self.max_receipts)
            .finish_non_exhaustive()
    }
}

impl Registry {
    /// Returns a builder with these defaults: 1024 entries, 256 MiB of captured
    /// output, 1024 receipts, the native launcher, no event hook, no veto, and no
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
            max_retained_bytes: DEFAULT_MAX_RETAINED_BYTES,
            max_receipts: DEFAULT_MAX_RECEIPTS,
            launcher: None,
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

    /// Sets how many bytes of captured output all entries together keep at most.
    #[must_use]
    pub fn max_retained_bytes(mut self, bytes: usize) -> Self {
        self.max_retained_bytes = bytes;
        self
    }

    /// Sets how many receipts of unobserved children are kept at most.
    #[must_use]
    pub fn max_receipts(mut self, receipts: usize) -> Self {
        self.max_receipts = receipts;
        self
    }

    /// Sets what starts children; by default [`NativeLauncher`].
    #[must_use]
    pub fn launcher(mut self, launcher: Arc<dyn Launcher>) -> Self {
        self.launcher = Some(launcher);
        self
    }

    /// Sets the hook for events: every spawn, denial, quota refusal and exit. It is
    /// called on the thread where the event happens and must not block. A panic in it
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
    /// starts it and with its slot taken, so it must not block. It can only narrow
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
        let thread = thread::start(|handle| {
            Core::new(Settings {
                handle,
                launcher: launcher.unwrap_or_else(|| Arc::new(NativeLauncher::new())),
                hooks: self.hooks,
                on_event: self.on_event,
                max_entries: self.max_entries,
                max_receipts: self.max_receipts,
                max_retained_bytes: self.max_retained_bytes,
            })
        })?;
        let core = thread.core();
        core.handle().spawn(sampler::sample(Arc::clone(core)));
        Ok(Registry::new(thread))
    }
}
