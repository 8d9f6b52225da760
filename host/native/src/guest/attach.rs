//! Taking up a detached child.

use super::Guest;
use crate::error::SpawnError;
use crate::handle::Child;

impl Guest {
    /// Takes up a child that a guest of the same owner (component and tenant)
    /// has [detached](Child::detach), in this store or an earlier one.
    ///
    /// The attach uses the key up: of two at once exactly one gets the child.
    /// From then on the child is this guest's as if it had started it, but that
    /// it does not count against `max-total`; its life-time as a detached child
    /// no longer bounds it, its wall clock limit still does. A child that has
    /// ended is taken up too, with its status and captured output. Pipes that
    /// nobody took yet can be taken now.
    ///
    /// # Errors
    ///
    /// [`SpawnError::NoEntry`], and nothing more, for whatever is no key of this
    /// owner's: used up, another owner's, made room for others after its end, or
    /// no key at all.
    pub fn attach(&self, key: &str) -> Result<Child, SpawnError> {
        let record = self.registry.core().attach(&self.key, key)?;
        Ok(Child::new(
            record,
            self.registry.clone(),
            self.grant.detach(),
        ))
    }
}
