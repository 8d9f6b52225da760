//! Registries, grants, guests and requests for these tests, and what the tests
//! use of the kit.

use std::path::Path;
use std::sync::Arc;

use capspawn_native::grant::{Grant, Grants};
use capspawn_native::sandbox::NativeLauncher;
use capspawn_native::{Captured, Child, Command, ExitStatus, Guest, Registry, RegistryBuilder};
use tokio::runtime::Runtime;

pub(crate) use test_kit::{
    TEST_TIMEOUT, children, descriptors, eventually, is_alive, is_alone, numbers, open_to_all,
    test_name,
};

/// A grant under which `sh` runs any script. `extra` is added to the
/// component's table. The default wall limit of 30 s could pass on a busy
/// machine while a test still needs the child.
pub(crate) fn grant(component: &str, extra: &str) -> Arc<Grant> {
    let toml = format!(
        r#"
        version = 1
        [defaults]
        sandbox = "none"
        limits = {{ wall = "10min" }}
        [component."{component}"]
        {extra}
        [[component."{component}".command]]
        name = "sh"
        program = "/bin/sh"
        args = ["-c", {{ any = true, allow-dash = true }}]
        interpreter = true
        [[component."{component}".command]]
        name = "cat"
        program = "/bin/cat"
        [[component."{component}".command]]
        name = "env"
        program = "/usr/bin/env"
        "#
    );
    load(&toml).component(component)
}

/// Loads a grant file of the test's own.
pub(crate) fn load(toml: &str) -> Grants {
    Grants::from_toml_str(toml, Path::new("/")).expect("the grant loads")
}

/// A registry in the tier that the environment demands, if it demands one.
pub(crate) fn builder() -> RegistryBuilder {
    let mut launcher = NativeLauncher::builder();
    if let Some(tier) = test_kit::required_tier() {
        launcher = launcher.tier(tier);
    }
    Registry::builder().launcher(Arc::new(launcher.build()))
}

pub(crate) fn registry() -> Registry {
    build(builder())
}

pub(crate) fn build(builder: RegistryBuilder) -> Registry {
    let builder = crate::scripted::scripted(builder);
    builder.build().expect("the registry starts")
}

/// A guest of a new registry, under the grant [`grant`].
pub(crate) fn guest() -> Guest {
    registry().guest(grant("test", ""), "")
}

/// A request to run `script` in a shell.
pub(crate) fn sh(script: &str) -> Command {
    Command::new("sh").args(["-c", script])
}

/// A runtime without a reactor and without timers.
pub(crate) fn bare_runtime() -> Runtime {
    let mut builder = tokio::runtime::Builder::new_current_thread();
    builder.build().expect("the runtime starts")
}

/// Waits until the child has ended.
#[track_caller]
pub(crate) fn ended(child: &Child) -> ExitStatus {
    let status = child.wait_blocking(Some(TEST_TIMEOUT));
    status.expect("the child ends")
}

/// The captured standard output so far.
pub(crate) fn stdout(child: &Child) -> Vec<u8> {
    child.captured(0, 0).0.data
}

/// Waits until the child has ended and its output is complete; returns its
/// status, standard output and standard error.
pub(crate) fn output(child: &Child) -> (ExitStatus, Captured, Captured) {
    bare_runtime().block_on(child.output())
}

/// The number of open descriptors, once 200 readings in a row are equal.
pub(crate) fn settled_descriptors() -> usize {
    let mut last = (descriptors(), 0);
    eventually("a number of descriptors that stays the same", || {
        let now = descriptors();
        last = (now, if now == last.0 { last.1 + 1 } else { 0 });
        last.1 > 200
    });
    last.0
}
