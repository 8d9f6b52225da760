//! A registry that counts its launches, and its guests.

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use capspawn_native::grant::{Grant, Grants};
use capspawn_native::launch::{ChildStdio, Launcher, Plan, Process, Scope};
use capspawn_native::sandbox::{Confinement, Enforcement, NativeLauncher};
use capspawn_native::{Child, ExitStatus, LaunchError, Registry};
use serde_json::Value;
use test_kit::TEST_TIMEOUT;

use crate::probe::{Report, folder};

/// The native launcher with a count of its launches: a denied request must not reach it.
#[derive(Debug)]
pub(crate) struct Counting {
    native: NativeLauncher,
    launches: AtomicUsize,
}

impl Counting {
    /// Returns a launcher and a registry that uses it.
    pub(crate) fn registry() -> io::Result<(Arc<Self>, Registry)> {
        let launcher = Arc::new(Self {
            native: NativeLauncher::default(),
            launches: AtomicUsize::new(0),
        });
        let registry = Registry::builder().launcher(launcher.clone()).build()?;
        Ok((launcher, registry))
    }

    pub(crate) fn launches(&self) -> usize {
        self.launches.load(Ordering::SeqCst)
    }
}

impl Launcher for Counting {
    fn enforcement(&self, confinement: &Confinement) -> Arc<Enforcement> {
        self.native.enforcement(confinement)
    }

    fn launch(
        &self,
        scope: Scope,
        plan: &Plan,
        stdio: ChildStdio,
    ) -> Result<Box<dyn Process>, LaunchError> {
        self.launches.fetch_add(1, Ordering::SeqCst);
        self.native.launch(scope, plan, stdio)
    }
}

/// Loads a grant file, and returns the grant of its only component.
pub(crate) fn grant(defaults: Value, commands: Value) -> Arc<Grant> {
    let grant = serde_json::json!({
        "version": 1,
        "defaults": defaults,
        "component": { "c": { "command": commands } },
    });
    let grants = Grants::from_json_str(&grant.to_string(), folder());
    grants
        .unwrap_or_else(|error| panic!("{error}\n{grant:#}"))
        .component("c")
}

/// Waits for the end of the probe, and returns its report.
pub(crate) fn report(child: &Child) -> Report {
    let status = child.wait_blocking(Some(TEST_TIMEOUT));
    assert_eq!(status, Some(ExitStatus::Exited(0)));
    let (stdout, _) = child.captured(0, 0);
    assert_eq!(stdout.dropped, 0, "the cap of the capture is large enough");
    Report::read(&stdout.data)
}
