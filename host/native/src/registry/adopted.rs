//! Reaps the adopted processes of children's trees now and then, where the host adopts orphans.

use std::sync::Arc;
use std::time::Duration;

use super::core::Core;

/// How often: every second. An adopted process that has ended holds a process id and nothing else.
const INTERVAL: Duration = Duration::from_secs(1);

/// Reaps for as long as the registry lives; returns at once where the host adopts no orphans.
pub(super) async fn reap(core: Arc<Core>) {
    while core.launcher().reap_adopted() {
        tokio::time::sleep(INTERVAL).await;
    }
}
