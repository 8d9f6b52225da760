//! Where events go: to the embedder's hook, and to the log.
//!
//! The log (the crate `tracing`) has each event as one record of the target `capspawn::event`: what the operator has
//! to know of at WARN (denials, quotas, failures, and how many of these were not reported one by one), the rest at
//! DEBUG. Names and values of its fields are those of the JSON form, and stay.

use std::panic::{self, AssertUnwindSafe};
use std::sync::Arc;

use parking_lot::Mutex;

use super::budget::Budgets;
use crate::child::owner::OwnerKey;
use crate::clock::Clock;
use crate::escape::{quoted, quoted_list};
use crate::event::{Event, EventKind};
use crate::launch::Request;

/// The embedder's hook.
pub(super) type OnEvent = Arc<dyn Fn(&Event) + Send + Sync>;

/// The events that have a budget.
#[derive(Debug, Clone, Copy)]
enum Bounded {
    /// Requests that started nothing.
    Refused,
    /// Detaches, attaches, and requests that an earlier answer approves.
    Routine,
}

impl Bounded {
    /// Returns the word that events use.
    const fn word(self) -> &'static str {
        match self {
            Self::Refused => "refused",
            Self::Routine => "routine",
        }
    }
}

/// The receivers of events.
pub(super) struct Events {
    on_event: Option<OnEvent>,
    clock: Clock,
    refused: Mutex<Budgets>,
    routine: Mutex<Budgets>,
}

impl Events {
    pub(super) fn new(on_event: Option<OnEvent>, clock: Clock) -> Self {
        Self {
            on_event,
            clock,
            refused: Mutex::default(),
            routine: Mutex::default(),
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
            self.deliver(&self.event(owner, guest, kind()).about(&request()));
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
        if self.on_event.is_some()
            || tracing::enabled!(target: "capspawn::event", tracing::Level::WARN)
        {
            self.emit_bounded(Bounded::Refused, owner, guest, request, kind);
        }
    }

    /// Reports what a guest can do again and again without starting a child, unless its owner has done too much of it
    /// lately: that is counted.
    pub(super) fn emit_routine(
        &self,
        owner: &OwnerKey,
        guest: u64,
        request: impl FnOnce() -> Request,
        kind: impl FnOnce() -> EventKind,
    ) {
        if self.on_event.is_some()
            || tracing::enabled!(target: "capspawn::event", tracing::Level::DEBUG)
        {
            self.emit_bounded(Bounded::Routine, owner, guest, request, kind);
        }
    }

    fn emit_bounded(
        &self,
        of: Bounded,
        owner: &OwnerKey,
        guest: u64,
        request: impl FnOnce() -> Request,
        kind: impl FnOnce() -> EventKind,
    ) {
        let taken = self.budgets(of).lock().take(owner, self.clock.now());
        let Some(suppressed) = taken else {
            return;
        };
        self.report_suppressed(of, owner, guest, suppressed);
        self.deliver(&self.event(owner, guest, kind()).about(&request()));
    }

    /// Reports how many events of `owner` were not reported: `guest` is gone, and no later one may come.
    pub(super) fn leave(&self, owner: &OwnerKey, guest: u64) {
        for of in [Bounded::Refused, Bounded::Routine] {
            let suppressed = self.budgets(of).lock().take_suppressed(owner);
            self.report_suppressed(of, owner, guest, suppressed);
        }
    }

    fn budgets(&self, of: Bounded) -> &Mutex<Budgets> {
        match of {
            Bounded::Refused => &self.refused,
            Bounded::Routine => &self.routine,
        }
    }

    fn report_suppressed(&self, of: Bounded, owner: &OwnerKey, guest: u64, count: u64) {
        if count > 0 {
            let kind = EventKind::Suppressed {
                of: of.word(),
                count,
            };
            self.deliver(&self.event(owner, guest, kind));
        }
    }

    fn event(&self, owner: &OwnerKey, guest: u64, kind: EventKind) -> Event {
        let (component, tenant) = (Arc::clone(owner.component()), Arc::clone(owner.tenant()));
        Event {
            time: self.clock.wall(),
            ..Event::new(kind, component, tenant, guest)
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
        EventKind::Quota {
            quota, shortage, ..
        } => {
            record!(warn, event, "quota", quota, shortage);
        }
        EventKind::Failed { reason } => record!(warn, event, "failed", reason = %quoted(reason)),
        EventKind::Suppressed { of, count } => record!(warn, event, "suppressed", of, count),
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
