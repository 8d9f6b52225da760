//! A host for the test of one component.

mod guest_clock;
mod run;
mod state;

use std::ffi::OsStr;
use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use capspawn::{Grants, ProcessView, RegistryBuilder};
use capspawn_native::clock::{Clock, VirtualClock};
use capspawn_native::launch::Launcher;
use wasmtime::Engine;
use wasmtime::component::Linker;
use wasmtime_wasi::{FsPerms, WasiCtxBuilder, WasiView};

use crate::script::Script;
use crate::scripted::ScriptedLauncher;

pub use self::state::{Parts, TestState};

/// What sets up a component's imports.
type Link<T> = Box<dyn FnOnce(&mut Linker<T>) -> wasmtime::Result<()> + Send>;
/// What makes the data of the store.
type MakeState<T> = Box<dyn FnOnce(Parts) -> T + Send>;
/// What changes the registry.
type Configure = Box<dyn FnOnce(RegistryBuilder) -> RegistryBuilder + Send>;

/// The grant of the component.
enum Grant {
    None,
    Text(String),
    File(PathBuf),
    Loaded(Grants),
}

/// Runs one component with scripted children, in virtual time, and reports what happened.
///
/// The grant is the real one: it decides, and what it refuses is in the report. A program that the machine lacks is replaced
/// by an empty file, so the grant of the plugin can be tested as it is delivered; its directories must exist. The guest has
/// WASI 0.2 and 0.3 without a network, its own standard streams are kept, and its clocks are the host's virtual clock.
///
/// `T` is the data of the store; [`TestHost::with_state`] takes an embedder's own, with the linker to match.
#[must_use]
pub struct TestHost<T: 'static = TestState> {
    grant: Grant,
    base: Option<PathBuf>,
    component: Option<String>,
    tenant: String,
    guest: Option<PathBuf>,
    args: Vec<String>,
    env: Vec<(String, String)>,
    dirs: Vec<(PathBuf, String, bool)>,
    stdin: Vec<u8>,
    engine: Option<Engine>,
    clock: Clock,
    scripts: ScriptedLauncher,
    launcher: Option<Arc<dyn Launcher>>,
    configure: Vec<Configure>,
    link: Link<T>,
    make_state: MakeState<T>,
}

impl<T> fmt::Debug for TestHost<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TestHost")
            .field("guest", &self.guest)
            .field("args", &self.args)
            .field("scripts", &self.scripts)
            .finish_non_exhaustive()
    }
}

impl Default for TestHost {
    fn default() -> Self {
        Self::new()
    }
}

impl TestHost {
    /// Returns a host without a grant, a guest and scripts.
    pub fn new() -> Self {
        let clock = VirtualClock::new();
        let own = Clock::from(&clock);
        let make_state = move |parts: Parts| TestState::new(parts, own);
        Self::with(clock, Box::new(make_state), Box::new(state::link))
    }
}

