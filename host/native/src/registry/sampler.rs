//! Samples the running trees, and ends those that exceed a limit.

use std::sync::Arc;
use std::time::Duration;

use super::core::Core;
use crate::child::record::Record;
use crate::child::usage::{SAMPLE_INTERVAL, Sample};

/// Looks at the running trees for as long as the registry lives. Sleeps without
/// a timer while nothing runs, and passes over children too young to matter.
pub(super) async fn sample(core: Arc<Core>) {
    loop {
        let records = core.running();
        if records.is_empty() {
            core.child_started().await;
            continue;
        }
        let grown: Vec<_> = records
            .into_iter()
            .filter(|(_, record)| record.age() >= SAMPLE_INTERVAL)
            .collect();
        if !grown.is_empty() {
            // Reading /proc may take milliseconds: not on the supervisors' thread.
            let look = tokio::task::spawn_blocking(move || check(&grown));
            if let Err(error) = look.await {
                tracing::error!(%error, "could not look at the running trees");
            }
        }
        tokio::time::sleep(SAMPLE_INTERVAL).await;
    }
}

fn check(running: &[(u32, Arc<Record>)]) {
    let sample = Sample::take(running.iter().map(|(group, _)| *group));
    for (group, record) in running {
        if let Some(reason) = record.exceeded(*group, &sample) {
            record.kill(reason, Duration::ZERO);
        }
    }
}
