//! What a store holds for this capability, and how a host method reaches it.

use std::fmt;
use std::sync::Arc;

use capspawn_native::{ChildInfo, Grant, Guest, Registry};
use wasmtime::component::{HasData, ResourceTable};

/// The most bytes that one guest's `spawn-options` may hold together: 64 MiB.
/// Stops a guest from parking its standard input in the host's memory, again
/// and again, without ever spawning.
pub const MAX_OPTIONS_BYTES: usize = 64 * 1024 * 1024;

/// Builds a [`ProcessCtx`]; see [`ProcessCtx::builder`] for the defaults.
#[must_use]
pub struct ProcessCtxBuilder {
    registry: Registry,
    component: String,
    tenant: String,
    grant: Option<Arc<Grant>>,
}

impl ProcessCtxBuilder {
    /// Names the component where no grant is set: the empty grant's name, in
    /// events.
    pub fn component(mut self, name: impl Into<String>) -> Self {
        self.component = name.into();
        self
    }

    /// Sets what the guest may run.
    pub fn grant(mut self, grant: Arc<Grant>) -> Self {
        self.grant = Some(grant);
        self
    }

    /// Sets on whose behalf the guest runs. Guests of one tenant and one
    /// component share the registry's cap of live children.
    pub fn tenant(mut self, tenant: impl Into<String>) -> Self {
        self.tenant = tenant.into();
        self
    }

    /// Builds the context.
    pub fn build(self) -> ProcessCtx {
        let grant = self.grant.unwrap_or_else(|| Grant::none(&self.component));
        ProcessCtx {
            guest: Arc::new(self.registry.guest(grant, &self.tenant)),
            options_bytes: 0,
        }
    }
}

impl fmt::Debug for ProcessCtxBuilder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ProcessCtxBuilder")
            .field("component", &self.component)
            .field("tenant", &self.tenant)
            .field("granted", &self.grant.is_some())
            .finish_non_exhaustive()
    }
}

/// One guest's authority over child processes: kept in the data of its store.
///
/// Dropping it kills whatever the guest still runs.
pub struct ProcessCtx {
    /// Shared with calls that wait for an answer while the store runs on.
    pub(crate) guest: Arc<Guest>,
    /// What live `spawn-options` hold, in bytes; at most [`MAX_OPTIONS_BYTES`].
    pub(crate) options_bytes: usize,
}

impl ProcessCtx {
    /// Returns a builder for a guest of `registry`.
    ///
    /// Defaults: an empty grant, which denies every program; a component
    /// without a name; a tenant without a name.
    pub fn builder(registry: &Registry) -> ProcessCtxBuilder {
        ProcessCtxBuilder {
            registry: registry.clone(),
            component: String::new(),
            tenant: String::new(),
            grant: None,
        }
    }

    /// Lists the children that the guest still runs; what it detached is not its
    /// own any more.
    pub fn live(&self) -> Vec<ChildInfo> {
        self.guest.live()
    }

    /// Kills all that [`ProcessCtx::live`] lists, and returns without waiting.
    ///
    /// A host that keeps the store of an abandoned call must call this: a guest
    /// that trapped, or whose call was dropped, leaves its children running
    /// until the store goes.
    pub fn kill_all(&self) {
        self.guest.kill_all();
    }
}

impl Drop for ProcessCtx {
    /// A call that waits for an approver may hold the guest for longer.
    fn drop(&mut self) {
        self.guest.release_all();
    }
}

impl fmt::Debug for ProcessCtx {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ProcessCtx")
            .field("options_bytes", &self.options_bytes)
            .finish_non_exhaustive()
    }
}

/// What a host method works on: borrowed from the data of a store.
#[derive(Debug)]
pub struct ProcessCtxView<'a> {
    /// The guest's authority.
    pub ctx: &'a mut ProcessCtx,
    /// The table of the guest's resources, shared with every other capability.
    pub table: &'a mut ResourceTable,
}

/// Implemented by the data of a store whose guests may start child processes.
pub trait ProcessView: Send {
    /// Borrows the context and the table.
    fn process(&mut self) -> ProcessCtxView<'_>;
}

/// The type for which this crate implements the interfaces.
///
/// An embedder whose store cannot implement [`ProcessView`] gives this to the
/// generated functions: `bindings::spawn::add_to_linker::<_, Process>(linker, get)`.
#[derive(Debug)]
pub struct Process;

impl HasData for Process {
    type Data<'a> = ProcessCtxView<'a>;
}
