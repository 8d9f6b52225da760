//! Counters and histograms of children, through the facade of the crate `metrics`.
//!
//! [`record`] counts one event. The embedder calls it where it receives events, and installs the exporter of
//! its choice. Rejected: to count inside the registry, which then would depend on the facade for every user.
//!
//! | Name | Kind | Labels | What |
//! |---|---|---|---|
//! | `capspawn_children_started_total` | counter | `component`, `confinement` | children that were started |
//! | `capspawn_children_ended_total` | counter | `component`, `status` | children that ended: `exited`, `failed` (a code other than 0), `signaled`, `killed` |
//! | `capspawn_children_killed_total` | counter | `component`, `reason` | children that the host killed, by the reason |
//! | `capspawn_children_running` | gauge | `component` | children that run |
//! | `capspawn_requests_refused_total` | counter | `component`, `kind` | requests that started nothing: `denied`, `quota`, `failed`, and `suppressed` for those that are counted and not reported one by one |
//! | `capspawn_child_seconds` | histogram | `component` | how long a child ran |
//! | `capspawn_child_cpu_seconds` | histogram | `component` | the processor time of its tree, where it was measured |
//! | `capspawn_child_peak_memory_bytes` | histogram | `component` | the most memory of its tree at one time, where it was measured |
//! | `capspawn_child_output_bytes` | histogram | `component`, `stream` | bytes of `stdout` and of `stderr` |
//!
//! Names and labels stay the same within a version of the interface. No label has a string of a guest: commands,
//! arguments and tenants would make as many series as a guest likes.
//!
//! ```
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let registry = capspawn::Registry::builder().on_event(|event| capspawn::metrics::record(event)).build()?;
//! # drop(registry);
//! # Ok(())
//! # }
//! ```

use std::sync::Arc;

use ::metrics::{SharedString, counter, gauge, histogram};
use capspawn_native::{Event, EventKind, ExitStatus};

/// Counts one event.
pub fn record(event: &Event) {
    let component = SharedString::from_shared(Arc::clone(&event.component));
    match &event.kind {
        EventKind::Spawn { confinement, .. } => {
            let labels = [
                ("component", component.clone()),
                ("confinement", (*confinement).into()),
            ];
            counter!("capspawn_children_started_total", &labels).increment(1);
            gauge!("capspawn_children_running", "component" => component).increment(1);
        }
        EventKind::Exit { .. } => exit(component, &event.kind),
        EventKind::Denied { .. } => refused(component, "denied", 1),
        EventKind::Quota { .. } => refused(component, "quota", 1),
        EventKind::Failed { .. } => refused(component, "failed", 1),
        EventKind::Suppressed {
            of: "refused",
            count,
        } => refused(component, "suppressed", *count),
        _ => {}
    }
}

fn refused(component: SharedString, kind: &'static str, count: u64) {
    counter!("capspawn_requests_refused_total", "component" => component, "kind" => kind)
        .increment(count);
}

fn exit(component: SharedString, kind: &EventKind) {
    let EventKind::Exit {
        status,
        seconds,
        stdout_bytes,
        stderr_bytes,
        usage,
        ..
    } = kind
    else {
        return;
    };
    let name = || component.clone();
    let word = match status {
        ExitStatus::Exited(0) => "exited",
        ExitStatus::Exited(_) => "failed",
        ExitStatus::Signaled(_) => "signaled",
        ExitStatus::Killed(reason) => {
            let labels = [("component", name()), ("reason", reason.to_string().into())];
            counter!("capspawn_children_killed_total", &labels).increment(1);
            "killed"
        }
    };
    counter!("capspawn_children_ended_total", "component" => name(), "status" => word).increment(1);
    gauge!("capspawn_children_running", "component" => name()).decrement(1);
    histogram!("capspawn_child_seconds", "component" => name()).record(*seconds);
    if let Some(cpu) = usage.cpu {
        histogram!("capspawn_child_cpu_seconds", "component" => name()).record(cpu.as_secs_f64());
    }
    if let Some(bytes) = usage.peak_memory_bytes {
        histogram!("capspawn_child_peak_memory_bytes", "component" => name()).record(float(bytes));
    }
    for (stream, bytes) in [("stdout", *stdout_bytes), ("stderr", *stderr_bytes)] {
        histogram!("capspawn_child_output_bytes", "component" => name(), "stream" => stream)
            .record(float(bytes));
    }
}

/// A count as the facade takes it; exact up to 2^53.
#[expect(
    clippy::cast_precision_loss,
    reason = "a histogram needs no more than 15 digits"
)]
fn float(bytes: u64) -> f64 {
    bytes as f64
}

#[cfg(test)]
mod tests;