impl<T: WasiView + ProcessView + Send + 'static> TestHost<T> {
    /// Returns a host whose store has an embedder's data, and whose linker is set up by the embedder: all imports, WASI and
    /// `capspawn:process` included, as in production.
    ///
    /// `state` receives the contexts for WASI and for processes that the other methods describe. The guest's clocks are what
    /// `link` provides: wasmtime's sleep in the system's time, during which virtual time may pass. Use
    /// [`TestHost::system_clock`] for such a guest.
    pub fn with_state(
        state: impl FnOnce(Parts) -> T + Send + 'static,
        link: impl FnOnce(&mut Linker<T>) -> wasmtime::Result<()> + Send + 'static,
    ) -> Self {
        Self::with(VirtualClock::new(), Box::new(state), Box::new(link))
    }

    fn with(clock: VirtualClock, make_state: MakeState<T>, link: Link<T>) -> Self {
        let clock = Clock::from(clock);
        Self {
            grant: Grant::None,
            base: None,
            component: None,
            tenant: String::new(),
            guest: None,
            args: Vec::new(),
            env: Vec::new(),
            dirs: Vec::new(),
            stdin: Vec::new(),
            engine: None,
            scripts: ScriptedLauncher::with_clock(clock.clone()),
            clock,
            launcher: None,
            configure: Vec::new(),
            link,
            make_state,
        }
    }

    /// Sets the grant, as the text of a TOML file. Paths in it are relative to [`TestHost::base`].
    pub fn grant(mut self, toml: impl Into<String>) -> Self {
        self.grant = Grant::Text(toml.into());
        self
    }

    /// Sets the grant, as a TOML file. Paths in it are relative to its folder.
    pub fn grant_file(mut self, path: impl Into<PathBuf>) -> Self {
        self.grant = Grant::File(path.into());
        self
    }

    /// Sets the grants, as the embedder loads them. Their programs must exist.
    pub fn grants(mut self, grants: Grants) -> Self {
        self.grant = Grant::Loaded(grants);
        self
    }

    /// Sets the folder to which paths in the text of [`TestHost::grant`] are relative; by default the current directory.
    pub fn base(mut self, folder: impl Into<PathBuf>) -> Self {
        self.base = Some(folder.into());
        self
    }

    /// Sets the name of the component, whose section of the grant is in force. By default it is the guest's file name without
    /// its extension; if the grant has no such section, and has one alone, that one.
    pub fn component(mut self, name: impl Into<String>) -> Self {
        self.component = Some(name.into());
        self
    }

    /// Sets the tenant on whose behalf the guest runs.
    pub fn tenant(mut self, tenant: impl Into<String>) -> Self {
        self.tenant = tenant.into();
        self
    }

    /// Sets the component to run.
    pub fn guest(mut self, path: impl AsRef<Path>) -> Self {
        self.guest = Some(path.as_ref().to_owned());
        self
    }

    /// Sets the guest's arguments, its own name left out.
    pub fn args(mut self, args: impl IntoIterator<Item = impl Into<String>>) -> Self {
        self.args = args.into_iter().map(Into::into).collect();
        self
    }

    /// Adds a variable to the guest's own environment.
    pub fn env(mut self, name: impl Into<String>, value: impl Into<String>) -> Self {
        self.env.push((name.into(), value.into()));
        self
    }

    /// Gives the guest a directory, which it may change.
    pub fn dir(mut self, host: impl AsRef<Path>, guest: impl Into<String>) -> Self {
        self.dirs
            .push((host.as_ref().to_owned(), guest.into(), true));
        self
    }

    /// Gives the guest a directory, which it may read.
    pub fn read_only_dir(mut self, host: impl AsRef<Path>, guest: impl Into<String>) -> Self {
        self.dirs
            .push((host.as_ref().to_owned(), guest.into(), false));
        self
    }

    /// Sets the guest's own standard input; empty by default.
    pub fn stdin(mut self, bytes: impl Into<Vec<u8>>) -> Self {
        self.stdin = bytes.into();
        self
    }

    /// Sets the engine; by default one that all test hosts of the process share, with the components that it has compiled.
    pub fn engine(mut self, engine: &Engine) -> Self {
        self.engine = Some(engine.clone());
        self
    }

    /// Sets what starts children, instead of the scripts of [`TestHost::on`]. Programs must exist then. A launcher of real
    /// processes also needs [`TestHost::system_clock`].
    pub fn launcher(mut self, launcher: Arc<dyn Launcher>) -> Self {
        self.launcher = Some(launcher);
        self
    }

    /// Uses the system's clock instead of a virtual one. Call it before [`TestHost::on`]: it forgets the scripts.
    pub fn system_clock(mut self) -> Self {
        self.clock = Clock::system();
        self.scripts = ScriptedLauncher::new();
        self
    }

    /// Changes the registry: its caps, an approver, a veto. The launcher, the clock and the event hook are the host's.
    pub fn registry(
        mut self,
        configure: impl FnOnce(RegistryBuilder) -> RegistryBuilder + Send + 'static,
    ) -> Self {
        self.configure.push(Box::new(configure));
        self
    }

    /// Adds a script for `command`; see [`ScriptedLauncher::on`].
    pub fn on(&self, command: impl Into<String>) -> Script {
        self.scripts.on(command)
    }

    /// Returns the scripts, with the calls so far.
    pub fn scripts(&self) -> &ScriptedLauncher {
        &self.scripts
    }

    /// Returns the clock of the host, its registry and its children.
    pub fn clock(&self) -> &Clock {
        &self.clock
    }

    /// Returns the guest's context for WASI, without its streams.
    fn wasi(&self) -> wasmtime::Result<WasiCtxBuilder> {
        let mut wasi = WasiCtxBuilder::new();
        // So that the virtual clock sees when the guest waits: a file needs no other thread.
        wasi.allow_blocking_current_thread(true);
        let name = self.guest.as_deref().and_then(Path::file_name);
        wasi.arg(name.map_or_else(|| "guest".into(), OsStr::to_string_lossy));
        wasi.args(&self.args);
        for (name, value) in &self.env {
            wasi.env(name, value);
        }
        for (host, guest, is_writable) in &self.dirs {
            let perms = if *is_writable {
                FsPerms::ReadWrite
            } else {
                FsPerms::ReadOnly
            };
            wasi.preopened_dir(host, guest, perms)?;
        }
        Ok(wasi)
    }
}
