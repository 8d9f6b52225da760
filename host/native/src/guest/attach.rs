//! Taking over a detached child.

use std::sync::Arc;

use super::Guest;
use crate::error::SpawnError;
use crate::event::EventKind;
use crate::handle::Child;

impl Guest {
    /// Takes over a child that a guest of the same owner (component and tenant) has
    /// [detached](Child::detach), in this store or an earlier one.
    ///
    /// The attach uses the key up: of two attaches at once, exactly one gets the child.
    /// From then on the child belongs to this guest as if this guest had started it,
    /// except that it does not count against `max-total`. Its wall clock limit still
    /// holds; the limit on its life as a detached child no longer does. A child that
    /// has ended is taken over too, with its status and captured output. Pipes that
    /// nobody has taken can be taken now.
    ///
    /// # Errors
    ///
    /// [`SpawnError::NoEntry`] for every key that does not name a child of this owner:
    /// one that is used up, another owner's, that of a child which made room after its
    /// end, or a text that is not a key.
    pub fn attach(&self, key: &str) -> Result<Child, SpawnError> {
        let core = self.0.registry.core();
        let record = core.attach(&self.0.key, key)?;
        let child = Child::new(
            Arc::clone(&record),
            self.0.registry.clone(),
            self.0.holder(),
        );
        core.emit_routine_of(&record, || EventKind::Attached {
            id: child.id(),
            number: child.number(),
        });
        Ok(child)
    }
}
