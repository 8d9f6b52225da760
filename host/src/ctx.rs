//! The context that a store holds for this capability, and the view through
//! which a host method reaches it.

use std::fmt;
use std::sync::Arc;

use capspawn_native::{ChildInfo, Grant, Guest, Registry};
use wasmtime::component::{HasData, ResourceTable};

/// The most bytes that the `spawn-options` of one guest may hold together: 64 MiB.
/// Stops a guest from storing data in the host's memory by setting standard
/// input again and again without a spawn.
pub const MAX_OPTIONS_BYTES: usize = 64 * 1024 * 1024;

/// Builds a [`ProcessCtx`]; see [`ProcessCtx::builder`] for the defaults.
///
/// ```
/// use capspawn::{ProcessCtx, Registry};
///
/// let registry = Registry::builder().build()?;
/// // Without a grant the guest links, and every request is denied.
/// let process = ProcessCtx::builder(&registry)
///     .component("reports")
///     .tenant("customer-17")
///     .build();
/// assert!(process.live().is_empty());
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[must_use]
pub struct ProcessCtxBuilder {
    registry: Registry,
    component: String,
    tenant: String,
    grant: Option<Arc<Grant>>,
}

impl ProcessCtxBuilder {
    /// Sets the component's name in events, for a guest without a grant. A grant
    /// has its own name.
    pub fn component(mut self, name: impl Into<String>) -> Self {
        self.component = name.into();
        self
    }

    /// Sets the grant that decides what the guest may run.
    pub fn grant(mut self, grant: Arc<Grant>) -> Self {
        self.grant = Some(grant);
        self
    }

    /// Sets the tenant on whose behalf the guest runs. Guests of one tenant and
    /// one component share the limit of live children.
    pub fn tenant(mut self, tenant: impl Into<String>) -> Self {
        self.tenant = tenant.into();
        self
    }

    /// Builds the context.
    pub fn build(self) -> ProcessCtx {
        let grant = self
            .grant
            .unwrap_or_else(|| Grant::deny_all(&self.component));
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

/// One guest's authority over child processes, kept in the data of its store.
///
/// Dropping it kills all children that the guest still runs.
///
/// ```
/// use std::path::Path;
///
/// use capspawn::{Grants, ProcessCtx, Registry};
///
/// // Once for each host process.
/// let registry = Registry::builder().build()?;
/// let grants = Grants::from_toml_str(
///     r#"
///     version = 1
///     [[component.reports.command]]
///     name = "kernel"
///     program = "/bin/uname"
///     args = ["-s"]
///     "#,
///     Path::new("/"),
/// )?;
///
/// // Once for each guest.
/// let process = ProcessCtx::builder(&registry)
///     .grant(grants.component("reports"))
///     .build();
///
/// // When a call of the guest was given up, but its store is kept:
/// for child in process.live() {
///     println!("still running: {} {:?}", child.program, child.args);
/// }
/// process.kill_all();
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub struct ProcessCtx {
    /// Shared with calls that wait for an approval while the store is in use.
    pub(crate) guest: Arc<Guest>,
    /// The bytes that live `spawn-options` hold; at most [`MAX_OPTIONS_BYTES`].
    pub(crate) options_bytes: usize,
}

impl ProcessCtx {
    /// Returns a builder for a guest of `registry`.
    ///
    /// Defaults: no grant, so that every request is denied; an empty component
    /// name; an empty tenant name.
    pub fn builder(registry: &Registry) -> ProcessCtxBuilder {
        ProcessCtxBuilder {
            registry: registry.clone(),
            component: String::new(),
            tenant: String::new(),
            grant: None,
        }
    }

    /// Returns the guest's number, by which [`Event::guest`](crate::Event::guest) and the log
    /// name it. No other guest of the registry has it.
    pub fn guest_id(&self) -> u64 {
        self.guest.id()
    }

    /// Returns the children that the guest still runs, without those that it
    /// detached.
    pub fn live(&self) -> Vec<ChildInfo> {
        self.guest.live()
    }

    /// Kills all children that [`ProcessCtx::live`] returns, without waiting for
    /// their end.
    ///
    /// A host that keeps the store of an abandoned call must call this: the
    /// children of a guest that trapped, or whose call was dropped, run until
    /// the store is dropped.
    pub fn kill_all(&self) {
        self.guest.kill_all();
    }
}

impl Drop for ProcessCtx {
    // Dropping the guest is not enough: a call that waits for an approval shares it.
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

/// The context and the resource table of a store, borrowed for a host method.
#[derive(Debug)]
pub struct ProcessCtxView<'a> {
    /// The guest's authority.
    pub ctx: &'a mut ProcessCtx,
    /// The guest's resources, shared with all other capabilities.
    pub table: &'a mut ResourceTable,
}

/// Implemented by the data of a store whose guests may start child processes.
///
/// ```
/// use capspawn::{ProcessCtx, ProcessCtxView, ProcessView};
/// use wasmtime::component::ResourceTable;
///
/// struct State {
///     table: ResourceTable,
///     process: ProcessCtx,
/// }
///
/// impl ProcessView for State {
///     fn process(&mut self) -> ProcessCtxView<'_> {
///         ProcessCtxView { ctx: &mut self.process, table: &mut self.table }
///     }
/// }
/// ```
pub trait ProcessView: Send {
    /// Returns the context and the table.
    fn process(&mut self) -> ProcessCtxView<'_>;
}

/// The marker type for which this crate implements the interfaces.
///
/// [`p2::add_to_linker`](crate::p2::add_to_linker) uses it. An embedder whose
/// store data cannot implement [`ProcessView`], or that links single interfaces,
/// passes it to the generated functions:
///
/// ```
/// use capspawn::{Process, ProcessView, p2};
/// use wasmtime::component::Linker;
///
/// /// Links `run` without `spawn`: guests can run programs, and keep none.
/// fn link_run<T: ProcessView + 'static>(linker: &mut Linker<T>) -> wasmtime::Result<()> {
///     p2::bindings::types::add_to_linker::<_, Process>(linker, T::process)?;
///     p2::bindings::run::add_to_linker::<_, Process>(linker, T::process)
/// }
/// ```
#[derive(Debug)]
pub struct Process;

impl HasData for Process {
    type Data<'a> = ProcessCtxView<'a>;
}
