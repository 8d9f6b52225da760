//! Where events go: to the embedder's hook, and to the log.
//!
//! The log (the crate `tracing`) has each event as one record of the target `capspawn::event`: what the operator has
//! to know of at WARN (denials, quotas, failures, and how many of these were not reported one by one), the rest at
//! DEBUG. Names and values of its fields are those of the JSON form, and stay.

use std::panic::{self, AssertUnwindSafe};
use std::sync::Arc;
use std::time::Instant;

use parking_lot::Mutex;

use super::refusals::Refusals;
use crate::child::owner::OwnerKey;
use crate::escape::{quoted, quoted_list};
use crate::event::{Event, EventKind};
use crate::launch::Request;

/// The embedder's hook.
pub(super) type OnEvent = Arc<dyn Fn(&Event) + Send + Sync>;

/// The receivers of events.
pub(super) struct Events {
    on_event: Option<OnEvent>,
    refusals: Mutex<Refusals>,
}

impl Events {
    pub(super) fn new(on_event: Option<OnEvent>) -> Self {
        Self {
            on_event,
            refusals: Mutex::default(),
        }
    }

    /// Reports an event about a request of `guest`.
    pub(super) fn emit(
        &self,
        owner: &OwnerKey,
        guest: u64,
        request: impl FnOnce() -> Request,
        kind: impl FnOnce() -> EventKind,
    ) {
        if self.on_event.is_some()
            || tracing::enabled!(target: "capspawn::event", tracing::Level::DEBUG)
        {
            self.deliver(&event(owner, guest, kind()).about(&request()));
        }
    }

    /// Reports a refused request, unless its owner has had too many of them lately: that one is counted.
    pub(super) fn emit_refusal(
        &self,
        owner: &OwnerKey,
        guest: u64,
        request: impl FnOnce() -> Request,
        kind: impl FnOnce() -> EventKind,
    ) {
        if self.on_event.is_none()
            && !tracing::enabled!(target: "capspawn::event", tracing::Level::WARN)
        {
            return;
        }
        let Some(suppressed) = self.refusals.lock().take(owner, Instant::now()) else {
            return;
        };
        self.report_suppressed(owner, guest, suppressed);
        self.deliver(&event(owner, guest, kind()).about(&request()));
    }

    /// Reports how many refusals of `owner` were not reported: `guest` is gone, and no later one may come.
    pub(super) fn leave(&self, owner: &OwnerKey, guest: u64) {
        let suppressed = self.refusals.lock().take_suppressed(owner);
        self.report_suppressed(owner, guest, suppressed);
    }

    fn report_suppressed(&self, owner: &OwnerKey, guest: u64, count: u64) {
        if count > 0 {
            self.deliver(&event(owner, guest, EventKind::Suppressed { count }));
        }
    }

    fn deliver(&self, event: &Event) {
        log(event);
        let Some(on_event) = &self.on_event else {
            return;
        };
        // A panic in the embedder's code must leave no child without a supervisor.
        let handled = panic::catch_unwind(AssertUnwindSafe(|| on_event(event)));
        if handled.is_err() {
            tracing::error!("the event hook panicked");
        }
    }
}

fn event(owner: &OwnerKey, guest: u64, kind: EventKind) -> Event {
    let (component, tenant) = (Arc::clone(owner.component()), Arc::clone(owner.tenant()));
    Event::new(kind, component, tenant, guest)
}

/// Writes a record with the fields that every event has, and those of its kind.
macro_rules! record {
    ($level:ident, $event:expr, $name:literal $(, $($field:tt)*)?) => {
        tracing::$level!(
            target: "capspawn::event",
            event = $name,
            component = %quoted(&*$event.component),
            tenant = %quoted(&*$event.tenant),
            guest = $event.guest,
            command = %quoted(&$event.command),
            args = %quoted_list(&$event.args),
            $($($field)*)?
        )
    };
}

fn log(event: &Event) {
    match &event.kind {
        EventKind::Spawn {
            id,
            number,
            pid,
            confinement,
        } => {
            record!(debug, event, "spawn", id, number, pid, confinement);
        }
        EventKind::Approved { scope } => record!(debug, event, "approved", scope),
        EventKind::Denied {
            by, item, reason, ..
        } => {
            record!(warn, event, "denied", by, item, reason = %quoted(reason));
        }
        EventKind::Quota { quota, .. } => record!(warn, event, "quota", quota),
        EventKind::Failed { reason } => record!(warn, event, "failed", reason = %quoted(reason)),
        EventKind::Suppressed { count } => record!(warn, event, "suppressed", count),
        EventKind::Lost { count } => record!(warn, event, "lost", count),
        EventKind::Detached {
            id,
            max_life_seconds,
        } => {
            record!(debug, event, "detached", id, max_life_seconds);
        }
        EventKind::Attached { id, number } => record!(debug, event, "attached", id, number),
        EventKind::Observed { id, observations } => {
            record!(debug, event, "observed", id, count = observations.len());
        }
        EventKind::Exit {
            id,
            status,
            seconds,
            ..
        } => {
            record!(debug, event, "exit", id, status = %status, seconds);
        }
    }
}
