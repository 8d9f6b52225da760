//! Children without a guest: left to the registry under a key, and taken up again.
//!
//! A host that makes a store for each call ends its guest with the call. A child
//! that is to outlive the call belongs to the registry, under a key that only the
//! same owner can use, for as long as the grant says. An attach uses the key up:
//! of two at once one gets the child, and the other receives the error for a key
//! that does not exist.

use std::sync::Arc;

use parking_lot::Mutex;

use super::core::Core;
use super::key::DetachKey;
use super::table::GuestKey;
use crate::child::record::Record;
use crate::error::{Denial, DeniedItem, SpawnError};
use crate::event::EventKind;
use crate::grant::Detach;
use crate::launch::{LaunchError, Stage};

impl Core {
    /// Leaves a child to the registry; `own` is where its handle keeps the key.
    pub(crate) fn detach(
        &self,
        record: &Record,
        terms: Detach,
        own: &Mutex<Option<DetachKey>>,
    ) -> Result<DetachKey, SpawnError> {
        let result = self.try_detach(record, terms, own);
        match &result {
            Ok((_, is_new)) if !is_new => {}
            Ok(_) => self.emit_routine_of(record, || EventKind::Detached {
                id: record.id(),
                max_life_seconds: terms.max_life.as_secs_f64(),
            }),
            Err(error) => self.emit_refusal_of(record, error),
        }
        result.map(|(key, _)| key)
    }

    /// Returns the key, and whether it is new.
    fn try_detach(
        &self,
        record: &Record,
        terms: Detach,
        own: &Mutex<Option<DetachKey>>,
    ) -> Result<(DetachKey, bool), SpawnError> {
        if !terms.allow {
            let mut denial = Denial::new(
                DeniedItem::Detach,
                "a child of this component may not outlive its guest",
            );
            denial.would_allow = Some("detach = { allow = true }".into());
            return Err(denial.into());
        }
        let key = DetachKey::random().map_err(|error| LaunchError::new(Stage::Key, error))?;
        let mut own = own.lock();
        if let Some(key) = *own {
            let is_known = self.with_table(|table| table.is_key_of(record.id(), &key));
            return is_known.then_some((key, false)).ok_or(SpawnError::NoEntry);
        }
        let evicted = self.with_table(|table| table.detach(record.id(), key))?;
        self.discard(evicted);
        record.set_lifetime(self.clock().now().checked_add(terms.max_life));
        *own = Some(key);
        Ok((key, true))
    }

    /// Gives `guest` the child that has this key.
    pub(crate) fn attach(&self, guest: &GuestKey, key: &str) -> Result<Arc<Record>, SpawnError> {
        let attached = DetachKey::parse(key)
            .and_then(|key| self.with_table(|table| table.attach(guest, &key)));
        let record = attached.ok_or(SpawnError::NoEntry)?;
        record.set_guest(guest.scope());
        record.set_lifetime(None);
        Ok(record)
    }
}
