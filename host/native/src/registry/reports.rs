//! Events about requests that the registry's guests have made.

use super::core::Core;
use super::table::GuestKey;
use crate::child::record::Record;
use crate::command::Command;
use crate::error::SpawnError;
use crate::event::EventKind;

impl Core {
    /// Emits an event about an operation on `record`'s child that was refused.
    pub(super) fn emit_refusal_of(&self, record: &Record, error: &SpawnError) {
        let (owner, guest) = (record.owner(), record.guest().0);
        let kind = || EventKind::refused(error);
        self.events()
            .emit_refusal(owner, guest, || record.request(), kind);
    }

    /// Emits an event about a request of `guest`.
    pub(crate) fn emit(
        &self,
        guest: &GuestKey,
        command: &Command,
        kind: impl FnOnce() -> EventKind,
    ) {
        let (owner, guest) = (guest.owner(), guest.scope().0);
        self.events().emit(owner, guest, || command.request(), kind);
    }

    /// Emits an event about a request of `guest`, within its owner's budget.
    pub(crate) fn emit_routine(
        &self,
        guest: &GuestKey,
        command: &Command,
        kind: impl FnOnce() -> EventKind,
    ) {
        let (owner, guest) = (guest.owner(), guest.scope().0);
        self.events()
            .emit_routine(owner, guest, || command.request(), kind);
    }

    /// Emits an event about a request of `guest` that started nothing.
    pub(crate) fn emit_refusal(&self, guest: &GuestKey, command: &Command, error: &SpawnError) {
        let (owner, guest) = (guest.owner(), guest.scope().0);
        let kind = || EventKind::refused(error);
        self.events()
            .emit_refusal(owner, guest, || command.request(), kind);
    }
}
