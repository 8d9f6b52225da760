//! Samples the running trees, and ends those that exceed a limit.

use std::sync::Arc;
use std::time::Duration;

use super::core::Core;
use crate::child::record::Record;
use crate::child::usage::{SAMPLE_INTERVAL, Sample};

/// Samples the running trees for as long as the registry lives. It sets no timer
/// while nothing runs, and skips children younger than one interval.
pub(super) async fn sample(core: Arc<Core>) {
    loop {
        let records = core.running();
        if records.is_empty() {
            core.child_started().await;
            continue;
        }
        let due: Vec<_> = records
            .into_iter()
            .filter(|(_, record)| record.age() >= SAMPLE_INTERVAL)
            .collect();
        if !due.is_empty() {
            // Reading /proc may take milliseconds, so it does not run on the supervisors' thread.
            let checked = tokio::task::spawn_blocking(move || check(&due));
            if let Err(error) = checked.await {
                tracing::error!(%error, "could not sample the running trees");
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
