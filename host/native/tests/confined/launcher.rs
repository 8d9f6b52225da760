//! The launcher under test, its tier, and the guests that children belong to.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, LazyLock};

use capspawn_native::launch::{Launcher, Scope};
use capspawn_native::sandbox::{Confinement, NativeLauncher, Sandbox, Tier};
use test_kit::{REQUIRE_TIER, required_tier};

/// The launcher that all tests share.
pub(crate) fn launcher() -> &'static NativeLauncher {
    static LAUNCHER: LazyLock<Result<NativeLauncher, String>> = LazyLock::new(new_launcher);
    match &*LAUNCHER {
        Ok(launcher) => launcher,
        Err(reason) => panic!("{REQUIRE_TIER}: {reason}"),
    }
}

/// A launcher for one registry, whose scopes would collide with those of other
/// tests in the shared launcher.
pub(crate) fn own_launcher() -> Arc<NativeLauncher> {
    Arc::new(new_launcher().unwrap_or_else(|reason| panic!("{REQUIRE_TIER}: {reason}")))
}

/// The tier in which children are confined.
pub(crate) fn tier() -> Tier {
    static TIER: LazyLock<Option<Tier>> =
        LazyLock::new(|| launcher().enforcement(&Confinement::default()).tier());
    TIER.expect("the launcher has probed the machine")
}

/// A launcher in the demanded tier. No other function chooses the tier.
fn new_launcher() -> Result<NativeLauncher, String> {
    let Some(tier) = required_tier() else {
        return Ok(NativeLauncher::new());
    };
    let launcher = NativeLauncher::builder().tier(tier).build();
    let report = launcher.enforcement(&Confinement::default());
    if report.admits(Sandbox::BestEffort) && (report.admits(Sandbox::Required) || tier == Tier::C) {
        return Ok(launcher);
    }
    let unmet = report.unmet();
    Err(format!("this machine does not meet tier {tier}: {unmet}"))
}

/// A guest of the shared launcher. Its sessions end with this value.
pub(crate) struct OwnScope(pub(crate) Scope);

thread_local! {
    /// Each test runs on a thread of its own and is a guest of its own.
    static OF_THIS_TEST: OwnScope = OwnScope::new();
}

/// The scope of the guest that the calling test is.
pub(crate) fn scope_of_this_test() -> Scope {
    OF_THIS_TEST.with(|own| own.0)
}

impl OwnScope {
    /// Another guest.
    pub(crate) fn new() -> Self {
        static NEXT: AtomicU64 = AtomicU64::new(0);
        Self(Scope(NEXT.fetch_add(1, Ordering::Relaxed)))
    }
}

impl Drop for OwnScope {
    fn drop(&mut self) {
        launcher().close(self.0);
    }
}
